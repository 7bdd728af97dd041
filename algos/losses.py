"""The clipped surrogate that policy-gradient algorithms share, and what to log of an update."""

from __future__ import annotations

import torch
from torch import Tensor

from algos.base import Scale
from algos.divergence import k3
from algos.masking import Aggregate, aggregate


def clipped_surrogate(
    log_ratio: Tensor, advantages: Tensor, clip_low: float, clip_high: float
) -> Tensor:
    """The loss -min(r A, clip(r, 1 - clip_low, 1 + clip_high) A) of each token: [B, T].

    arXiv 1707.06347, eq. 7, with a bound of its own on either side (arXiv 2503.14476, section 3.1).
    The gradient goes through `log_ratio` alone.

    Args:
        log_ratio: [B, T] logprobs - old_logprobs, of tokens or of whole sequences.
        advantages: [B, T].
        clip_low: How far below 1 a ratio still counts.
        clip_high: How far above 1 a ratio still counts.
    """
    ratio = log_ratio.exp()
    fixed = advantages.detach()
    return -torch.minimum(ratio * fixed, ratio.clamp(1 - clip_low, 1 + clip_high) * fixed)


def clipped_away(
    log_ratio: Tensor, advantages: Tensor, clip_low: float, clip_high: float
) -> Tensor:
    """Where the clip took the gradient away: [B, T] bool.

    A ratio outside the bounds on the side to which its advantage does not push is not clipped,
    and so is not counted.

    Args:
        log_ratio: [B, T].
        advantages: [B, T].
        clip_low: As for `clipped_surrogate`.
        clip_high: As for `clipped_surrogate`.
    """
    ratio = log_ratio.exp()
    too_high = (advantages > 0) & (ratio > 1 + clip_high)
    return too_high | ((advantages < 0) & (ratio < 1 - clip_low))


def token_mean(per_token: Tensor, mask: Tensor, scale: Scale) -> float:
    """A micro-batch's share of the mean over a minibatch's sampled tokens, to log.

    Args:
        per_token: [B, T], of any dtype.
        mask: [B, T] bool, the response mask.
        scale: The counts of the whole minibatch.
    """
    return float(aggregate(per_token.detach().float(), mask, Aggregate.TOKEN, scale))


def ratio_metrics(log_ratio: Tensor, mask: Tensor, scale: Scale) -> dict[str, float]:
    """How far the policy has moved since the update began; shares of token means.

    Args:
        log_ratio: [B, T] logprobs - old_logprobs.
        mask: [B, T] bool, the response mask.
        scale: The counts of the whole minibatch.

    Returns:
        "ratio", and "approx_kl", which is k3 of KL(old || new): the samples are the old
        policy's.
    """
    return {
        "ratio": token_mean(log_ratio.exp(), mask, scale),
        "approx_kl": token_mean(k3(-log_ratio), mask, scale),
    }
