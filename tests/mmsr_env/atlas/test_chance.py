"""Stateless chance: the same keys give the same numbers, and permutations permute."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsr_env.atlas.chance import chance, draw, generator, shuffled

MASK = (1 << 64) - 1
keys = st.lists(st.integers(-(2**70), 2**70), min_size=1, max_size=5)


def undo(number: int) -> int:
    """The key that `draw` makes the number of: splitmix64's steps taken back."""

    def unfold(value: int, by: int) -> int:
        whole = value
        for _ in range(64 // by + 1):
            whole = value ^ (whole >> by)
        return whole

    number = unfold(number, 31)
    number = unfold(number * pow(0x94D049BB133111EB, -1, 1 << 64) & MASK, 27)
    number = unfold(number * pow(0xBF58476D1CE4E5B9, -1, 1 << 64) & MASK, 30)
    return (number - 0x9E3779B97F4A7C15) & MASK


def test_known_numbers_of_splitmix64() -> None:
    """The first output for state 0, as published with the algorithm."""
    assert draw(0) == 0xE220A8397B1DCDAF


@given(keys)
def test_a_number_follows_from_its_keys(these: list[int]) -> None:
    assert draw(*these) == draw(*these)
    assert 0 <= draw(*these) <= MASK
    assert draw(*these) != draw(*these, 0)


def test_the_order_of_keys_matters() -> None:
    assert draw(1, 2) != draw(2, 1)


def test_numpys_integers_are_keys_like_any_other() -> None:
    big = np.int64(2**62)
    assert draw(np.int64(3), big, np.uint8(1)) == draw(3, 2**62, 1)


def test_chance_never_reaches_1() -> None:
    assert draw(undo(MASK)) == MASK
    assert chance(undo(MASK)) < 1.0
    assert chance(undo(0)) == 0.0


def test_chance_is_spread_evenly() -> None:
    counts = Counter(int(chance(5, i) * 10) for i in range(20_000))
    assert set(counts) == set(range(10))
    assert all(1800 < count < 2200 for count in counts.values())


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 48, 100, 1548, 2560, 5376])
def test_shuffling_is_a_permutation(size: int) -> None:
    for seed in range(3):
        assert sorted(shuffled(i, size, seed, 7) for i in range(size)) == list(range(size))


def test_a_permutation_follows_from_its_keys() -> None:
    orders = {tuple(shuffled(i, 100, seed) for i in range(100)) for seed in range(50)}
    assert len(orders) == 50


def test_neighbours_do_not_stay_together() -> None:
    """Steps between the places of neighbours vary: an affine map would have one or two."""
    for seed in range(20):
        places = [shuffled(i, 5376, seed) for i in range(48)]
        assert len({(b - a) % 5376 for a, b in pairwise(places)}) > 20


@pytest.mark.parametrize("index", [-1, 10])
def test_a_place_outside_the_permutation_is_refused(index: int) -> None:
    with pytest.raises(ValueError, match="index"):
        shuffled(index, 10, 1)


def test_global_random_state_is_not_touched() -> None:
    before = random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index]
    assert generator(1, 2).random() == generator(1, 2).random() != generator(1, 3).random()
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before  # type: ignore[index]
