"""How far one policy is from another, estimated at the tokens that were sampled.

The estimators take log_ratio = log p - log q at samples of p and estimate KL(p || q). What
their mean estimates and where their gradient points are two things. With samples of p and the
gradient taken through p, their expected gradients are
    k1: 0, so it is of use in a reward and of none in a loss;
    k2: that of KL(p || q);
    k3: that of KL(q || p), which is what published GRPO follows.
"""

from __future__ import annotations

from torch import Tensor

from algos.masking import masked

MAX_LOG_RATIO = 20.0
"""A log-ratio is held within plus and minus this, as in verl; e**20 is 5e8. Beyond it a token
says only that something is broken, and its exponential would soon be infinite."""


def log_ratio(logprobs: Tensor, other_logprobs: Tensor, mask: Tensor) -> Tensor:
    """log p - log q at sampled tokens, with gradient through p alone: [B, T].

    It is 0 where the mask is False, so the ratio there is 1 and every estimate 0; it is held
    within `MAX_LOG_RATIO`, beyond which it has no gradient.

    Args:
        logprobs: [B, T] log p.
        other_logprobs: [B, T] log q.
        mask: [B, T] bool.
    """
    difference = masked(logprobs - other_logprobs.detach(), mask)
    return difference.clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO)


def k1(log_ratio: Tensor) -> Tensor:
    """log p/q: unbiased, of either sign, of high variance. Shape kept."""
    return log_ratio


def k2(log_ratio: Tensor) -> Tensor:
    """(log p/q)^2 / 2: biased, never negative. Shape kept."""
    return log_ratio.square() / 2


def k3(log_ratio: Tensor) -> Tensor:
    """q/p - log q/p - 1: unbiased, never negative (arXiv 2402.03300, eq. 4). Shape kept."""
    return (-log_ratio).expm1() + log_ratio
