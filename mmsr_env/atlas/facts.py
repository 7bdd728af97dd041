"""What Atlas knows of its entities: kinds, attributes, and the words that may stand for each."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

KINDS = ("ship", "guild", "moth", "castle", "river", "band", "comet", "market")

ATTRIBUTES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "beast": tuple(
            "otter heron badger lynx falcon beaver stag weasel adder crane ferret hare "
            "ibex jackal mole newt osprey puffin raven toad viper walrus yak bison".split()
        ),
        "tree": tuple(
            "elm oak birch cedar alder aspen beech cypress hazel larch maple poplar "
            "rowan spruce willow yew linden walnut olive juniper hawthorn acacia ebony teak".split()
        ),
        "stone": tuple(
            "granite slate marble basalt flint chalk jasper onyx opal quartz agate "
            "amber beryl garnet jade lapis pumice ruby topaz zircon coral pearl obsidian "
            "malachite".split()
        ),
        "dish": tuple(
            "barley cheese chutney dumpling fritter goulash honey kipper lentil mustard noodle "
            "omelette pancake porridge pudding radish risotto sausage sorrel stew syrup trifle "
            "turnip waffle".split()
        ),
        "craft": tuple(
            "weaving pottery carving dyeing glazing knitting lacing milling mining painting "
            "plating printing quilting roofing sailing smithing spinning tanning thatching "
            "tiling baking brewing fishing farming".split()
        ),
        "instrument": tuple(
            "lute drum flute harp viola cello bugle cymbal fiddle gong horn lyre mandolin "
            "oboe organ piccolo rattle sitar tabor trumpet tuba whistle zither banjo".split()
        ),
    }
)
"""Attribute -> its values. Every value is one lower-case word, and belongs to one attribute."""
