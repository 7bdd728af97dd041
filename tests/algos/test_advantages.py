"""Group advantages: sizes, orders and ties, against the plain oracle."""

from __future__ import annotations

import math

import oracles
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from algos.advantages import (
    count_groups_without_variance,
    group_centred,
    group_deviation,
    group_normalised,
    group_sizes,
    has_variance,
    spread,
)

REWARDS = torch.tensor([1.0, 0.91, 0.0, 0.1, 0.1, 0.5, 0.0])
GROUPS = torch.tensor([5, -2, 5, 9, 9, 4, -2])


def test_by_hand() -> None:
    # Group 5 is {1, 0}: mean .5, sample deviation sqrt(.5); the population's would be .5.
    found = group_normalised(REWARDS, GROUPS, 1e-3)
    assert found[0] == pytest.approx(0.5 / math.sqrt(0.5))
    assert found[2] == pytest.approx(-0.5 / math.sqrt(0.5))
    assert group_centred(REWARDS, GROUPS)[1] == pytest.approx(0.455)
    assert group_deviation(REWARDS, GROUPS)[0] == pytest.approx(math.sqrt(0.5))
    assert group_centred(REWARDS, GROUPS).dtype == torch.float64  # float32 would round the sums
    assert group_sizes(GROUPS).tolist() == [2, 2, 2, 2, 2, 1, 2]


def test_equal_rewards_come_to_exactly_zero() -> None:
    # 0.1 seven times has a mean that is not 0.1 in floating point.
    for reward in (0.1, 0.91, 1 / 3):
        rewards = torch.full((7,), reward)
        groups = torch.zeros(7, dtype=torch.int64)
        assert (group_normalised(rewards, groups, 1e-12) == 0).all()
        assert not has_variance(rewards, groups).any()


def test_a_group_of_one_has_advantage_zero() -> None:
    assert group_normalised(REWARDS, GROUPS, 1e-3)[5] == 0
    assert group_deviation(REWARDS, GROUPS)[5] == 0
    assert not has_variance(REWARDS, GROUPS)[5]


def test_the_floor_holds_a_tiny_deviation_and_leaves_others_alone() -> None:
    rewards = torch.tensor([0.5, 0.5 + 1e-5])
    groups = torch.tensor([1, 1])
    tiny = group_normalised(rewards, groups, 1e-3)
    assert tiny.abs().max() < 0.01
    assert group_normalised(rewards, groups, 1e-9).abs().max() == pytest.approx(0.7071, rel=1e-3)
    # Floored and not added: a deviation above it is divided by as it is.
    large = group_normalised(torch.tensor([0.0, 1.0]), groups, 0.5)
    assert large.tolist() == pytest.approx([-math.sqrt(0.5), math.sqrt(0.5)])


@st.composite
def rewarded_groups(draw: st.DrawFn) -> tuple[list[float], list[int]]:
    size = draw(st.integers(1, 12))
    reward = st.sampled_from([0.0, 0.1, 0.81, 0.9, 0.91, 1.0]) | st.floats(0, 1, width=32)
    return (
        draw(st.lists(reward, min_size=size, max_size=size)),
        draw(st.lists(st.integers(-1, 3), min_size=size, max_size=size)),
    )


@settings(deadline=None)
@given(rewarded_groups(), st.sampled_from([1e-3, 0.3]))
def test_as_the_oracle(drawn: tuple[list[float], list[int]], floor: float) -> None:
    rewards, groups = drawn
    # In float64, so that what differs from the oracle is not the rounding of the input.
    args = (torch.tensor(rewards, dtype=torch.float64), torch.tensor(groups))
    found = group_normalised(*args, floor)
    assert found.dtype == torch.float32
    expected = oracles.group_advantages(rewards, groups, floor)
    assert found.tolist() == pytest.approx(expected, rel=1e-5, abs=1e-9)
    varied = oracles.groups_that_vary(rewards, groups)
    assert has_variance(*args).tolist() == varied
    flat = {group for group, varies in zip(groups, varied, strict=True) if not varies}
    assert count_groups_without_variance(*args) == len(flat)


@settings(deadline=None)
@given(rewarded_groups(), st.randoms(use_true_random=False))
def test_shuffled_rows_take_their_advantages_along(drawn: tuple, random: object) -> None:
    rewards, groups = torch.tensor(drawn[0]), torch.tensor(drawn[1])
    order = list(range(len(rewards)))
    random.shuffle(order)  # type: ignore[attr-defined]
    torch.testing.assert_close(
        group_normalised(rewards[order], groups[order], 1e-3),
        group_normalised(rewards, groups, 1e-3)[order],
    )


def test_spread_is_the_rows_number_where_the_mask_is_true() -> None:
    mask = torch.tensor([[False, True, True], [False, False, True]])
    assert spread(torch.tensor([2.0, -1.0]), mask).tolist() == [[0, 2, 2], [0, 0, -1]]
    assert spread(
        torch.tensor([math.nan, 3.0]), mask & torch.tensor([[False], [True]])
    ).tolist() == [
        [0, 0, 0],
        [0, 0, 3],
    ]
