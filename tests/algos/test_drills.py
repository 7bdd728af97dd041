"""Drills: one question each, answered by what it shows or by what is familiar."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_runs import WORLD

from algos.drills import DRILLS, caption, copy, read, recall
from mmsr_env.atlas.drawing import SIDE
from mmsr_env.atlas.emblems import COLOURS, COUNTS, OUTLINES, SHAPES
from mmsr_env.atlas.facts import ATTRIBUTES
from mmsr_env.atlas.world import Entity, Split

ENTITIES = {WORLD.entity(index).name: WORLD.entity(index) for index in range(WORLD.size)}
seeds = st.integers(0, 2**32)
checked = settings(max_examples=80, deadline=None)


def drilled(drill, seed: int):
    """The drill's question, without pictures, how many pictures, and the answer."""
    dialogue = drill(WORLD, np.random.default_rng(seed))
    (message,), ((answer, reply),) = dialogue.opening, dialogue.turns
    assert (message.role, reply) == ("user", None)
    assert all(picture.size == (SIDE, SIDE) for picture in message.images)
    return message.text, len(message.images), answer


def split(entity: Entity) -> Split:
    return WORLD.split(entity.index)


@checked
@given(seeds)
def test_a_caption_says_what_emblems_can_show(seed: int) -> None:
    question, pictures, answer = drilled(caption, seed)
    assert (question, pictures) == (" Describe.", 1)
    outline, field, count, colour, shape = answer.split()
    assert {field, colour} <= {*COLOURS}
    assert (outline in OUTLINES, count in COUNTS, shape in SHAPES) == (True, True, True)
    assert field != colour


@checked
@given(seeds)
def test_copies_repeat_names_of_training_entities_and_words(seed: int) -> None:
    question, pictures, answer = drilled(copy, seed)
    assert (question, pictures) == (f" Repeat:{answer}", 0)
    names = re.findall(r"[A-Z]\w+ [A-Z]\w+", answer)
    assert names
    assert {split(ENTITIES[name]) for name in names} == {Split.TRAIN}
    words = set(re.sub(r"[A-Z]\w+", "", answer).split())
    assert words <= {value for values in ATTRIBUTES.values() for value in values}


@checked
@given(seeds)
def test_what_is_recalled_is_familiar(seed: int) -> None:
    question, pictures, answer = drilled(recall, seed)
    if question == " Name.":
        assert split(ENTITIES[answer.strip()]) is Split.HOME
        return
    value = answer.removeprefix("<answer> ").removesuffix("</answer>")
    attribute, named = re.fullmatch(r" What is the (\w+) of (.+)\?", question).groups()
    if pictures:
        assert named.startswith("this ")
        homes = [e for e in ENTITIES.values() if split(e) is Split.HOME]
        assert any(e.kind == named[5:] and e.facts[attribute] == value for e in homes)
    else:
        assert split(ENTITIES[named]) is Split.HOME
        assert ENTITIES[named].facts[attribute] == value


@checked
@given(seeds)
def test_what_is_read_stands_in_one_line_alone(seed: int) -> None:
    question, pictures, answer = drilled(read, seed)
    body, asked = re.fullmatch(r"<information>(.*)</information> (.*)", question, re.S).groups()
    attribute, named = re.fullmatch(r"What is the (\w+) of (.+)\?", asked).groups()
    lines = body.split("\n")
    own = [line for line in lines if line.startswith(f" {named}:")]
    value = ENTITIES[named].facts[attribute]
    assert own == [f" {named}: Its {attribute} is {value}."]
    assert (pictures, answer) == (0, f"<answer> {value}</answer>")
    assert 1 <= len(lines) <= 3
    assert split(ENTITIES[named]) is Split.TRAIN


def test_no_passage_contradicts_another_about_what_is_asked() -> None:
    """In a small world a namesake made of two names is now and then the entity itself."""
    for seed in range(1500):
        dialogue = read(WORLD, np.random.default_rng(seed))
        text = dialogue.opening[0].text
        named = re.search(r" of (.+)\?$", text).group(1)
        assert text.count(f" {named}:") == 1


@pytest.mark.parametrize("name", DRILLS)
def test_equal_generators_give_equal_drills_and_others_others(name: str) -> None:
    drill = DRILLS[name]
    first, second, third = (drill(WORLD, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == second
    assert first != third
