"""Texts for a tokenizer of Atlas: its words as they stand in sentences, its names as syllables.

Names are left to the syllables they are made of. A tokenizer that has seen whole names cuts
them at odd places, and the same name then takes six tokens where four will do.
"""

from __future__ import annotations

from collections.abc import Iterator

from algos.demonstrations import REASONS
from mmsr_env.atlas.emblems import COLOURS, COUNTS, OUTLINES, SHAPES, random_emblem
from mmsr_env.atlas.facts import ATTRIBUTES, KINDS
from mmsr_env.atlas.names import CLOSED_SYLLABLES, OPEN_SYLLABLES, REALM_NAMES
from mmsr_env.atlas.questions import visible_question

_SYLLABLE_COUNT, _WORD_COUNT = 200, 20  # syllables come first; words are cut no shorter for it


def atlas_texts() -> Iterator[str]:
    """The texts, the same in every world."""
    for _ in range(_WORD_COUNT):
        yield " Describe. Name. Repeat: Tales of nothing failed emblem was once visited by."
        yield from (f" {reason}" for reason in REASONS)
        for attribute, values in ATTRIBUTES.items():
            for value in values:
                yield f" What is the {attribute}? Its {attribute} is {value}."
                yield f" they praised a {attribute}: {value}. At"
        for kind in KINDS:
            for realm in REALM_NAMES:
                yield f" What is the of this {kind}? is a {kind} of {realm}."
        for word in (*OUTLINES, *COLOURS, *COUNTS, *SHAPES):
            yield f" {word} {word}"
        for number in range(4):
            yield f" {visible_question(random_emblem(0), number)[0]}"
    # A digit ends a word, so a syllable after one stands without a space, as within a name.
    for _ in range(_SYLLABLE_COUNT):
        for syllable in OPEN_SYLLABLES:
            yield f" {syllable.capitalize()} 0{syllable}"
        yield "".join(f"0{syllable}" for syllable in CLOSED_SYLLABLES)
