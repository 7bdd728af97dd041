"""AdamW that keeps weights of low precision in float32 too, so that small updates add up.

A bfloat16 weight has 8 significant bits: near 0.02 its neighbours are 1e-4 away, and an update
of 2e-6, MMSearch-R1's learning rate, is rounded to nothing, however often it is made. The copies
cost 16 bytes a weight in all, with its gradient and Adam's moments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter


class MasterAdamW:
    """AdamW over float32 copies of the weights that have fewer bits, and over the others.

    Args:
        weights: What is trained; changed in place by `step`.
        learning_rate: Its own; `set_learning_rate` changes it.
        weight_decay: Of all weights.
    """

    def __init__(
        self, weights: Iterable[Parameter], learning_rate: float, weight_decay: float = 0.0
    ) -> None:
        self._weights = list(weights)
        self._masters = [_master(weight) for weight in self._weights]
        self._adam = torch.optim.AdamW(self._masters, lr=learning_rate, weight_decay=weight_decay)

    def set_learning_rate(self, learning_rate: float) -> None:
        for group in self._adam.param_groups:
            group["lr"] = learning_rate

    def zero_grad(self) -> None:
        for weight in self._weights:
            weight.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """One update from the gradients of the weights."""
        for weight, master in self._copied():
            master.grad = None if weight.grad is None else weight.grad.float()
            weight.grad = None  # so that both are never held for all weights
        self._adam.step()
        for weight, master in self._copied():
            weight.copy_(master)
            master.grad = None

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs to go on as this one would have."""
        masters = [master for _, master in self._copied()]
        return {"adam": self._adam.state_dict(), "masters": masters}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up the state of another one, over the same weights."""
        self._adam.load_state_dict(state["adam"])
        for (_, master), saved in zip(self._copied(), state["masters"], strict=True):
            master.copy_(saved)

    def _copied(self) -> list[tuple[Parameter, Tensor]]:
        pairs = zip(self._weights, self._masters, strict=True)
        return [(weight, master) for weight, master in pairs if master is not weight]


def _master(weight: Parameter) -> Tensor:
    """The weight itself, or a float32 copy of one that has fewer bits."""
    if torch.finfo(weight.dtype).bits >= 32:
        return weight
    return weight.detach().float()
