"""The clipped surrogate, case by case and against the oracle, and its metrics."""

from __future__ import annotations

import math

import oracles
import pytest
import torch

from algos.base import Scale
from algos.losses import clipped_away, clipped_surrogate, ratio_metrics, token_mean

LOW, HIGH = 0.2, 0.3
# Advantage, ratio, loss, its slope by the log-ratio, whether the clip took the gradient.
CASES = [
    (2.0, 1.5, -2.6, 0.0, True),  # above the upper bound, pushed up: clipped
    (2.0, 1.25, -2.5, -2.5, False),  # inside the upper bound, beyond the lower one's width
    (2.0, 0.5, -1.0, -1.0, False),  # below the lower bound, pushed back: not clipped
    (-2.0, 0.5, 1.6, 0.0, True),  # below the lower bound, pushed down: clipped
    (-2.0, 0.75, 1.6, 0.0, True),  # the lower bound is 0.8, not 0.7
    (-2.0, 1.5, 3.0, 3.0, False),  # above the upper bound, pushed back: not clipped
    (0.0, 1.5, 0.0, 0.0, False),
]


@pytest.mark.parametrize(("advantage", "ratio", "loss", "slope", "away"), CASES)
def test_cases(advantage: float, ratio: float, loss: float, slope: float, away: bool) -> None:
    moved = torch.tensor([[math.log(ratio)]], dtype=torch.float64, requires_grad=True)
    advantages = torch.tensor([[advantage]], dtype=torch.float64)
    found = clipped_surrogate(moved, advantages, LOW, HIGH)
    (gradient,) = torch.autograd.grad(found.sum(), moved)
    assert float(found.detach()) == pytest.approx(loss)
    assert float(gradient) == pytest.approx(slope)
    assert bool(clipped_away(moved.detach(), advantages, LOW, HIGH)) is away


def test_a_grid_as_the_oracle() -> None:
    for new in (0.05, 0.2, 0.4, 0.9):
        for old in (0.1, 0.35, 0.5):
            for advantage in (-1.7, -0.1, 0.0, 0.4, 2.2):
                found = clipped_surrogate(
                    torch.tensor([[math.log(new / old)]], dtype=torch.float64),
                    torch.tensor([[advantage]], dtype=torch.float64),
                    LOW,
                    HIGH,
                )
                expected = -oracles.surrogate(new, old, advantage, LOW, HIGH)
                assert float(found) == pytest.approx(expected, rel=1e-12, abs=1e-15)


def test_the_gradient_goes_through_the_ratio_alone() -> None:
    moved = torch.zeros(1, 1, requires_grad=True)
    advantages = torch.ones(1, 1, requires_grad=True)
    loss = clipped_surrogate(moved, advantages, LOW, HIGH).sum()
    by_ratio, by_advantage = torch.autograd.grad(loss, (moved, advantages), allow_unused=True)
    assert float(by_ratio) == -1
    assert by_advantage is None


def test_metrics_by_hand_and_as_shares() -> None:
    mask = torch.tensor([[True, False], [True, True]])
    ratios = torch.tensor([[2.0, 1.0], [0.5, 1.0]], dtype=torch.float64)
    scale = Scale(sequences=2, tokens=3)
    found = ratio_metrics(ratios.log(), mask, scale)
    assert found["ratio"] == pytest.approx(3.5 / 3)
    k3 = [oracles.kl_samples(1.0, ratio)["k3"] for ratio in (2.0, 0.5)]
    assert found["approx_kl"] == pytest.approx(sum(k3) / 3)
    shares = [ratio_metrics(ratios[b : b + 1].log(), mask[b : b + 1], scale) for b in (0, 1)]
    for name, value in found.items():
        assert value == pytest.approx(sum(share[name] for share in shares))


def test_token_mean_counts_truths_and_drops_the_graph() -> None:
    mask = torch.tensor([[True, True, False]])
    assert token_mean(torch.tensor([[True, False, True]]), mask, Scale(1, 4)) == 0.25
    leaf = torch.ones(1, 3, requires_grad=True)
    assert type(token_mean(leaf, mask, Scale(1, 2))) is float
