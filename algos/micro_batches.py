"""Rows of like length together, so that little is padded and memory is bounded."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor


def micro_batches(lengths: Tensor, rows: Tensor, max_tokens: int) -> Iterator[Tensor]:
    """Split rows into parts, shortest first.

    Args:
        lengths: [B] int64, tokens of every row of the batch.
        rows: [b] int64, the rows to split.
        max_tokens: A part, padded to its longest row, holds at most so many tokens; a row that
            is longer goes alone.

    Yields:
        [m] int64 row numbers; together every row once.
    """
    part: list[int] = []
    for row in sorted(rows.tolist(), key=lambda row: (int(lengths[row]), row)):
        if part and (len(part) + 1) * int(lengths[row]) > max_tokens:
            yield torch.tensor(part)
            part = []
        part.append(row)
    if part:
        yield torch.tensor(part)
