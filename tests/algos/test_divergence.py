"""The KL estimators: their values, their means, and where their gradients point."""

from __future__ import annotations

import math

import oracles
import pytest
import torch
from torch import Tensor

from algos.divergence import MAX_LOG_RATIO, k1, k2, k3, log_ratio

ESTIMATORS = {"k1": k1, "k2": k2, "k3": k3}
P_LOGITS = [0.3, -1.0, 0.9, 0.0]
Q_LOGITS = [-0.5, 0.4, 0.2, 0.7]


def _policies() -> tuple[Tensor, Tensor, Tensor]:
    """Logits of p (a leaf), and the log-probabilities of p and q, over a small vocabulary."""
    logits = torch.tensor(P_LOGITS, dtype=torch.float64, requires_grad=True)
    q = torch.tensor(Q_LOGITS, dtype=torch.float64).log_softmax(0)
    return logits, logits.log_softmax(0), q


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize(("p", "q"), [(0.5, 0.2), (0.2, 0.5), (0.9, 0.001), (0.3, 0.3)])
def test_each_sample_as_the_oracle(name: str, p: float, q: float) -> None:
    ratio = torch.tensor(math.log(p) - math.log(q), dtype=torch.float64)
    found = float(ESTIMATORS[name](ratio))
    assert found == pytest.approx(oracles.kl_samples(p, q)[name], rel=1e-12, abs=1e-15)


def test_a_small_divergence_keeps_its_digits_in_float32() -> None:
    found = float(k3(torch.tensor(1e-3)))
    assert found == pytest.approx(0.5e-6, rel=2e-3)


@pytest.mark.parametrize("name", ["k1", "k3"])
def test_the_mean_over_samples_is_the_divergence(name: str) -> None:
    _, p, q = _policies()
    mean = float((p.exp() * ESTIMATORS[name](p - q)).sum().detach())
    expected = oracles.kl(p.exp().tolist(), q.exp().tolist())
    assert mean == pytest.approx(expected, rel=1e-12)
    assert abs(expected - oracles.kl(q.exp().tolist(), p.exp().tolist())) > 1e-3


@pytest.mark.parametrize("name", ESTIMATORS)
def test_expected_gradients_are_as_documented(name: str) -> None:
    logits, p, q = _policies()
    sampled = (p.detach().exp() * ESTIMATORS[name](p - q)).sum()
    (found,) = torch.autograd.grad(sampled, logits, retain_graph=True)
    exact = {
        "k1": p.sum() * 0,
        "k2": (p.exp() * (p - q)).sum(),
        "k3": (q.exp() * (q - p)).sum(),
    }
    (expected,) = torch.autograd.grad(exact[name], logits)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_log_ratio_is_zero_outside_the_mask_and_has_no_gradient_there() -> None:
    mask = torch.tensor([[False, True, False]])
    p = torch.tensor([[math.nan, -1.0, -math.inf]], requires_grad=True)
    q = torch.tensor([[-1.0, -3.0, -math.inf]], requires_grad=True)
    found = log_ratio(p, q, mask)
    assert found.tolist() == [[0, 2, 0]]
    by_p, by_q = torch.autograd.grad(k3(found).sum() + found.exp().sum(), (p, q), allow_unused=True)
    assert by_p[0, 0] == by_p[0, 2] == 0
    assert by_p[0, 1] != 0
    assert by_q is None


def test_a_broken_log_probability_stays_finite() -> None:
    p = torch.tensor([[-500.0, -1.0]], requires_grad=True)
    q = torch.tensor([[-1.0, -500.0]])
    found = log_ratio(p, q, torch.ones(1, 2, dtype=torch.bool))
    assert found.tolist() == [[-MAX_LOG_RATIO, MAX_LOG_RATIO]]
    estimate = k3(found).sum()
    (gradient,) = torch.autograd.grad(estimate, p)
    assert math.isfinite(float(estimate.detach()))
    assert gradient.tolist() == [[0, 0]]
