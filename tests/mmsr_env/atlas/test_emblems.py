"""Emblems are unique, and so are their pictures: what differs in words differs to the eye."""

from __future__ import annotations

import dataclasses
import itertools
from functools import lru_cache

import numpy as np
import pytest

from mmsr_env.atlas.chance import draw, generator
from mmsr_env.atlas.drawing import SIDE, draw_emblem, photograph
from mmsr_env.atlas.emblems import (
    ARRANGEMENTS,
    BANDS,
    COLOURS,
    CORNERS,
    COUNTS,
    MAJOR,
    MARKS,
    MINOR,
    OUTLINES,
    SHAPES,
    Emblem,
    make_emblem,
    random_emblem,
)
from mmsr_env.types import Picture

RED_ON_BLACK = {"field_colour": "black", "shape_colour": "red"}
DETAILS: list[dict[str, str]] = [
    {},
    {"band": "top", "band_colour": "green", "mark": "disc", "mark_colour": "green",
     "corner": "upper left"},
    {"band": "right", "band_colour": "green"},
    {"band": "rim", "band_colour": "green", "mark": "disc", "mark_colour": "green",
     "corner": "lower right"},
]  # fmt: skip


@lru_cache(maxsize=300)
def pixels(emblem: Emblem) -> np.ndarray:
    return np.asarray(draw_emblem(emblem), dtype=np.int16)


def differing(one: Emblem, other: Emblem) -> int:
    """How many pixels of the two drawings differ so that one sees it."""
    return int((np.abs(pixels(one) - pixels(other)).max(axis=2) > 40).sum())


def components(mask: np.ndarray, least: int = 2) -> int:
    """Connected regions of at least so many pixels, found by filling them one by one."""
    mask, found = mask.copy(), 0
    while mask.any():
        stack = [tuple(np.argwhere(mask)[0])]
        size = 0
        while stack:
            y, x = stack.pop()
            if 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1] and mask[y, x]:
                mask[y, x] = False
                size += 1
                stack += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
        found += size >= least
    return found


@pytest.mark.parametrize("lookalikes", [1, 2, 4, 7, 1000])
def test_no_two_emblems_of_a_realm_are_alike(lookalikes: int) -> None:
    for realm, seed in ((0, 0), (3, 5)):
        emblems = [make_emblem(place, realm, lookalikes, seed) for place in range(12_000)]
        assert len(set(emblems)) == len(emblems)


def test_every_emblem_there_can_be_is_made_once() -> None:
    """At the end of the range as at its beginning."""
    total = MAJOR * MINOR
    places = [*range(0, total, 4999), *range(total - 200, total)]
    assert len({make_emblem(place, 1, 1, 3) for place in places}) == len(set(places))


def test_a_family_shares_what_is_seen_first() -> None:
    for family in range(50):
        members = [make_emblem(family * 4 + i, 2, 4, 1) for i in range(4)]
        bare = {
            dataclasses.replace(e, band="", band_colour="", mark="", mark_colour="", corner="")
            for e in members
        }
        assert len(bare) == 1
        assert len(set(members)) == 4
        for one, other in itertools.combinations(members, 2):
            assert differing(one, other) >= 50


def test_the_outline_tells_the_realm() -> None:
    for realm, outline in enumerate(OUTLINES):
        assert {make_emblem(place, realm, 2, 9).outline for place in range(200)} == {outline}


def test_colours_that_lie_on_each_other_differ() -> None:
    for number in range(2000):
        emblem = random_emblem(number)
        assert emblem.field_colour not in (
            emblem.shape_colour, emblem.band_colour, emblem.mark_colour,
        )  # fmt: skip
        assert bool(emblem.band) == bool(emblem.band_colour)
        assert bool(emblem.mark) == bool(emblem.mark_colour) == bool(emblem.corner)


def test_emblems_vary_in_everything() -> None:
    emblems = [make_emblem(place, 0, 1, seed) for seed in range(20) for place in range(48)]
    for field, values in (
        ("field_colour", COLOURS), ("shape", SHAPES), ("shape_colour", COLOURS),
        ("count", COUNTS), ("arrangement", ARRANGEMENTS), ("band", ("", *BANDS)),
        ("mark", ("", *MARKS)), ("corner", ("", *CORNERS)),
    ):  # fmt: skip
        assert {getattr(emblem, field) for emblem in emblems} == set(values)


@pytest.mark.parametrize("seed", range(30))
def test_a_small_home_realm_is_varied_whatever_the_seed(seed: int) -> None:
    emblems = [make_emblem(place, 0, 1, seed) for place in range(48)]
    assert len({emblem.shape for emblem in emblems}) >= 6
    assert len({emblem.field_colour for emblem in emblems}) >= 6
    assert len({emblem.count for emblem in emblems}) == len(COUNTS)


# To the eye


@pytest.mark.parametrize("outline", OUTLINES)
def test_any_one_difference_is_seen(outline: str) -> None:
    """Each shape, count and place, then each band and mark, in the worst colours for it."""
    plain = [
        Emblem(outline, shape=s, count=c, arrangement=a, **RED_ON_BLACK)
        for s, c, a in itertools.product(SHAPES, COUNTS, ARRANGEMENTS)
    ]
    for one, other in itertools.combinations(plain, 2):
        if sum(getattr(one, n) != getattr(other, n) for n in ("shape", "count", "arrangement")) < 2:
            assert differing(one, other) >= 100, (one, other)


@pytest.mark.parametrize("outline", OUTLINES)
@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_marks_and_bands_are_seen_beside_shapes_and_rims_of_their_colour(
    outline: str, arrangement: str
) -> None:
    for shape, count, rim in itertools.product(("square", "moon", "bar"), COUNTS, ("", "rim")):
        bare = Emblem(outline, "black", shape, "red", count, arrangement, rim, "red" if rim else "")
        marked = [
            dataclasses.replace(bare, mark=mark, mark_colour="red", corner=corner)
            for mark, corner in itertools.product(MARKS, CORNERS)
        ]
        banded = [dataclasses.replace(bare, band=b, band_colour="red") for b in BANDS]
        for group in (
            [bare, *marked],
            [dataclasses.replace(bare, band="", band_colour=""), *banded],
        ):
            for one, other in itertools.combinations(group, 2):
                assert differing(one, other) >= 50, (one, other)


def test_random_pairs_are_told_apart() -> None:
    for number in range(300):
        one, other = random_emblem(1, number), random_emblem(2, number)
        assert one == other or differing(one, other) >= 50


def test_colours_are_told_apart() -> None:
    for one, other in itertools.combinations(COLOURS, 2):
        fields = [Emblem("square", colour, "bar", "red", "one", "line") for colour in (one, other)]
        assert differing(*fields) > SIDE * SIDE / 2


@pytest.mark.parametrize("colour", COLOURS)
def test_outlines_are_told_apart_on_every_ground(colour: str) -> None:
    """What tells familiar from foreign is seen on white cloth too."""
    other = "red" if colour != "red" else "blue"
    emblems = [Emblem(outline, colour, "star", other, "two", "line") for outline in OUTLINES]
    for one, two in itertools.combinations(emblems, 2):
        assert differing(one, two) >= 300, (one, two)


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_can_be_counted(shape: str) -> None:
    """As many separate regions as the words say, at full size and at half."""
    for outline, count, arrangement in itertools.product(OUTLINES, COUNTS, ARRANGEMENTS):
        for detail in DETAILS:
            emblem = Emblem(
                outline, shape=shape, count=count, arrangement=arrangement, **RED_ON_BLACK, **detail
            )
            for scale in (1, 2):
                seen = np.asarray(draw_emblem(emblem).reduce(scale), dtype=int)
                red = seen[..., 0] - seen[..., 1] > 90
                assert components(red) == COUNTS.index(count) + 1, emblem


def test_a_drawing_has_the_promised_form() -> None:
    picture = draw_emblem(random_emblem(3))
    assert (picture.mode, picture.size) == ("RGB", (SIDE, SIDE))


def test_a_photograph_differs_and_follows_from_its_generator() -> None:
    picture = draw_emblem(random_emblem(4))
    same = [photograph(picture, generator(1)).tobytes() for _ in range(2)]
    assert same[0] == same[1] != photograph(picture, generator(2)).tobytes()
    seen = photograph(picture, generator(1))
    assert (seen.mode, seen.size) == (picture.mode, picture.size)
    assert seen.tobytes() != picture.tobytes()


def test_a_photograph_is_nearer_to_its_own_emblem_than_to_others() -> None:
    """Light, tilt and noise leave the emblem recognisable: mean distance over coarse pixels."""

    def coarse(picture: Picture) -> np.ndarray:
        small = np.asarray(picture.reduce(14), dtype=float)
        return (small - small.mean((0, 1))).ravel()

    emblems = [random_emblem(i, 50) for i in range(60)]
    clean = np.stack([coarse(draw_emblem(emblem)) for emblem in emblems])
    right = 0
    for i, emblem in enumerate(emblems):
        seen = coarse(photograph(draw_emblem(emblem), generator(draw(6, i))))
        right += int(np.abs(clean - seen).mean(axis=1).argmin()) == i
    assert right >= 45
