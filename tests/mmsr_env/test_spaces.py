"""Utterance and Picture: what they contain, how they sample, and how they travel."""

import copy
import json
import pickle

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from mmsr_env.errors import InvalidSettingError, UnknownNameError
from mmsr_env.protocol.grammar import MMSearchR1Grammar
from mmsr_env.spaces import Picture, Utterance
from mmsr_env.types import ActionKind

ANY_TEXT = st.text(st.characters())  # lone surrogates included


@given(ANY_TEXT)
def test_any_text_is_an_utterance(text):
    assert text in Utterance()


@given(ANY_TEXT, st.integers(0, 20))
def test_length_decides(text, most):
    assert (text in Utterance(most)) == (len(text) <= most)


@pytest.mark.parametrize("value", [None, 3, b"text", ["text"], np.zeros(3)])
def test_what_is_no_text_is_no_utterance(value):
    assert value not in Utterance()


def test_the_empty_text_is_an_utterance_of_length_zero():
    assert "" in Utterance(0)
    assert Utterance(0, seed=0).sample() == ""


@given(st.integers(0, 2**31), st.integers(0, 40))
def test_samples_are_contained(seed, most):
    space = Utterance(most, seed=seed)
    assert all(space.sample() in space for _ in range(20))


def test_samples_are_legal_and_illegal_messages():
    space, parse = Utterance(seed=0), MMSearchR1Grammar().parse
    actions = [parse(space.sample()) for _ in range(400)]
    kinds = {action.kind for action in actions}
    assert kinds == set(ActionKind)
    legal = sum(action.well_formed for action in actions) / len(actions)
    assert 0.35 < legal < 0.75


def test_samples_hold_what_is_hard_to_encode():
    space = Utterance(seed=0)
    together = "".join(space.sample() for _ in range(400))
    assert "\ud800" in together
    assert "\x00" in together
    assert any(ord(char) > 0xFFFF for char in together)


@pytest.mark.parametrize("make", [Utterance, Picture])
def test_the_same_seed_gives_the_same_samples(make):
    def samples(space):
        return [np.asarray(space.sample()).tolist() for _ in range(30)]

    one, other, third = make(seed=7), make(seed=7), make(seed=8)
    drawn = samples(one)
    assert drawn == samples(other)
    assert drawn != samples(third)
    one.seed(7)
    assert drawn == samples(one)


@pytest.mark.parametrize("make", [Utterance, Picture])
@pytest.mark.parametrize("again", [copy.deepcopy, lambda space: pickle.loads(pickle.dumps(space))])
def test_a_copy_is_equal_and_samples_alike(make, again):
    space = make(seed=3)
    space.sample()
    twin = again(space)
    assert twin == space
    assert np.array_equal(np.asarray(twin.sample()), np.asarray(space.sample()))


def test_equality_is_by_settings():
    assert Utterance(5) == Utterance(5, seed=1)
    assert Utterance(5) != Utterance(6)
    assert Utterance() != spaces.Text(5)
    assert Picture(5) == Picture(5, seed=1)
    assert Picture(5) != Picture(6)
    assert Picture() != Utterance()


def test_repr_tells_the_settings():
    assert repr(Utterance(5)) == "Utterance(max_length=5, grammar='mmsearch_r1')"
    assert repr(Picture(5)) == "Picture(max_side=5)"


@pytest.mark.parametrize("make", [Utterance, Picture])
def test_samples_travel_as_json(make):
    space = make(seed=0)
    samples = [space.sample() for _ in range(30)]
    back = space.from_jsonable(json.loads(json.dumps(space.to_jsonable(samples))))
    assert len(back) == 30
    for sample, returned in zip(samples, back, strict=True):
        assert returned in space
        assert np.array_equal(np.asarray(sample), np.asarray(returned))


@given(st.integers(1, 40), st.integers(1, 40))
def test_a_picture_may_have_any_size_up_to_the_greatest(height, width):
    assert np.zeros((height, width, 3), np.uint8) in Picture(40)
    assert (np.zeros((height, width, 3), np.uint8) in Picture(20)) == (max(height, width) <= 20)


@pytest.mark.parametrize(
    "value",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 0, 3), np.uint8),
        [[[0, 0, 0]]],
        None,
    ],
)
def test_what_is_no_picture(value):
    assert value not in Picture()


@given(st.integers(0, 2**31), st.integers(1, 64))
def test_sampled_pictures_are_contained_and_small(seed, most):
    space = Picture(most, seed=seed)
    sample = space.sample()
    assert sample in space
    assert max(sample.shape) <= 32


def test_sampled_pictures_differ_in_size():
    space = Picture(seed=0)
    assert len({space.sample().shape for _ in range(20)}) > 10


@pytest.mark.parametrize("make", [Utterance, Picture])
def test_masks_are_refused(make):
    with pytest.raises(InvalidSettingError):
        make(seed=0).sample(mask=np.ones(3))
    with pytest.raises(InvalidSettingError):
        make(seed=0).sample(probability=np.ones(3))


def test_wrong_settings_are_refused():
    with pytest.raises(InvalidSettingError, match="max_length"):
        Utterance(-1)
    with pytest.raises(InvalidSettingError, match="max_side"):
        Picture(0)
    with pytest.raises(UnknownNameError, match="mmsearch_r1"):
        Utterance(grammar="mmsearch")


def test_they_fit_into_gymnasiums_containers():
    space = spaces.Dict({"text": Utterance(50), "images": spaces.Sequence(Picture(9))}, seed=1)
    samples = [space.sample() for _ in range(5)]
    assert all(sample in space for sample in samples)
    back = space.from_jsonable(json.loads(json.dumps(space.to_jsonable(samples))))
    assert all(sample in space for sample in back)
    assert [sample["text"] for sample in back] == [sample["text"] for sample in samples]
