"""Supervised training on lessons, before reinforcement begins."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch.nn.utils import clip_grad_norm_

from algos.lessons import Lesson
from algos.logprobs import forward
from algos.micro_batches import micro_batches
from algos.models import VisionLanguageModel
from mmsr_env.errors import InvalidSettingError


@dataclass(frozen=True, slots=True)
class SupervisedSettings:
    """How a warm start updates.

    Attributes:
        learning_rate: At its highest.
        warmup_steps: Steps over which it rises from 0.
        final_share: The share of it that a cosine ends at.
        weight_decay: AdamW's, on matrices alone.
        max_grad_norm: Gradients are scaled down to this norm.
        micro_batch_tokens: Rows of one forward pass hold at most so many tokens, padding among
            them. Drills are short and episodes long: small parts leave little padding.
    """

    learning_rate: float = 1.5e-3
    warmup_steps: int = 200
    final_share: float = 0.05
    weight_decay: float = 0.05
    max_grad_norm: float = 1.0
    micro_batch_tokens: int = 2048

    def __post_init__(self) -> None:
        if self.learning_rate <= 0 or self.max_grad_norm <= 0 or self.warmup_steps < 0:
            raise InvalidSettingError(
                "learning_rate and max_grad_norm must be above 0 and warmup_steps 0 or more, "
                f"got {self}"
            )


def warm_start(
    vlm: VisionLanguageModel,
    lessons: Iterable[Lesson],
    steps: int,
    settings: SupervisedSettings,
    progress: Callable[[int, float, int], None] | None = None,
) -> None:
    """Train the model on lessons, in place.

    Args:
        vlm: The model.
        lessons: At least `steps` of them.
        steps: Updates in all; the schedule is laid over them.
        settings: How to update.
        progress: Called after each step with its number, its loss in nats, and its tokens.

    Raises:
        InvalidSettingError: The lessons came to an end before the steps did.
    """
    matrices = [p for p in vlm.model.parameters() if p.ndim >= 2]
    vectors = [p for p in vlm.model.parameters() if p.ndim < 2]
    optimizer = torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": settings.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ],
        lr=settings.learning_rate,
        betas=(0.9, 0.98),
    )
    vlm.model.train()
    left = iter(lessons)
    for step in range(steps):
        lesson = next(left, None)
        if lesson is None:
            raise InvalidSettingError(f"expected {steps} lessons, got {step}")
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * _schedule(step, steps, settings)
        optimizer.zero_grad()
        loss = _accumulate(vlm, lesson, settings.micro_batch_tokens)
        clip_grad_norm_(vlm.model.parameters(), settings.max_grad_norm)
        optimizer.step()
        if progress is not None:
            progress(step, loss, int(lesson.batch.attention_mask.sum()))
    vlm.model.eval()


def _accumulate(vlm: VisionLanguageModel, lesson: Lesson, max_tokens: int) -> float:
    """Add the gradient of a lesson's loss, its weighted mean over tokens; returns the loss."""
    total, loss = lesson.weights.sum(), 0.0
    lengths = lesson.batch.attention_mask.sum(1)
    for rows in micro_batches(lengths, torch.arange(len(lengths)), max_tokens):
        part = lesson.batch.select(rows)
        outputs = forward(vlm.model, part, 1.0, vlm.suppressed_ids, with_entropy=False)
        weights = lesson.weights[rows, : part.input_ids.shape[1]].to(outputs.logprobs.device)
        share = -(weights * outputs.logprobs).sum() / total
        share.backward()  # type: ignore[no-untyped-call]
        loss += float(share.detach())
    return loss


def _schedule(step: int, steps: int, settings: SupervisedSettings) -> float:
    """Linear rise, then a cosine down to `final_share`."""
    if step < settings.warmup_steps:
        return (step + 1) / settings.warmup_steps
    done = (step - settings.warmup_steps) / max(1, steps - settings.warmup_steps)
    return settings.final_share + (1 - settings.final_share) * 0.5 * (1 + math.cos(math.pi * done))
