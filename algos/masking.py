"""Sums and means over the tokens that the policy sampled, and over nothing else.

Outside a mask, values are replaced and not multiplied by zero, so that not even a NaN there
reaches a result or a gradient.
"""

from __future__ import annotations

from enum import StrEnum

import torch
from torch import Tensor

from algos.base import Scale
from mmsr_env.errors import InvalidSettingError, UnknownNameError


class Aggregate(StrEnum):
    """How the tokens of a minibatch become one number.

    TOKEN: the mean over all its sampled tokens (DAPO, arXiv 2503.14476, section 3.3).
    SEQUENCE: the mean over its sequences of each one's mean (GRPO, arXiv 2402.03300, eq. 3).
    FIXED: the mean over its sequences of each one's sum over a constant length (Dr. GRPO,
        arXiv 2503.20783), so that a token weighs the same in every minibatch.
    """

    TOKEN = "token"
    SEQUENCE = "sequence"
    FIXED = "fixed"


def masked(values: Tensor, mask: Tensor) -> Tensor:
    """Values where the mask is True, and 0 elsewhere, whatever stood there.

    Args:
        values: [B, T].
        mask: [B, T] bool.
    """
    return torch.where(mask, values, torch.zeros_like(values))


def masked_sum(values: Tensor, mask: Tensor) -> Tensor:
    """[B] each row's sum where the mask is True; [B, T] values and bool mask."""
    return masked(values, mask).sum(dim=1)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """[B] each row's mean where the mask is True, 0 for a row without any; [B, T] inputs."""
    return masked_sum(values, mask) / mask.sum(dim=1).clamp(min=1)


def count_scale(mask: Tensor) -> Scale:
    """The counts that a minibatch is normalised by.

    Args:
        mask: [B, T] bool, the response mask of the whole minibatch.
    """
    return Scale(sequences=len(mask), tokens=int(mask.sum()))


def aggregate(
    per_token: Tensor, mask: Tensor, how: Aggregate, scale: Scale, fixed_length: int | None = None
) -> Tensor:
    """One micro-batch's share of a minibatch's loss; the shares of any split add up.

    A row without a sampled token adds 0 and still counts as a sequence.

    Args:
        per_token: [B, T].
        mask: [B, T] bool, the response mask.
        how: The way to aggregate.
        scale: The counts of the whole minibatch.
        fixed_length: In tokens; what "fixed" divides each sequence's sum by.

    Returns:
        A scalar.

    Raises:
        UnknownNameError: If there is no such way.
        InvalidSettingError: If `fixed_length` does not go with it.
    """
    check_aggregate(how, fixed_length)
    if how == Aggregate.TOKEN:
        return masked_sum(per_token, mask).sum() / max(scale.tokens, 1)
    if fixed_length is None:
        rows = masked_mean(per_token, mask)
    else:
        rows = masked_sum(per_token, mask) / fixed_length
    return rows.sum() / max(scale.sequences, 1)


def check_aggregate(how: str, fixed_length: int | None) -> None:
    """Raise unless `how` names an `Aggregate` and a length is given where one is used.

    Raises:
        UnknownNameError: If `how` names none.
        InvalidSettingError: If "fixed" comes without a positive whole `fixed_length`, or
            another way with one, which nothing would read.
    """
    if how not in set(Aggregate):
        raise UnknownNameError("aggregate", how, [way.value for way in Aggregate])
    if how != Aggregate.FIXED:
        if fixed_length is not None:
            raise InvalidSettingError(
                f"fixed_length is read only with aggregate='fixed', got {fixed_length!r} "
                f"with aggregate={str(how)!r}"
            )
    elif type(fixed_length) is not int or fixed_length < 1:
        raise InvalidSettingError(
            f"aggregate='fixed' needs fixed_length, a whole number of tokens of 1 or more, "
            f"got {fixed_length!r}"
        )
