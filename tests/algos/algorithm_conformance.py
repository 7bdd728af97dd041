"""What every algorithm must hold to, whatever its formula: one suite over the registry.

A check takes an algorithm and raises where it breaks the seam of `algos.base`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from batches import (
    LOGPROBS,
    make_batch,
    make_outputs,
    pad,
    pad_tokens,
    select_outputs,
    spoil,
)
from torch import Tensor

from algos.base import Algorithm
from algos.batch import Outputs, TokenBatch
from algos.masking import count_scale
from mmsr_env.errors import InvalidSettingError

SHUFFLED = torch.tensor([4, 1, 5, 0, 3, 2])
SPLITS = ([[0, 1, 2, 3, 4, 5]], [[r] for r in range(6)], [[5, 0], [3], [2, 4, 1]])
Found = tuple[float, list[Tensor], dict[str, float]]
EMPTY_ROW = 3  # the one of `batches.SHAPES` that sampled nothing


def _gradients(total: Tensor, outputs: Outputs) -> list[Tensor]:
    leaves = [leaf for leaf in outputs if leaf is not None]
    found = torch.autograd.grad(total, leaves, allow_unused=True)
    return [
        torch.zeros_like(leaf) if gradient is None else gradient
        for leaf, gradient in zip(leaves, found, strict=True)
    ]


def _run(algorithm: Algorithm, batch: TokenBatch, outputs: Outputs) -> Found:
    """Loss, gradients and metrics of a minibatch taken whole."""
    loss = algorithm.loss(
        batch, algorithm.advantages(batch), outputs, count_scale(batch.response_mask)
    )
    return float(loss.total.detach()), _gradients(loss.total, outputs), dict(loss.metrics)


def _same(left: Found, right: Found) -> None:
    assert left[0] == pytest.approx(right[0], rel=1e-9, abs=1e-12)
    for one, other in zip(left[1], right[1], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)
    assert left[2] == pytest.approx(right[2], rel=1e-5, abs=1e-7)


def advantages_are_zero_outside_the_mask(algorithm: Algorithm) -> None:
    batch = make_batch()
    advantages = algorithm.advantages(batch)
    assert advantages.shape == batch.response_mask.shape
    assert advantages.dtype == torch.float32
    assert not advantages.requires_grad
    assert torch.isfinite(advantages).all()
    assert (advantages[~batch.response_mask] == 0).all()
    assert (advantages[batch.response_mask] != 0).any()


def advantages_follow_their_rows(algorithm: Algorithm) -> None:
    batch = make_batch()
    expected = algorithm.advantages(batch)
    torch.testing.assert_close(algorithm.advantages(batch.select(SHUFFLED)), expected[SHUFFLED])
    torch.testing.assert_close(algorithm.advantages(pad(batch, 5)), pad_tokens(expected, 5))


def keep_is_a_choice_of_rows(algorithm: Algorithm) -> None:
    batch = make_batch()
    kept = algorithm.keep(batch)
    assert kept.shape == batch.rewards.shape
    assert kept.dtype == torch.bool
    assert torch.equal(algorithm.keep(batch.select(SHUFFLED)), kept[SHUFFLED])


def a_better_trajectory_becomes_likelier(algorithm: Algorithm) -> None:
    batch = make_batch()
    outputs = make_outputs(batch, moved=0.0)
    batch = batch._replace(ref_logprobs=batch.old_logprobs)
    advantages = algorithm.advantages(batch)
    slope = _run(algorithm, batch, outputs)[1][0]
    moving = advantages != 0
    assert moving.any()
    assert torch.equal(slope[moving].sign(), -advantages[moving].double().sign())


def nothing_outside_the_mask_matters(algorithm: Algorithm) -> None:
    batch = make_batch()
    outputs = make_outputs(batch)
    spoilt = batch._replace(
        **{name: spoil(getattr(batch, name), batch.response_mask) for name in LOGPROBS}
    )
    ruined = Outputs(
        *(
            None if part is None else spoil(part.detach(), batch.response_mask).requires_grad_()
            for part in outputs
        )
    )
    seen = _run(algorithm, spoilt, ruined)
    _same(seen, _run(algorithm, batch, outputs))
    for gradient in seen[1]:
        assert (gradient[~batch.response_mask] == 0).all()
    assert (seen[1][0][batch.response_mask] != 0).any()


def any_split_gives_one_gradient(algorithm: Algorithm) -> None:
    batch = make_batch()
    outputs = make_outputs(batch)
    whole = _run(algorithm, batch, outputs)
    advantages = algorithm.advantages(batch)
    scale = count_scale(batch.response_mask)
    for split in SPLITS:
        total = torch.zeros((), dtype=torch.float64)
        metrics: dict[str, float] = {}
        for numbers in split:
            rows = torch.tensor(numbers)
            part = batch.select(rows)
            length = part.input_ids.shape[1]
            loss = algorithm.loss(
                part,
                advantages[rows, :length],
                select_outputs(outputs, rows, length),
                scale,
            )
            total = total + loss.total
            for name, value in loss.metrics.items():
                metrics[name] = metrics.get(name, 0.0) + value
        _same((float(total.detach()), _gradients(total, outputs), metrics), whole)


def padding_and_order_change_nothing(algorithm: Algorithm) -> None:
    batch = make_batch()
    outputs = make_outputs(batch)
    total, gradients, metrics = _run(algorithm, batch, outputs)
    wide = Outputs(*(pad_tokens(part.detach(), 4).requires_grad_() for part in outputs))
    _same(
        _run(algorithm, pad(batch, 4), wide),
        (total, [pad_tokens(gradient, 4) for gradient in gradients], metrics),
    )
    moved = Outputs(*(part.detach()[SHUFFLED].requires_grad_() for part in outputs))
    _same(
        _run(algorithm, batch.select(SHUFFLED), moved),
        (total, [gradient[SHUFFLED] for gradient in gradients], metrics),
    )


def a_row_that_sampled_nothing_adds_nothing(algorithm: Algorithm) -> None:
    batch = make_batch().select(torch.tensor([EMPTY_ROW]))
    outputs = make_outputs(batch)
    for scale in (count_scale(batch.response_mask), count_scale(make_batch().response_mask)):
        loss = algorithm.loss(batch, algorithm.advantages(batch), outputs, scale)
        assert float(loss.total.detach()) == 0
        assert set(loss.metrics.values()) <= {0.0}
        assert all((gradient == 0).all() for gradient in _gradients(loss.total, outputs))


def metrics_are_plain_numbers(algorithm: Algorithm) -> None:
    batch = make_batch()
    _, _, metrics = _run(algorithm, batch, make_outputs(batch))
    for name, value in metrics.items():
        assert type(value) is float
        assert math.isfinite(value)
        assert name.isidentifier()


def inputs_are_left_as_they_were(algorithm: Algorithm) -> None:
    batch = make_batch()
    outputs = make_outputs(batch)
    first = _run(algorithm, batch, outputs)
    _same(_run(algorithm, batch, outputs), first)
    for kept, fresh in zip((*batch, *outputs), (*make_batch(), *make_outputs(batch)), strict=True):
        assert torch.equal(kept, fresh)


def it_says_truly_whether_it_needs_a_reference(algorithm: Algorithm) -> None:
    batch = make_batch()
    outputs = make_outputs(batch)
    without = batch._replace(ref_logprobs=None)
    if algorithm.needs_reference:
        with pytest.raises(InvalidSettingError, match="ref_logprobs"):
            _run(algorithm, without, outputs)
    else:
        _same(_run(algorithm, without, outputs), _run(algorithm, batch, outputs))


def it_says_truly_whether_it_needs_values(algorithm: Algorithm) -> None:
    if algorithm.needs_values:
        return
    batch = make_batch()
    outputs = make_outputs(batch)
    full = _run(algorithm, batch, outputs)
    less = _run(algorithm, batch, outputs._replace(values=None))
    assert (full[0], full[2]) == (less[0], less[2])
    assert (full[1][2] == 0).all()


CHECKS: tuple[Callable[[Algorithm], None], ...] = (
    advantages_are_zero_outside_the_mask,
    advantages_follow_their_rows,
    keep_is_a_choice_of_rows,
    a_better_trajectory_becomes_likelier,
    nothing_outside_the_mask_matters,
    any_split_gives_one_gradient,
    padding_and_order_change_nothing,
    a_row_that_sampled_nothing_adds_nothing,
    metrics_are_plain_numbers,
    inputs_are_left_as_they_were,
    it_says_truly_whether_it_needs_a_reference,
    it_says_truly_whether_it_needs_values,
)
