"""Single skills, drilled before and between demonstrations: seeing, copying, recalling, reading.

A small model made from scratch has none of what a pretrained one brings. Each drill is one
question and one answer about Atlas, in the words of its episodes. Without captions it does not
come to see, and without copying it does not read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from algos.demonstrations import Dialogue
from mmsr_env.atlas.chance import draw
from mmsr_env.atlas.drawing import draw_emblem, photograph
from mmsr_env.atlas.emblems import random_emblem
from mmsr_env.atlas.facts import ATTRIBUTES
from mmsr_env.atlas.questions import fact_question
from mmsr_env.atlas.world import Entity, Split, World
from mmsr_env.types import Block, Message

Drill = Callable[[World, np.random.Generator], Dialogue]


def caption(world: World, rng: np.random.Generator) -> Dialogue:
    """What an emblem shows: outline, colours, shape, count."""
    emblem = random_emblem(world.seed, int(rng.integers(1 << 62)))
    said = f" {emblem.outline} {emblem.field_colour} {emblem.count} {emblem.shape_colour}"
    return _drill((photograph(draw_emblem(emblem), rng), " Describe."), f"{said} {emblem.shape}")


def copy(world: World, rng: np.random.Generator) -> Dialogue:
    """A list of names and words, said again."""
    words = [_train_entity(world, rng).name for _ in range(int(rng.integers(1, 4)))]
    words += [str(rng.choice(values)) for values in ATTRIBUTES.values() if rng.random() < 0.3]
    rng.shuffle(words)
    said = "".join(f" {word}" for word in words)
    return _drill((f" Repeat:{said}",), said)


def recall(world: World, rng: np.random.Generator) -> Dialogue:
    """A familiar entity, by picture or by name: what it is called, or one of its facts."""
    entity = world.entity(int(rng.integers(world.familiar)))
    by_name = rng.random() < 0.4
    question, answer = fact_question(entity, int(rng.integers(len(ATTRIBUTES))), by_name)
    if by_name:
        return _drill((f" {question}",), f"<answer> {answer}</answer>")
    picture = photograph(draw_emblem(entity.emblem), rng)
    if rng.random() < 0.5:
        return _drill((picture, " Name."), f" {entity.name}")
    return _drill((picture, f" {question}"), f"<answer> {answer}</answer>")


def read(world: World, rng: np.random.Generator) -> Dialogue:
    """A fact, found among passages about an entity, its namesakes and strangers."""
    entity = _train_entity(world, rng)
    number = int(rng.integers(len(ATTRIBUTES)))
    attribute = tuple(ATTRIBUTES)[number]
    others = [_train_entity(world, rng) for _ in range(int(rng.integers(0, 3)))]
    values = {entity.name: entity.facts[attribute]}
    for other in others:  # none of whom may go by the entity's own name
        values.setdefault(_mixed(entity.name, other.name, rng), other.facts[attribute])
    lines = [f" {name}: Its {attribute} is {value}." for name, value in values.items()]
    rng.shuffle(lines)
    question, answer = fact_question(entity, number, by_name=True)
    text = "<information>" + "\n".join(lines) + f"</information> {question}"
    return _drill((text,), f"<answer> {answer}</answer>")


DRILLS: Mapping[str, Drill] = {"caption": caption, "copy": copy, "recall": recall, "read": read}


def _drill(question: tuple[Block, ...], answer: str) -> Dialogue:
    return Dialogue((Message("user", question),), ((answer, None),))


def _train_entity(world: World, rng: np.random.Generator) -> Entity:
    """A foreign entity of the training split."""
    while True:
        index = world.familiar + draw(int(rng.integers(1 << 62))) % (world.size - world.familiar)
        if world.split(index) is Split.TRAIN:
            return world.entity(index)


def _mixed(name: str, other: str, rng: np.random.Generator) -> str:
    """The other name, or a namesake made of one word of each."""
    (first, second), (third, fourth) = name.split(), other.split()
    return (f"{third} {fourth}", f"{first} {fourth}", f"{third} {second}")[int(rng.integers(3))]
