"""GRPO, group relative policy optimisation: arXiv 2402.03300 with outcome supervision.

The loss is the negative of eq. 3: the clipped surrogate less kl_coef times the k3 estimate
(eq. 4) of KL(policy || reference), both under one mean. What differs from the paper:
    - the deviation of a group's rewards is floored, and is the sample deviation, which the
      paper leaves open (see `algos.advantages`);
    - the two clip bounds are settings of their own, equal by default;
    - an entropy bonus may be added, off by default;
    - groups whose rewards are all equal may be left out; by default they stay, as in the
      paper, where they add only their KL term;
    - log-ratios are held within plus and minus 20, so that no token's loss is infinite.
The default mean, over sequences of their means, is the paper's and TRL's `loss_type="grpo"`;
verl's default is the mean over tokens, which `aggregate="token"` gives.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from algos.advantages import group_normalised, has_variance, spread
from algos.base import Loss, Scale
from algos.batch import Outputs, TokenBatch
from algos.divergence import k3, log_ratio
from algos.losses import clipped_away, clipped_surrogate, ratio_metrics, token_mean
from algos.masking import Aggregate, aggregate, check_aggregate
from algos.settings import check_not_negative, check_positive
from mmsr_env.errors import InvalidSettingError


@dataclass(frozen=True, slots=True)
class GRPO:
    """Group relative policy optimisation and its settings.

    Attributes:
        kl_coef: Weight of the KL to the reference; at 0 no reference is needed.
        clip_low: How far below 1 a ratio still counts, up to 1.
        clip_high: How far above 1 a ratio still counts.
        entropy_coef: Weight of the entropy bonus.
        std_floor: The least deviation that rewards are divided by, in units of reward.
        drop_groups_without_variance: Whether `keep` leaves out groups of equal rewards.
        aggregate: "token", "sequence" or "fixed": see `algos.masking.Aggregate`.
        fixed_length: In tokens; the length that "fixed" divides by, for it alone.

    Raises:
        InvalidSettingError: If a setting is outside what it may be.
        UnknownNameError: If `aggregate` names no way to aggregate.
    """

    kl_coef: float = 0.001
    clip_low: float = 0.2
    clip_high: float = 0.2
    entropy_coef: float = 0.0
    std_floor: float = 1e-3
    drop_groups_without_variance: bool = False
    aggregate: Aggregate = Aggregate.SEQUENCE
    fixed_length: int | None = None

    def __post_init__(self) -> None:
        check_not_negative("kl_coef", self.kl_coef)
        check_positive("clip_low", self.clip_low, at_most=1.0)
        check_positive("clip_high", self.clip_high)
        check_not_negative("entropy_coef", self.entropy_coef)
        check_positive("std_floor", self.std_floor)
        check_aggregate(self.aggregate, self.fixed_length)

    @property
    def needs_values(self) -> bool:
        """False: a group's mean stands in for a value."""
        return False

    @property
    def needs_reference(self) -> bool:
        """Whether there is a KL term."""
        return self.kl_coef > 0

    def advantages(self, batch: TokenBatch) -> Tensor:
        """[B, T] float32: the normalised reward at every sampled token (section 4.1.2)."""
        per_row = group_normalised(batch.rewards, batch.group_ids, self.std_floor)
        return spread(per_row, batch.response_mask)

    def keep(self, batch: TokenBatch) -> Tensor:
        """[B] bool: all rows, or those of groups whose rewards differ."""
        if self.drop_groups_without_variance:
            return has_variance(batch.rewards, batch.group_ids)
        return torch.ones_like(batch.group_ids, dtype=torch.bool)

    def loss(self, batch: TokenBatch, advantages: Tensor, outputs: Outputs, scale: Scale) -> Loss:
        """The negative of eq. 3, less the entropy bonus; see `Algorithm.loss`.

        Returns:
            The loss. Its metrics are shares too: over a minibatch's micro-batches they add up.
            "policy" is aggregated as the loss is; "ratio", "approx_kl", "clip_fraction",
            "entropy" and, with a KL term, "ref_kl" are means over sampled tokens, so that
            runs with different aggregates compare.

        Raises:
            InvalidSettingError: If the batch lacks log-probabilities that the settings need.
        """
        mask = batch.response_mask
        moved = log_ratio(outputs.logprobs, _given(batch.old_logprobs, "old_logprobs"), mask)
        bounds = (self.clip_low, self.clip_high)
        total = self._reduce(clipped_surrogate(moved, advantages, *bounds), mask, scale)
        metrics = {
            "policy": float(total.detach()),
            "clip_fraction": token_mean(clipped_away(moved, advantages, *bounds), mask, scale),
            "entropy": token_mean(outputs.entropy, mask, scale),
            **ratio_metrics(moved.detach(), mask, scale),
        }
        if self.kl_coef > 0:
            reference = _given(batch.ref_logprobs, "ref_logprobs")
            ref_kl = k3(log_ratio(outputs.logprobs, reference, mask))
            total = total + self.kl_coef * self._reduce(ref_kl, mask, scale)
            metrics["ref_kl"] = token_mean(ref_kl, mask, scale)
        if self.entropy_coef > 0:
            total = total - self.entropy_coef * self._reduce(outputs.entropy, mask, scale)
        return Loss(total, metrics)

    def _reduce(self, per_token: Tensor, mask: Tensor, scale: Scale) -> Tensor:
        return aggregate(per_token, mask, self.aggregate, scale, self.fixed_length)


def _given(logprobs: Tensor | None, name: str) -> Tensor:
    if logprobs is None:
        raise InvalidSettingError(f"GRPO.loss needs batch.{name} with these settings, got None")
    return logprobs
