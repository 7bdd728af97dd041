"""Rewards of whole trajectories made into advantages, by comparing trajectories of one task.

A group is the rows that share a group id: groups may differ in size, and their rows may stand
anywhere in the batch. Sums are taken in float64 and relative to each group's lowest reward, so
that a group of equal rewards comes to exactly zero.
"""

from __future__ import annotations

import torch
from torch import Tensor

from algos.masking import masked


def group_centred(rewards: Tensor, group_ids: Tensor) -> Tensor:
    """Each reward less its group's mean: [B] float64.

    Args:
        rewards: [B].
        group_ids: [B] int64.
    """
    above = rewards.double() - _group_reduce(rewards.double(), group_ids, "amin")
    return above - _group_reduce(above, group_ids, "sum") / group_sizes(group_ids)


def group_deviation(rewards: Tensor, group_ids: Tensor) -> Tensor:
    """The standard deviation of each row's group: [B] float64, 0 for a group of one.

    It is the sample deviation (n - 1 below the line). The paper writes "std" alone; TRL and
    verl both call `torch.std`, whose default is this one.

    Args:
        rewards: [B].
        group_ids: [B] int64.
    """
    squares = group_centred(rewards, group_ids).square()
    freedom = (group_sizes(group_ids) - 1).clamp(min=1)
    return (_group_reduce(squares, group_ids, "sum") / freedom).sqrt()


def group_normalised(rewards: Tensor, group_ids: Tensor, std_floor: float) -> Tensor:
    """Each reward less its group's mean, over its group's deviation: [B] float32.

    arXiv 2402.03300, section 4.1.2. The deviation is floored, where TRL adds 1e-4 to it and
    verl 1e-6: a group whose deviation is above the floor is normalised exactly, and one whose
    rewards differ by rounding alone stays near 0.

    A group of one comes to 0: it is its own baseline, so nothing says whether it is better or
    worse than the policy's average. (verl takes its bare reward instead, which is on another
    scale than the rest of the batch and never negative.)

    Args:
        rewards: [B].
        group_ids: [B] int64.
        std_floor: The least deviation to divide by, in units of reward.
    """
    deviation = group_deviation(rewards, group_ids).clamp(min=std_floor)
    return (group_centred(rewards, group_ids) / deviation).float()


def group_sizes(group_ids: Tensor) -> Tensor:
    """How many rows each row's group has: [B] int64 from [B] int64."""
    return _group_reduce(torch.ones_like(group_ids), group_ids, "sum")


def has_variance(rewards: Tensor, group_ids: Tensor) -> Tensor:
    """Whether the rewards of each row's group differ at all: [B] bool.

    Args:
        rewards: [B].
        group_ids: [B] int64.
    """
    highest = _group_reduce(rewards, group_ids, "amax")
    return highest != _group_reduce(rewards, group_ids, "amin")


def count_groups_without_variance(rewards: Tensor, group_ids: Tensor) -> int:
    """How many groups have equal rewards throughout, and so teach nothing.

    Args:
        rewards: [B].
        group_ids: [B] int64.
    """
    return len(set(group_ids[~has_variance(rewards, group_ids)].tolist()))


def spread(per_row: Tensor, mask: Tensor) -> Tensor:
    """Each row's number at all its sampled tokens: [B, T], 0 where the mask is False.

    Args:
        per_row: [B].
        mask: [B, T] bool.
    """
    return masked(per_row[:, None].expand(mask.shape), mask)


def _group_reduce(values: Tensor, group_ids: Tensor, reduce: str) -> Tensor:
    """[B] the sum, the least ("amin") or the greatest ("amax") over each row's group."""
    groups, index = torch.unique(group_ids, return_inverse=True)
    start = values.new_zeros(len(groups))
    return start.scatter_reduce(0, index, values, reduce, include_self=False)[index]
