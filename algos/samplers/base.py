"""The seam that every sampler implements: token ids and pictures in, token ids out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from PIL.Image import Image as Picture
from torch import Tensor


class FinishReason(StrEnum):
    """Why a completion ended."""

    END_OF_TURN = "end_of_turn"
    LENGTH = "length"


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """A request for one completion.

    Attributes:
        input_ids: The transcript so far in the engine's form: one pad id per picture.
        images: The transcript's pictures, in order, one for each pad.
        max_new_tokens: At most so many tokens are sampled, the end-of-turn token included.
        temperature: 0 is greedy. Otherwise log-probabilities are at this temperature.
    """

    input_ids: tuple[int, ...]
    images: tuple[Picture, ...]
    max_new_tokens: int
    temperature: float = 1.0


@dataclass(frozen=True, slots=True)
class Completion:
    """One completion.

    Attributes:
        ids: The sampled token ids, the end-of-turn token included where it was sampled.
        logprobs: The log-probability of each id under the distribution it was drawn from
            (at temperature 0: under temperature 1, the suppressed ids left out).
        finish_reason: Why it ended.
    """

    ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish_reason: FinishReason


class Sampler(Protocol):
    """A policy at the level of tokens."""

    async def sample(self, request: SampleRequest) -> Completion:
        """One completion; requests made at the same time may be answered together."""
        ...

    def load_weights(self, state: Iterator[tuple[str, Tensor]]) -> None:
        """Take up the weights of the trained policy, by name."""
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """What a resumed run needs to draw on as this one would have."""
        ...

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take up the state of another sampler."""
        ...
