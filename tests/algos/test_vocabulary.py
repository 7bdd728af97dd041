"""The tokenizer that the vocabulary's texts give: what is one token, and that nothing is lost."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from algos.demonstrations import REASONS
from algos.tiny import PROTOCOL_TAGS, make_tokenizer
from algos.vocabulary import atlas_texts
from mmsr_env.atlas import World
from mmsr_env.atlas.emblems import COLOURS, COUNTS, SHAPES
from mmsr_env.atlas.facts import ATTRIBUTES

VALUES = [value for values in ATTRIBUTES.values() for value in values]


@cache
def tokenizer() -> Any:
    return make_tokenizer(atlas_texts(), PROTOCOL_TAGS, 1300, 4096)


@pytest.mark.parametrize("word", [*VALUES, *ATTRIBUTES, *COLOURS, *COUNTS, *SHAPES])
def test_a_word_that_may_be_an_answer_is_one_token(word: str) -> None:
    """A value of several tokens is learned much later."""
    assert len(tokenizer().encode(f" {word}")) == 1


def test_reasons_begin_with_tokens_that_tell_them_apart() -> None:
    """The decision is the first token after <reason>, at most the second."""
    begun = {tuple(tokenizer().encode(f" {reason}")[:2]) for reason in REASONS}
    assert len(begun) == len(REASONS)


def test_a_name_takes_few_tokens_and_the_same_wherever_it_stands() -> None:
    world = World(size=20_000)
    for index in range(0, 20_000, 97):
        name = world.entity(index).name
        ids = tokenizer().encode(f" {name}")
        assert len(ids) <= 8
        for frame in (
            "What is the oak of{}?",
            "<text_search>{} beast",
            "\n{}: Its",
            "Repeat:{} oak",
        ):
            whole = tokenizer().encode(frame.format(f" {name}"))
            places = range(len(whole) - len(ids) + 1)
            assert any(whole[place : place + len(ids)] == ids for place in places)


def test_any_text_survives() -> None:
    for text in ("Kim Rul é 日本\n\t<b>  two  </b>", "<reason> x</reason><answer> y</answer>", ""):
        assert tokenizer().decode(tokenizer().encode(text)) == text


def test_the_texts_are_always_the_same() -> None:
    assert list(atlas_texts()) == list(atlas_texts())
