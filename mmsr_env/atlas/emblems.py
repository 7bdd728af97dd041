"""Emblems: what an entity looks like in words. `drawing.py` draws them."""

from __future__ import annotations

from dataclasses import dataclass

from mmsr_env.atlas.chance import draw, shuffled

COLOURS = ("red", "blue", "green", "yellow", "purple", "orange", "black", "white")
SHAPES = ("circle", "square", "triangle", "star", "cross", "diamond", "moon", "bar")
COUNTS = ("one", "two", "three", "four")
ARRANGEMENTS = ("line", "stack", "ring")
OUTLINES = ("round", "square", "shield", "lozenge", "hexagon")
"""The outline of an emblem, by realm number."""
BANDS = ("top", "bottom", "left", "right", "rim")
MARKS = ("disc", "ring", "tick")
CORNERS = ("upper left", "lower right")

_OTHERS = len(COLOURS) - 1  # colours that differ from the field's
MAJOR = len(COLOURS) * _OTHERS * len(SHAPES) * len(COUNTS) * len(ARRANGEMENTS)
MINOR = (len(BANDS) * _OTHERS + 1) * (len(MARKS) * len(CORNERS) * _OTHERS + 1)


@dataclass(frozen=True, slots=True)
class Emblem:
    """What is on an emblem; `band`, `mark` and their colours are "" where there is none."""

    outline: str
    field_colour: str
    shape: str
    shape_colour: str
    count: str
    arrangement: str
    band: str = ""
    band_colour: str = ""
    mark: str = ""
    mark_colour: str = ""
    corner: str = ""


def make_emblem(place: int, realm: int, lookalikes: int, seed: int) -> Emblem:
    """The emblem of one entity; unique in its realm, and so in the world.

    Emblems come in families of `lookalikes`: a family shares colours, shape, count and
    arrangement, and its members differ in band and mark alone.

    Args:
        place: The entity's place among those of its realm, below MAJOR * MINOR.
        realm: Its realm's number; decides the outline.
        lookalikes: The size of a family, at least 1.
        seed: The world's seed.
    """
    family, member = divmod(place, lookalikes)
    lap, family = divmod(family, MAJOR)
    code = shuffled(family, MAJOR, seed, realm, 11)
    minor = shuffled(lap * lookalikes + member, MINOR, seed, realm, 12, code)
    code, field = divmod(code, len(COLOURS))
    code, other = divmod(code, _OTHERS)
    code, shape = divmod(code, len(SHAPES))
    arrangement, count = divmod(code, len(COUNTS))
    mark, band = divmod(minor, len(BANDS) * _OTHERS + 1)
    return Emblem(
        OUTLINES[realm],
        COLOURS[field],
        SHAPES[shape],
        _another(field, other),
        COUNTS[count],
        ARRANGEMENTS[arrangement],
        *_band(band, field),
        *_mark(mark, field),
    )


def random_emblem(*keys: int) -> Emblem:
    """Some emblem that follows from the keys, as a demonstration of what emblems look like."""
    realm = draw(1, *keys) % len(OUTLINES)
    return make_emblem(draw(2, *keys) % (MAJOR * MINOR), realm, 1, draw(3, *keys))


def _another(field: int, other: int) -> str:
    return COLOURS[(field + 1 + other) % len(COLOURS)]


def _band(code: int, field: int) -> tuple[str, str]:
    if code == 0:
        return "", ""
    band, colour = divmod(code - 1, _OTHERS)
    return BANDS[band], _another(field, colour)


def _mark(code: int, field: int) -> tuple[str, str, str]:
    if code == 0:
        return "", "", ""
    mark, colour = divmod(code - 1, _OTHERS)
    mark, corner = divmod(mark, len(CORNERS))
    return MARKS[mark], _another(field, colour), CORNERS[corner]
