"""Masked sums and means and the three ways to aggregate, against the plain oracle."""

from __future__ import annotations

import math

import oracles
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from algos.base import Scale
from algos.masking import (
    Aggregate,
    aggregate,
    check_aggregate,
    count_scale,
    masked,
    masked_mean,
    masked_sum,
)
from mmsr_env.errors import InvalidSettingError, UnknownNameError

MASK = torch.tensor([[False, True, True, False], [False, True, False, False], [False] * 4])
VALUES = torch.tensor([[9.0, 1.0, 3.0, 9.0], [9.0, 8.0, 9.0, 9.0], [9.0] * 4])
SCALE = Scale(sequences=3, tokens=3)


@pytest.mark.parametrize("outside", [9.0, math.nan, math.inf])
def test_by_hand(outside: float) -> None:
    values = VALUES.masked_fill(~MASK, outside)
    assert masked(values, MASK).tolist() == [[0, 1, 3, 0], [0, 8, 0, 0], [0, 0, 0, 0]]
    assert masked_sum(values, MASK).tolist() == [4, 8, 0]
    assert masked_mean(values, MASK).tolist() == [2, 8, 0]
    assert float(aggregate(values, MASK, Aggregate.TOKEN, SCALE)) == pytest.approx(12 / 3)
    assert float(aggregate(values, MASK, Aggregate.SEQUENCE, SCALE)) == pytest.approx(10 / 3)
    assert float(aggregate(values, MASK, Aggregate.FIXED, SCALE, 5)) == pytest.approx(12 / 15)


def test_counts() -> None:
    assert count_scale(MASK) == SCALE


def test_nothing_sampled_is_zero() -> None:
    mask = torch.zeros(2, 3, dtype=torch.bool)
    values = torch.full((2, 3), math.nan, requires_grad=True)
    for how, length in ((Aggregate.TOKEN, None), (Aggregate.SEQUENCE, None), (Aggregate.FIXED, 2)):
        total = aggregate(values, mask, how, count_scale(mask), length)
        (gradient,) = torch.autograd.grad(total, values)
        assert float(total.detach()) == 0
        assert (gradient == 0).all()
    empty = torch.zeros(0, 3)
    assert float(aggregate(empty, empty.bool(), Aggregate.SEQUENCE, Scale(0, 0))) == 0


@st.composite
def minibatches(draw: st.DrawFn) -> tuple[list[list[float]], list[list[bool]]]:
    rows, length = draw(st.integers(1, 5)), draw(st.integers(1, 6))
    numbers = st.lists(st.floats(-10, 10), min_size=length, max_size=length)
    flags = st.lists(st.booleans(), min_size=length, max_size=length)
    return (
        draw(st.lists(numbers, min_size=rows, max_size=rows)),
        draw(st.lists(flags, min_size=rows, max_size=rows)),
    )


@settings(deadline=None)
@given(minibatches(), st.sampled_from(Aggregate), st.integers(1, 9))
def test_as_the_oracle_whole_and_row_by_row(
    minibatch: tuple[list[list[float]], list[list[bool]]], how: Aggregate, length: int
) -> None:
    values, flags = minibatch
    scale = Scale(len(flags), sum(map(sum, flags)))
    expected = oracles.aggregate(values, flags, how, *scale, length)
    fixed = length if how is Aggregate.FIXED else None
    tensor, mask = torch.tensor(values, dtype=torch.float64), torch.tensor(flags)
    whole = aggregate(tensor, mask, how, scale, fixed)
    shares = sum(
        aggregate(tensor[b : b + 1], mask[b : b + 1], how, scale, fixed) for b in range(len(flags))
    )
    assert float(whole) == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert float(shares) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_an_unknown_way_offers_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="mean 'sequence'"):
        check_aggregate("sequences", None)


@pytest.mark.parametrize("length", [None, 0, -3, 2.0, True, "8"])
def test_fixed_needs_a_length(length: object) -> None:
    check_aggregate("fixed", 8)
    with pytest.raises(InvalidSettingError, match=f"needs fixed_length.*got {length!r}"):
        check_aggregate("fixed", length)  # type: ignore[arg-type]


@pytest.mark.parametrize("how", ["token", "sequence"])
def test_a_length_that_nothing_reads_fails(how: str) -> None:
    check_aggregate(how, None)
    with pytest.raises(InvalidSettingError, match="read only with aggregate='fixed', got 8"):
        check_aggregate(how, 8)
    with pytest.raises(InvalidSettingError):
        aggregate(VALUES, MASK, Aggregate(how), SCALE, 8)
