"""Atlas as a corpus for a search index: pages and pictures, written and drawn when asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from typing import overload

from mmsr_env.atlas.chance import draw
from mmsr_env.atlas.drawing import draw_emblem
from mmsr_env.atlas.facts import ATTRIBUTES
from mmsr_env.atlas.world import Entity, World
from mmsr_env.search.local.corpus import IndexedPicture, Page
from mmsr_env.types import Picture


class AtlasPages(Sequence[Page]):
    """Every entity's own page, then the tales that there are.

    Args:
        world: The world; nothing of it is held but the numbers of the entities with a tale.
    """

    def __init__(self, world: World) -> None:
        self.world = world

    @cached_property
    def _tales(self) -> list[int]:
        return [i for i in range(self.world.size) if self.world.has_tale(i)]

    def __len__(self) -> int:
        return self.world.size + len(self._tales)

    @overload
    def __getitem__(self, index: int) -> Page: ...
    @overload
    def __getitem__(self, index: slice) -> list[Page]: ...
    def __getitem__(self, index: int | slice) -> Page | list[Page]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        if index < self.world.size:
            return own_page(self.world.entity(index))
        return _tale(self.world, self._tales[index - self.world.size])

    def __iter__(self) -> Iterator[Page]:
        return (self[i] for i in range(len(self)))


class AtlasPictures(Sequence[IndexedPicture]):
    """Every entity's emblem, titled with its name."""

    def __init__(self, world: World) -> None:
        self.world = world

    def __len__(self) -> int:
        return self.world.size

    @overload
    def __getitem__(self, index: int) -> IndexedPicture: ...
    @overload
    def __getitem__(self, index: slice) -> list[IndexedPicture]: ...
    def __getitem__(self, index: int | slice) -> IndexedPicture | list[IndexedPicture]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        entity = self.world.entity(index := range(len(self))[index])
        return IndexedPicture(entity.name, entity.url, partial(entity_picture, self.world, index))

    def __iter__(self) -> Iterator[IndexedPicture]:
        return (self[i] for i in range(len(self)))


def entity_picture(world: World, index: int) -> Picture:
    """The picture of an entity as its page shows it."""
    return draw_emblem(world.entity(index).emblem)


def own_page(entity: Entity) -> Page:
    """An entity's own page: what it is, then its facts, a sentence each, in an order of its own."""
    order = sorted(ATTRIBUTES, key=lambda name: draw(entity.index, 7, *name.encode()))
    facts = " ".join(f"Its {name} is {entity.facts[name]}." for name in order)
    text = f"{entity.name} is a {entity.kind} of {entity.realm_name}. {facts}"
    return Page(entity.url, entity.name, text)


def _tale(world: World, index: int) -> Page:
    """A page about meeting an entity that tells another one's facts: a trap for quick readers."""
    hero = world.entity(index)
    away = 1 + draw(world.seed, 8, index) % (world.size - 1)  # so that it is another one
    other = world.entity((index + away) % world.size)
    facts = " ".join(
        f"At {hero.name} they praised a {name}: {value}." for name, value in other.facts.items()
    )
    title = f"Tales of {hero.name}"
    text = f"{hero.name} was once visited by {other.name}. {facts}"
    return Page(f"{hero.url}/tales", title, text)
