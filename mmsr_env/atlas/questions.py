"""Questions about Atlas: tasks that follow from the world, a split and a number."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import overload

import numpy as np

from mmsr_env.atlas.chance import chance, draw, generator
from mmsr_env.atlas.drawing import draw_emblem, photograph
from mmsr_env.atlas.emblems import Emblem
from mmsr_env.atlas.facts import ATTRIBUTES
from mmsr_env.atlas.world import Entity, Split, World
from mmsr_env.errors import InvalidSettingError
from mmsr_env.tasks.base import UnknownTaskError
from mmsr_env.types import Category, Task


class QuestionKind(StrEnum):
    """What a question needs."""

    PICTURE_FACT = "picture_fact"  # an image search, then a text search
    NAMED_FACT = "named_fact"  # a text search
    VISIBLE = "visible"  # looking
    FAMILIAR = "familiar"  # memory, by picture or by name


PAPER_MIX: Mapping[str, float] = {
    QuestionKind.PICTURE_FACT: 2.0,
    QuestionKind.NAMED_FACT: 2.0,
    QuestionKind.VISIBLE: 1.0,
    QuestionKind.FAMILIAR: 1.0,
}
"""Two thirds need a search, as in FVQA."""

_SPLIT_KEYS = {Split.TRAIN: 1, Split.VALIDATION: 2, Split.TEST: 3}


class AtlasTasks(Sequence[Task]):
    """A task set: task i is always the same, and is made when it is asked for.

    Args:
        world: The world that is asked about.
        split: Whose entities are asked about where a search is needed, and shown where
            looking is enough. The home realm is common to all splits.
        count: How many tasks there are.
        seed: Another seed gives other questions about the same entities.
        mix: Relative frequency of each kind; a kind that is left out does not occur.
    """

    def __init__(
        self,
        world: World,
        split: Split | str = Split.TRAIN,
        count: int = 100_000,
        seed: int = 0,
        mix: Mapping[str, float] | None = None,
    ) -> None:
        if split not in tuple(_SPLIT_KEYS):
            raise InvalidSettingError(
                f"split must be one of {[s.value for s in _SPLIT_KEYS]}, got {split!r}"
            )
        if count < 1:
            raise InvalidSettingError(f"count must be 1 or more, got {count!r}")
        self.world = world
        self.split = Split(split)
        self._count = count
        self.seed = seed
        self._kinds, self._bounds = _cumulated(PAPER_MIX if mix is None else mix)

    @property
    def name(self) -> str:
        """What the task set is called in tables."""
        return f"atlas-{self.split}"

    def index_of(self, task_id: str) -> int:
        """The number of the task with that id.

        Raises:
            UnknownTaskError: No task of this set has it.
        """
        stem, _, number = task_id.rpartition("-")
        ours = stem == f"atlas-{self.split}-{self.seed}"
        if ours and re.fullmatch(r"0|[1-9]\d{0,8}", number) and int(number) < self._count:
            return int(number)
        raise UnknownTaskError(f"none of the {self._count} tasks has the id {task_id!r}")

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Task: ...
    @overload
    def __getitem__(self, index: slice) -> list[Task]: ...
    def __getitem__(self, index: int | slice) -> Task | list[Task]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = range(self._count)[index]
        keys = (self.world.seed, 9, self.seed, _SPLIT_KEYS[self.split], index)
        kind = self._kinds[int(np.searchsorted(self._bounds, chance(1, *keys), side="right"))]
        return self._make(kind, f"atlas-{self.split}-{self.seed}-{index}", keys)

    def __iter__(self) -> Iterator[Task]:
        return (self[i] for i in range(self._count))

    def _make(self, kind: QuestionKind, task_id: str, keys: tuple[int, ...]) -> Task:
        foreign = self._foreign(2, *keys)
        subject = shown = foreign
        by_name = kind is QuestionKind.NAMED_FACT
        if kind is QuestionKind.FAMILIAR:
            subject = shown = self.world.entity(draw(3, *keys) % self.world.familiar)
            by_name = draw(4, *keys) % 2 == 0
        if by_name:
            shown = self._foreign(5, *keys)
        if kind is QuestionKind.VISIBLE:
            question, answer = visible_question(shown.emblem, draw(6, *keys))
        else:
            question, answer = fact_question(subject, draw(6, *keys), by_name)
        free = kind in (QuestionKind.VISIBLE, QuestionKind.FAMILIAR)
        return Task(
            id=task_id,
            question=question,
            image=photograph(draw_emblem(shown.emblem), generator(7, *keys)),
            answers=(answer,),
            category=Category.SEARCH_FREE if free else Category.SEARCH_REQUIRED,
            kind=kind.value,
            source="atlas",
            metadata={"entity": subject.name, "shown": shown.name},
        )

    def _foreign(self, *keys: int) -> Entity:
        """Some entity of the split, chosen by the keys; every split has some."""
        foreign, attempt = self.world.size - self.world.familiar, 0
        while True:
            index = self.world.familiar + draw(attempt, *keys) % foreign
            if self.world.split(index) is self.split:
                return self.world.entity(index)
            attempt += 1


def fact_question(entity: Entity, number: int, by_name: bool) -> tuple[str, str]:
    """A question about a fact, and its answer.

    Args:
        entity: What is asked about.
        number: Chooses the attribute.
        by_name: Whether the question names the entity, or means what the picture shows.
    """
    attribute = tuple(ATTRIBUTES)[number % len(ATTRIBUTES)]
    named = entity.name if by_name else f"this {entity.kind}"
    return f"What is the {attribute} of {named}?", entity.facts[attribute]


def visible_question(emblem: Emblem, number: int) -> tuple[str, str]:
    """A question about what an emblem shows, and its answer; `number` chooses it."""
    return (
        ("What colour is the ground of the emblem?", emblem.field_colour),
        ("What colour are the shapes on the emblem?", emblem.shape_colour),
        ("What shapes are on the emblem?", emblem.shape),
        ("How many shapes are on the emblem?", emblem.count),
    )[number % 4]


def _cumulated(mix: Mapping[str, float]) -> tuple[tuple[QuestionKind, ...], np.ndarray]:
    known = [kind.value for kind in QuestionKind]
    if unknown := sorted(set(mix) - set(known)):
        raise InvalidSettingError(f"mix has unknown kinds {unknown}; known: {known}")
    weights = np.array([float(mix.get(kind, 0.0)) for kind in QuestionKind])
    if (weights < 0).any() or not 0 < weights.sum() < np.inf:
        raise InvalidSettingError(f"mix must have weights of 0 or more, one above 0, got {mix}")
    kept = tuple(kind for kind, weight in zip(QuestionKind, weights, strict=True) if weight > 0)
    weights = weights[weights > 0]
    bounds = np.cumsum(weights) / weights.sum()
    bounds[-1] = 1.0
    return kept, bounds
