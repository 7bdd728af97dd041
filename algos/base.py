"""The seam that every algorithm implements. The loop never knows which one runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from torch import Tensor

from algos.batch import Outputs, TokenBatch


class Loss(NamedTuple):
    """A loss and what to log of it.

    Attributes:
        total: Scalar with gradient.
        metrics: Detached floats by name without a prefix, such as "clip_fraction".
    """

    total: Tensor
    metrics: Mapping[str, float]


class Algorithm(Protocol):
    """How rewards become advantages, and advantages a loss.

    Attributes:
        needs_values: Whether a forward pass must give values.
        needs_reference: Whether `TokenBatch.ref_logprobs` must be there.
    """

    @property
    def needs_values(self) -> bool: ...

    @property
    def needs_reference(self) -> bool: ...

    def advantages(self, batch: TokenBatch) -> Tensor:
        """[B, T] float32, zero where `response_mask` is False; computed over the whole batch."""
        ...

    def keep(self, batch: TokenBatch) -> Tensor:
        """[B] bool: rows worth an update, such as those of groups whose rewards vary."""
        ...

    def loss(self, batch: TokenBatch, advantages: Tensor, outputs: Outputs, scale: Scale) -> Loss:
        """The loss of one micro-batch; over a minibatch's micro-batches the losses add up.

        Args:
            batch: The micro-batch, with `old_logprobs`.
            advantages: [B, T] its rows of `advantages(...)`.
            outputs: The forward pass of it.
            scale: The counts of the whole minibatch, so that any split gives one gradient.
        """
        ...


class Scale(NamedTuple):
    """What a minibatch is normalised by, counted over all its micro-batches and processes.

    Attributes:
        sequences: Rows in the minibatch.
        tokens: Sampled tokens in the minibatch.
    """

    sequences: int
    tokens: int
