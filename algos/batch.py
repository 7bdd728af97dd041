"""The tensors of one batch of trajectories, as the algorithms and the update see them.

Shapes: B sequences = P tasks x G trajectories each, T tokens. Index t of every [B, T] tensor
speaks of the token `input_ids[:, t]`; a log-probability at t is of that token given those
before it, so index 0 never holds one.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class TokenBatch(NamedTuple):
    """Trajectories as right-padded rows of tokens.

    Attributes:
        input_ids: [B, T] int64, pictures' pads expanded by their grids.
        attention_mask: [B, T] bool, False at padding.
        position_ids: [3, B, T] int64, rotary positions (time, height, width).
        response_mask: [B, T] bool, True exactly at tokens that the policy sampled.
        behavior_logprobs: [B, T] float32, recorded at sampling; 0 outside `response_mask`.
        rewards: [B] float32, of whole trajectories.
        group_ids: [B] int64, equal for trajectories of one task in one collection.
        truncated: [B] bool, True where something outside the task stopped the episode.
        pixel_values: [N, D] float32, the patches of all pictures, row after row; N may be 0.
        image_grid_thw: [I, 3] int64, each picture's grid in patches, in the same order.
        image_counts: [B] int64, how many of the pictures belong to each row; sums to I.
        old_logprobs: [B, T] at the start of the update, or None before it was computed.
        ref_logprobs: [B, T] of the frozen reference, or None where none is used.
    """

    input_ids: Tensor
    attention_mask: Tensor
    position_ids: Tensor
    response_mask: Tensor
    behavior_logprobs: Tensor
    rewards: Tensor
    group_ids: Tensor
    truncated: Tensor
    pixel_values: Tensor
    image_grid_thw: Tensor
    image_counts: Tensor
    old_logprobs: Tensor | None = None
    ref_logprobs: Tensor | None = None

    def select(self, rows: Tensor) -> TokenBatch:
        """The batch of the given rows alone, in that order, padding at the end cut away.

        Args:
            rows: [b] int64 row numbers.
        """
        length = int(self.attention_mask[rows].sum(dim=1).max()) if len(rows) else 0
        images = _rows_of_pictures(self.image_counts, rows)
        patches = _rows_of_pictures(self.image_grid_thw.prod(dim=1), images)
        return TokenBatch(
            input_ids=self.input_ids[rows, :length],
            attention_mask=self.attention_mask[rows, :length],
            position_ids=self.position_ids[:, rows, :length],
            response_mask=self.response_mask[rows, :length],
            behavior_logprobs=self.behavior_logprobs[rows, :length],
            rewards=self.rewards[rows],
            group_ids=self.group_ids[rows],
            truncated=self.truncated[rows],
            pixel_values=self.pixel_values[patches],
            image_grid_thw=self.image_grid_thw[images],
            image_counts=self.image_counts[rows],
            old_logprobs=None if self.old_logprobs is None else self.old_logprobs[rows, :length],
            ref_logprobs=None if self.ref_logprobs is None else self.ref_logprobs[rows, :length],
        )


class Outputs(NamedTuple):
    """What a forward pass gives for a batch.

    Attributes:
        logprobs: [B, T] float32, with gradient; 0 outside `response_mask`.
        entropy: [B, T] float32, of the distribution that each sampled token was drawn from;
            with gradient; 0 outside `response_mask`.
        values: [B, T] float32 where the algorithm needs values, else None.
    """

    logprobs: Tensor
    entropy: Tensor
    values: Tensor | None = None


def _rows_of_pictures(counts: Tensor, rows: Tensor) -> Tensor:
    """Indices of the items of the given rows, where row r has `counts[r]` items in a list.

    Args:
        counts: [R] int64 items of each row; the list holds row 0's, then row 1's, ...
        rows: [b] int64.
    """
    ends = counts.cumsum(0)
    parts = [torch.arange(int(ends[r] - counts[r]), int(ends[r])) for r in rows.tolist()]
    return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.int64)
