"""Batches for the tests of algorithms: several turns, uneven groups, rows of every length."""

from __future__ import annotations

import torch
from torch import Tensor

from algos.batch import Outputs, TokenBatch

END_OF_TURN = PAD = 0  # on purpose the same id, so that a mask made from ids would be wrong
LOGPROBS = ("behavior_logprobs", "old_logprobs", "ref_logprobs")

# Prompt, turn, reply, turn: how many tokens of each. The fourth row sampled nothing.
SHAPES = ((2, 3, 2, 2), (1, 1, 0, 0), (3, 2, 1, 4), (2, 0, 0, 0), (1, 4, 3, 1), (2, 1, 2, 3))
GROUPS = (7, 3, 7, 3, 7, 3)
REWARDS = (1.0, 0.1, 0.0, 0.91, 0.81, 0.0)


def make_batch(seed: int = 0, rewards: tuple[float, ...] = REWARDS) -> TokenBatch:
    """Six rows in two groups, in float64; every log-probability differs from every other."""
    draw = torch.Generator().manual_seed(seed)
    length = max(sum(shape) for shape in SHAPES)
    attention = torch.zeros(len(SHAPES), length, dtype=torch.bool)
    response = torch.zeros_like(attention)
    ids = torch.full(attention.shape, PAD)
    for row, (prompt, first, reply, second) in enumerate(SHAPES):
        end = prompt + first + reply + second
        attention[row, :end] = True
        response[row, prompt : prompt + first] = True
        response[row, end - second : end] = second > 0
        ids[row, :end] = torch.randint(1, 50, (end,), generator=draw)
        ids[row, end - 1] = END_OF_TURN
    logprobs = {
        name: -3.0 * torch.rand(response.shape, generator=draw, dtype=torch.float64) * response
        for name in LOGPROBS
    }
    return TokenBatch(
        input_ids=ids,
        attention_mask=attention,
        position_ids=torch.arange(length).expand(3, *ids.shape),
        response_mask=response,
        rewards=torch.tensor(rewards),
        group_ids=torch.tensor(GROUPS),
        truncated=torch.zeros(len(SHAPES), dtype=torch.bool),
        pixel_values=torch.zeros(0, 4),
        image_grid_thw=torch.zeros(0, 3, dtype=torch.int64),
        image_counts=torch.zeros(len(SHAPES), dtype=torch.int64),
        **logprobs,
    )


def make_outputs(batch: TokenBatch, seed: int = 1, moved: float = 0.5) -> Outputs:
    """A forward pass of it: leaves with gradient, about `moved` from the old policy."""
    draw = torch.Generator().manual_seed(seed)
    shape = batch.response_mask.shape
    step = torch.randn(shape, generator=draw, dtype=torch.float64) * moved
    assert batch.old_logprobs is not None
    logprobs = (batch.old_logprobs + step) * batch.response_mask
    entropy = torch.rand(shape, generator=draw, dtype=torch.float64) * batch.response_mask
    values = torch.rand(shape, generator=draw, dtype=torch.float64) * batch.response_mask
    return Outputs(*(leaf.requires_grad_() for leaf in (logprobs, entropy, values)))


def select_outputs(outputs: Outputs, rows: Tensor, length: int) -> Outputs:
    """What the forward pass of those rows alone gives; gradients reach the whole's leaves."""
    return Outputs(*(None if part is None else part[rows, :length] for part in outputs))


def pad(batch: TokenBatch, extra: int) -> TokenBatch:
    """The same batch with more padding at the end."""
    changed = {
        name: pad_tokens(getattr(batch, name), extra)
        for name in ("input_ids", "attention_mask", "position_ids", "response_mask", *LOGPROBS)
    }
    return batch._replace(**changed)


def pad_tokens(values: Tensor, extra: int) -> Tensor:
    return torch.nn.functional.pad(values, (0, extra))


def spoil(values: Tensor, mask: Tensor) -> Tensor:
    """The same values with a NaN wherever the mask is False."""
    return values.masked_fill(~mask, float("nan"))
