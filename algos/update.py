"""The update: from a batch of trajectories to new weights, whichever algorithm it is."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from algos.base import Algorithm, Scale
from algos.batch import TokenBatch
from algos.logprobs import forward
from algos.micro_batches import micro_batches
from algos.models import VisionLanguageModel
from algos.optimizer import MasterAdamW
from mmsr_env.errors import InvalidSettingError


@dataclass(frozen=True, slots=True)
class UpdateSettings:
    """How a batch is gone through.

    Attributes:
        learning_rate: AdamW's.
        warmup_iterations: Iterations over which the learning rate rises from 0.
        weight_decay: AdamW's.
        epochs: How often a batch is gone through.
        minibatches: Updates in each epoch.
        micro_batch_tokens: Rows of one forward pass hold at most so many tokens, padding
            among them; a row that is longer goes alone. It changes speed and memory, not the
            result.
        max_grad_norm: Gradients are scaled down to this norm.
    """

    learning_rate: float = 2e-6
    warmup_iterations: int = 0
    weight_decay: float = 0.0
    epochs: int = 1
    minibatches: int = 1
    micro_batch_tokens: int = 16_384
    max_grad_norm: float = 1.0

    def __post_init__(self) -> None:
        for name in ("learning_rate", "max_grad_norm"):
            if not getattr(self, name) > 0:
                raise InvalidSettingError(
                    f"update.{name} must be above 0, got {getattr(self, name)!r}"
                )
        for name in ("epochs", "minibatches", "micro_batch_tokens"):
            if getattr(self, name) < 1:
                raise InvalidSettingError(
                    f"update.{name} must be 1 or more, got {getattr(self, name)!r}"
                )
        if self.warmup_iterations < 0 or self.weight_decay < 0:
            raise InvalidSettingError(
                f"update.warmup_iterations and weight_decay must be 0 or more, got {self}"
            )


class Updater:
    """Updates a model in place.

    Args:
        vlm: The policy.
        algorithm: Advantages and loss.
        settings: How a batch is gone through.
        temperature: That of sampling, at which log-probabilities are taken.
        seed: Of the order of rows.
        reference: The frozen policy that the KL term refers to, if the algorithm needs one.
    """

    def __init__(
        self,
        vlm: VisionLanguageModel,
        algorithm: Algorithm,
        settings: UpdateSettings,
        temperature: float,
        seed: int,
        reference: Any | None = None,
    ) -> None:
        if algorithm.needs_reference and reference is None:
            raise InvalidSettingError("the algorithm needs a reference model, none was given")
        self.settings = settings
        self._vlm, self._algorithm, self._reference = vlm, algorithm, reference
        self._temperature = temperature
        self._order = torch.Generator().manual_seed(seed)
        self._optimizer = MasterAdamW(
            vlm.model.parameters(), settings.learning_rate, settings.weight_decay
        )

    def update(self, batch: TokenBatch, iteration: int) -> dict[str, float]:
        """Go through a batch.

        Args:
            batch: On the CPU; every trajectory of the iteration.
            iteration: From 0, for the learning rate.

        Returns:
            Metrics by name, under "loss/" and "update/"; means over the updates made.
        """
        advantages = self._algorithm.advantages(batch)
        rows = torch.nonzero(self._algorithm.keep(batch) & batch.response_mask.any(1)).flatten()
        metrics = {"update/rows_share": len(rows) / max(1, len(batch.rewards))}
        if len(rows) == 0:
            return metrics
        metrics["update/learning_rate"] = self._set_learning_rate(iteration)
        batch, advantages = batch.select(rows), advantages[rows]
        # A single update sees the weights of its own start, so its own forward pass tells.
        several = self.settings.epochs * self.settings.minibatches > 1
        batch = batch._replace(
            old_logprobs=self._score(self._vlm.model, batch) if several else None,
            ref_logprobs=self._score(self._reference, batch) if self._reference else None,
        )
        steps = [
            self._step(batch, advantages, chosen)
            for _ in range(self.settings.epochs)
            for chosen in self._minibatches(len(rows))
        ]
        for name in steps[0]:
            metrics[name] = sum(step[name] for step in steps) / len(steps)
        metrics["update/logprob_gap"] = max(step["update/logprob_gap"] for step in steps)
        return metrics

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs to go on as this one would have."""
        return {"optimizer": self._optimizer.state_dict(), "order": self._order.get_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._optimizer.load_state_dict(state["optimizer"])
        self._order.set_state(state["order"])

    def _set_learning_rate(self, iteration: int) -> float:
        rise = min(1.0, (iteration + 1) / max(1, self.settings.warmup_iterations))
        self._optimizer.set_learning_rate(self.settings.learning_rate * rise)
        return self.settings.learning_rate * rise

    def _minibatches(self, count: int) -> list[Tensor]:
        """[b] row numbers of each minibatch; together every row once, in a new order."""
        order = torch.randperm(count, generator=self._order)
        return [part for part in order.tensor_split(self.settings.minibatches) if len(part)]

    def _step(self, batch: TokenBatch, advantages: Tensor, rows: Tensor) -> dict[str, float]:
        """One update from the given rows."""
        scale = Scale(len(rows), int(batch.response_mask[rows].sum()))
        self._optimizer.zero_grad()
        metrics: dict[str, float] = defaultdict(float)
        gap = 0.0
        for part in self._micro_batches(batch, rows):
            micro = _moved(batch.select(part), self._vlm.device)
            outputs = forward(self._vlm.model, micro, self._temperature, self._vlm.suppressed_ids)
            if micro.old_logprobs is None:
                micro = micro._replace(old_logprobs=outputs.logprobs.detach())
            gap = max(gap, _largest_gap(micro))
            gains = advantages[part, : micro.input_ids.shape[1]].to(self._vlm.device)
            loss = self._algorithm.loss(micro, gains, outputs, scale)
            loss.total.backward()  # type: ignore[no-untyped-call]
            metrics["loss/total"] += float(loss.total.detach())
            for name, value in loss.metrics.items():
                metrics[f"loss/{name}"] += value
        norm = float(clip_grad_norm_(self._vlm.model.parameters(), self.settings.max_grad_norm))
        finite = math.isfinite(norm)
        if finite:  # else one bad batch would make every weight NaN for good
            self._optimizer.step()
        metrics["update/logprob_gap"] = gap
        return {**metrics, "update/grad_norm": norm, "update/skipped": float(not finite)}

    def _micro_batches(self, batch: TokenBatch, rows: Tensor) -> Iterator[Tensor]:
        return micro_batches(batch.attention_mask.sum(1), rows, self.settings.micro_batch_tokens)

    @torch.no_grad()
    def _score(self, model: Any, batch: TokenBatch) -> Tensor:
        """[B, T] log-probabilities of the batch's sampled tokens under a model."""
        scores = torch.zeros_like(batch.behavior_logprobs)
        for part in self._micro_batches(batch, torch.arange(len(batch.rewards))):
            micro = batch.select(part)
            outputs = forward(
                model, micro, self._temperature, self._vlm.suppressed_ids, with_entropy=False
            )
            scores[part, : micro.input_ids.shape[1]] = outputs.logprobs.cpu()
        return scores


def _moved(batch: TokenBatch, device: torch.device) -> TokenBatch:
    """The batch on a device; log-probabilities that are not there stay None."""
    return TokenBatch(*(None if part is None else part.to(device) for part in batch))  # type: ignore[arg-type]


def _largest_gap(batch: TokenBatch) -> float:
    """How far the sampler's log-probabilities are from the trainer's, at most, in nats."""
    assert batch.old_logprobs is not None
    gap = (batch.old_logprobs - batch.behavior_logprobs).abs() * batch.response_mask
    return float(gap.max())
