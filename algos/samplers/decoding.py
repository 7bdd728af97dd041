"""One batch of requests from prompts to completions, with cached keys and values.

Left out of what an engine does: rows do not join a batch that is under way, and nothing is kept
from one turn to the next. A group's equal prompts are read once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import DynamicCache

from algos.logprobs import suppress
from algos.models import VisionLanguageModel
from algos.samplers.base import Completion, FinishReason, SampleRequest

_WORTH_DROPPING = 0.75  # finished rows are dropped once so few of a batch go on


@dataclass(frozen=True, slots=True)
class Row:
    """A request ready to be decoded.

    Attributes:
        request: What is asked for.
        pictures: The patches and grid of each of its pictures.
        noise: [max_new_tokens] float64 uniform in [0, 1), one number for each token to draw.
    """

    request: SampleRequest
    pictures: Sequence[tuple[Tensor, Tensor]]
    noise: Tensor


class _Prompts:
    """Distinct prompts of a batch, left-padded, and which of them each request has.

    Attributes:
        which: [B] int64, each request's prompt.
        input_ids: [P, T] int64, pictures' pads expanded.
        attention_mask: [P, T] bool.
        pixel_values: [N, D] float32.
        grids: [I, 3] int64.
    """

    def __init__(self, vlm: VisionLanguageModel, batch: Sequence[Row]) -> None:
        rows: dict[tuple[Any, ...], int] = {}
        expanded: list[Tensor] = []
        pictures: list[tuple[Tensor, Tensor]] = []
        which = []
        for row in batch:
            # Equal pictures are the same tensor: the picture processor caches them.
            key = (row.request.input_ids, *(id(patches) for patches, _ in row.pictures))
            if key not in rows:
                rows[key] = len(rows)
                ids = torch.tensor(row.request.input_ids)
                repeats = vlm.repeats(ids, [grid for _, grid in row.pictures])
                expanded.append(ids.repeat_interleave(repeats))
                pictures += row.pictures
            which.append(rows[key])
        length = max(len(ids) for ids in expanded)
        self.which = torch.tensor(which)
        self.input_ids = torch.stack([_left_padded(ids, length, vlm.pad_id) for ids in expanded])
        present = torch.tensor([len(ids) for ids in expanded])
        self.attention_mask = torch.arange(length) >= length - present[:, None]
        self.pixel_values = torch.cat([vlm.pictures.none, *(patches for patches, _ in pictures)])
        no_grids = torch.zeros(0, 3, dtype=torch.int64)
        self.grids = torch.stack([g for _, g in pictures]) if pictures else no_grids


class Decoding:
    """A batch on its way: B requests, of which R rows are still in the cache.

    Args:
        vlm: The model, set to evaluation.
        suppressed: [S] int64, ids that may not be drawn.
        batch: The rows.
    """

    def __init__(self, vlm: VisionLanguageModel, suppressed: Tensor, batch: Sequence[Row]) -> None:
        requests = [row.request for row in batch]
        device = vlm.device
        self._vlm = vlm
        self._suppressed = suppressed
        self._limits = torch.tensor([request.max_new_tokens for request in requests], device=device)
        self._temperatures = torch.tensor([r.temperature for r in requests], device=device)
        most = int(self._limits.max())
        padded = [pad(row.noise, (0, most - len(row.noise))) for row in batch]
        self._noise = torch.stack(padded).to(device)
        self._ids = torch.full((len(batch), most), vlm.end_of_turn_id, device=device)
        self._logprobs = torch.zeros(len(batch), most, device=device)
        self._rows = torch.arange(len(batch), device=device)
        self._cache = DynamicCache(config=vlm.model.config.get_text_config())
        self._states = self._prefill(_Prompts(vlm, batch))
        self._step = 0

    def run(self) -> list[Completion]:
        """Draws until every row has ended."""
        while True:
            tokens = self._draw()
            going = (tokens != self._vlm.end_of_turn_id) & (self._step < self._limits[self._rows])
            left = int(going.sum())
            if left == 0:
                return self._completions()
            if left <= _WORTH_DROPPING * len(going):
                tokens = self._drop(going, tokens)
            self._states = self._forward(tokens)

    def _prefill(self, prompts: _Prompts) -> Tensor:
        """Reads the prompts into the cache and gives the last states [R, H]."""
        vlm, device = self._vlm, self._vlm.device
        positions = vlm.positions(prompts.input_ids, prompts.attention_mask, prompts.grids)
        with_pictures = len(prompts.grids) > 0
        states: Tensor = vlm.model.model(
            input_ids=prompts.input_ids.to(device),
            attention_mask=prompts.attention_mask.to(device),
            position_ids=positions.to(device),
            pixel_values=prompts.pixel_values.to(device) if with_pictures else None,
            image_grid_thw=prompts.grids.to(device) if with_pictures else None,
            past_key_values=self._cache,
            use_cache=True,
        ).last_hidden_state[:, -1]
        which = prompts.which.to(device)
        self._cache.batch_select_indices(which)
        self._mask = prompts.attention_mask.to(device)[which]
        self._next_position = (positions.amax(dim=(0, 2)) + 1).to(device)[which]
        return states[which]

    def _draw(self) -> Tensor:
        """One token for each row: [R] int64, by inverting the distribution function."""
        temperatures = self._temperatures[self._rows, None]
        greedy = temperatures == 0.0
        logits = self._vlm.model.lm_head(self._states).float()
        logits = suppress(logits / temperatures.masked_fill(greedy, 1.0), self._suppressed)
        logprobs = logits.log_softmax(dim=-1)
        cumulative = logprobs.exp().cumsum(dim=-1, dtype=torch.float64)
        # A number below 1 times the last sum is below the last sum, rounding included.
        uniform = self._noise[self._rows, self._step, None]
        drawn = torch.searchsorted(cumulative, uniform * cumulative[:, -1:], right=True)
        tokens = torch.where(greedy, logprobs.argmax(dim=-1, keepdim=True), drawn)
        self._ids[self._rows, self._step] = tokens[:, 0]
        self._logprobs[self._rows, self._step] = logprobs.gather(-1, tokens)[:, 0]
        self._step += 1
        return tokens[:, 0]

    def _drop(self, going: Tensor, tokens: Tensor) -> Tensor:
        """Lets finished rows go and gives the tokens of the others."""
        kept = going.nonzero()[:, 0]
        self._cache.batch_select_indices(kept)
        self._mask = self._mask[kept]
        self._next_position = self._next_position[kept]
        self._rows = self._rows[kept]
        return tokens[kept]

    def _forward(self, tokens: Tensor) -> Tensor:
        """Reads one token a row into the cache and gives its states [R, H]."""
        self._mask = pad(self._mask, (0, 1), value=True)
        position = self._next_position + self._step - 1
        states: Tensor = self._vlm.model.model(
            input_ids=tokens[:, None],
            attention_mask=self._mask,
            position_ids=position[None, :, None].expand(3, -1, 1),
            past_key_values=self._cache,
            use_cache=True,
        ).last_hidden_state[:, -1]
        return states

    def _completions(self) -> list[Completion]:
        """What was drawn, each row up to its end; rows that ended early hold more than that."""
        completions = []
        columns = zip(
            self._ids.tolist(), self._logprobs.tolist(), self._limits.tolist(), strict=True
        )
        for ids, logprobs, limit in columns:
            ended = self._vlm.end_of_turn_id in ids[:limit]
            length = ids.index(self._vlm.end_of_turn_id) + 1 if ended else limit
            completions.append(
                Completion(
                    ids=tuple(ids[:length]),
                    logprobs=tuple(logprobs[:length]),
                    finish_reason=FinishReason.END_OF_TURN if ended else FinishReason.LENGTH,
                )
            )
        return completions


def _left_padded(ids: Tensor, length: int, pad_id: int) -> Tensor:
    return pad(ids, (length - len(ids), 0), value=pad_id)
