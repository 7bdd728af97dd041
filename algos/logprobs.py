"""Log-probabilities and entropies of sampled tokens, with gradient, from one forward pass."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from algos.batch import Outputs, TokenBatch

_CHUNK_ELEMENTS = 2**26  # 256 MiB of float32: 441 tokens of a vocabulary of 152,064


def forward(
    model: Any,
    batch: TokenBatch,
    temperature: float,
    suppressed_ids: Collection[int],
    *,
    with_entropy: bool = True,
    value_head: Callable[[Tensor], Tensor] | None = None,
    chunk_elements: int = _CHUNK_ELEMENTS,
) -> Outputs:
    """What the model says of each sampled token, under the distribution it was drawn from.

    Logits are computed only where a sampled token is predicted, so there are never [B, T, V] of
    them; where there are many, in chunks that the backward pass computes anew.

    Args:
        model: A Hugging Face model for conditional generation.
        batch: Moved to the model's device where it is not there.
        temperature: Of sampling; 0 (greedy) counts as 1, as at sampling.
        suppressed_ids: Ids that cannot be drawn; the others share their probability.
        with_entropy: Whether entropies are computed; they are 0 otherwise.
        value_head: Takes hidden states [R, H] to values [R] of the state before each sampled
            token; None where no values are needed.
        chunk_elements: At most so many logits at once.

    Returns:
        All [B, T] float32 on the model's device, 0 outside `response_mask`.
    """
    hidden = hidden_states(model, batch)
    mask = batch.response_mask[:, 1:].to(hidden.device)
    before = hidden[:, :-1][mask]
    targets = batch.input_ids[:, 1:].to(hidden.device)[mask]
    suppressed = torch.tensor(sorted(suppressed_ids), dtype=torch.int64, device=hidden.device)

    def score(states: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
        logits = model.lm_head(states).float() / (temperature or 1.0)
        return _score(logits, ids, suppressed, with_entropy)

    rows = max(1, chunk_elements // int(model.lm_head.weight.shape[0]))
    scored = list(_chunked(score, before, targets, rows))
    values = None if value_head is None else _spread(value_head(before).float(), mask)
    return Outputs(
        logprobs=_spread(torch.cat([logprobs for logprobs, _ in scored]), mask),
        entropy=_spread(torch.cat([entropy for _, entropy in scored]), mask),
        values=values,
    )


def hidden_states(model: Any, batch: TokenBatch) -> Tensor:
    """The last layer's states: [B, T, H] in the model's dtype."""
    device = model.device
    has_pictures = len(batch.image_grid_thw) > 0
    states: Tensor = model.model(
        input_ids=batch.input_ids.to(device),
        attention_mask=batch.attention_mask.to(device),
        position_ids=batch.position_ids.to(device),
        pixel_values=batch.pixel_values.to(device) if has_pictures else None,
        image_grid_thw=batch.image_grid_thw.to(device) if has_pictures else None,
        use_cache=False,
    ).last_hidden_state
    return states


def suppress(logits: Tensor, suppressed: Tensor) -> Tensor:
    """The logits [..., V] with -inf at the suppressed ids [S] int64."""
    return logits.index_fill(-1, suppressed, -torch.inf)


def _score(
    logits: Tensor, ids: Tensor, suppressed: Tensor, with_entropy: bool
) -> tuple[Tensor, Tensor]:
    """Log-probabilities and entropies [R] of ids [R] under logits [R, V]."""
    allowed = suppress(logits, suppressed)
    total = allowed.logsumexp(dim=-1)
    logprobs = allowed.gather(-1, ids[:, None])[:, 0] - total
    if not with_entropy:
        return logprobs, torch.zeros_like(logprobs)
    # H = log Z - E[logit]; a suppressed id counts 0 there, and not 0 * -inf.
    finite = logits.index_fill(-1, suppressed, 0.0)
    return logprobs, total - (allowed.softmax(dim=-1) * finite).sum(dim=-1)


def _chunked(
    score: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    states: Tensor,
    ids: Tensor,
    rows: int,
) -> list[tuple[Tensor, Tensor]]:
    if len(states) <= rows:
        return [score(states, ids)]
    pairs = zip(torch.split(states, rows), torch.split(ids, rows), strict=True)
    return [checkpoint(score, some, of, use_reentrant=False) for some, of in pairs]


def _spread(values: Tensor, mask: Tensor) -> Tensor:
    """Values [R] at the True places of mask [B, T - 1], one column to the right, 0 elsewhere."""
    spread = values.new_zeros(mask.shape).masked_scatter(mask, values)
    return torch.nn.functional.pad(spread, (1, 0))
