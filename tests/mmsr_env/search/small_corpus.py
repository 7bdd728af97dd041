"""A corpus drawn here and now, for the tests of local search: things, each with page and emblem."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from PIL import Image, ImageDraw

from mmsr_env.search.local.corpus import IndexedPicture, Page

COLOURS = ("#c02020", "#2040c0", "#209040", "#f0d030", "#202020", "#f8f8f8", "#8030a0", "#f08020")
FRUITS = ("apple", "banana", "cherry", "damson", "elderberry", "fig", "grape")
SIZE = 40


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that a page tells of and a picture shows."""

    number: int

    @property
    def name(self) -> str:
        return f"Thing{self.number}"

    @property
    def url(self) -> str:
        return f"things://{self.number}"


def page(thing: Thing) -> Page:
    fruit = FRUITS[thing.number % len(FRUITS)]
    text = f"{thing.name} is a thing. Its fruit is {fruit}. Its number is {thing.number}."
    return Page(thing.url, thing.name, text)


def draw(thing: Thing, side: int = 140) -> Image.Image:
    """An emblem that no other thing has: field, colour of the charges, their corners and count."""
    code, field = divmod(thing.number, 8)
    code, count = divmod(code, 3)
    corners = (3, 4, 30)[code % 3]
    picture = Image.new("RGB", (side, side), COLOURS[field])
    pen = ImageDraw.Draw(picture)
    for i in range(count + 1):
        x, radius = side * (i + 1) / (count + 2), side * 0.35 / (count + 1)
        turns = [2 * math.pi * c / corners - math.pi / 2 for c in range(corners)]
        points = [(x + radius * math.cos(a), side / 2 + radius * math.sin(a)) for a in turns]
        pen.polygon(points, fill=COLOURS[(field + 3) % 8])
    return picture


def things(count: int = SIZE) -> list[Thing]:
    return [Thing(number) for number in range(count)]


def pages(count: int = SIZE) -> Sequence[Page]:
    return [page(thing) for thing in things(count)]


def pictures(count: int = SIZE) -> Sequence[IndexedPicture]:
    return [IndexedPicture(thing.name, thing.url, partial(draw, thing)) for thing in things(count)]
