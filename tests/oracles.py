"""Slow plain Python of the formulas, written from the papers and never from the code.

Lists and floats only: no torch, no numpy, nothing of the package. A batch is a list of rows, a
row a list of tokens.
"""

from __future__ import annotations

import math
from typing import Any

Rows = list[list[float]]
Mask = list[list[bool]]


def aggregate(
    losses: Rows, mask: Mask, how: str, sequences: int, tokens: int, fixed_length: int = 1
) -> float:
    """GRPO eq. 3 ("sequence"), DAPO section 3.3 ("token"), Dr. GRPO ("fixed")."""
    total = 0.0
    for row, flags in zip(losses, mask, strict=True):
        sampled = [loss for loss, flag in zip(row, flags, strict=True) if flag]
        for loss in sampled:
            weights = {
                "token": 1.0 / tokens,
                "sequence": 1.0 / sequences / len(sampled),
                "fixed": 1.0 / sequences / fixed_length,
            }
            total += loss * weights[how]
    return total


def group_advantages(rewards: list[float], groups: list[int], std_floor: float) -> list[float]:
    """GRPO section 4.1.2: (r - mean) / std within a group, sample deviation, floored."""
    result = []
    for reward, group in zip(rewards, groups, strict=True):
        mates = [r for r, g in zip(rewards, groups, strict=True) if g == group]
        mean = math.fsum(mates) / len(mates)
        if len(mates) == 1:
            result.append(0.0)
            continue
        variance = math.fsum((r - mean) ** 2 for r in mates) / (len(mates) - 1)
        result.append((reward - mean) / max(math.sqrt(variance), std_floor))
    return result


def groups_that_vary(rewards: list[float], groups: list[int]) -> list[bool]:
    """DAPO section 3.2: whether a row's group holds two different rewards."""
    return [
        len({r for r, g in zip(rewards, groups, strict=True) if g == group}) > 1 for group in groups
    ]


def kl_samples(p: float, q: float) -> dict[str, float]:
    """Schulman's three estimates of KL(p || q) at one sample of p, from the probabilities."""
    return {
        "k1": math.log(p / q),
        "k2": 0.5 * math.log(q / p) ** 2,
        "k3": q / p - math.log(q / p) - 1.0,
    }


def kl(p: list[float], q: list[float]) -> float:
    """The divergence itself, by its sum."""
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def surrogate(p_new: float, p_old: float, advantage: float, low: float, high: float) -> float:
    """PPO eq. 7's objective for one token, by cases of the advantage's sign."""
    ratio = p_new / p_old
    if advantage >= 0.0:
        return advantage * (1.0 + high if ratio > 1.0 + high else ratio)
    return advantage * (1.0 - low if ratio < 1.0 - low else ratio)


def grpo_loss(
    rows: dict[str, Rows],
    mask: Mask,
    *,
    how: str,
    kl_coef: float,
    entropy_coef: float,
    clip_low: float,
    clip_high: float,
    fixed_length: int = 1,
) -> float:
    """The negative of GRPO eq. 3 with an entropy bonus, over a whole minibatch.

    `rows` holds, each [B][T]: "new", "old", "ref" (log-probabilities), "advantages", "entropy".
    """
    losses = []
    for b, flags in enumerate(mask):
        row = []
        for t, flag in enumerate(flags):
            if not flag:
                row.append(math.nan)  # nothing may read it
                continue
            new, old, ref = (math.exp(rows[name][b][t]) for name in ("new", "old", "ref"))
            gain = surrogate(new, old, rows["advantages"][b][t], clip_low, clip_high)
            gain -= kl_coef * kl_samples(new, ref)["k3"]
            gain += entropy_coef * rows["entropy"][b][t]
            row.append(-gain)
        losses.append(row)
    tokens = sum(flag for flags in mask for flag in flags)
    return aggregate(losses, mask, how, len(mask), tokens, fixed_length)


def token_means(
    rows: dict[str, Rows], mask: Mask, clip_low: float, clip_high: float
) -> dict[str, float]:
    """What is logged of an update: means over the sampled tokens. `rows` as for `grpo_loss`."""
    sums = dict.fromkeys(("ratio", "approx_kl", "clip_fraction", "ref_kl", "entropy"), 0.0)
    count = 0
    for b, flags in enumerate(mask):
        for t, flag in enumerate(flags):
            if not flag:
                continue
            count += 1
            new, old, ref = (math.exp(rows[name][b][t]) for name in ("new", "old", "ref"))
            advantage = rows["advantages"][b][t]
            bounded = min(max(new / old, 1.0 - clip_low), 1.0 + clip_high)
            sums["ratio"] += new / old
            sums["approx_kl"] += kl_samples(old, new)["k3"]
            sums["clip_fraction"] += bounded * advantage < new / old * advantage
            sums["ref_kl"] += kl_samples(new, ref)["k3"]
            sums["entropy"] += rows["entropy"][b][t]
    return {name: value / count for name, value in sums.items()}


def select_rows(rows: list[dict[str, Any]], chosen: list[int]) -> dict[str, Any]:
    """A batch of some rows: padded to the longest of them, their pictures one after another.

    A row is {"tokens": list, "pictures": [{"grid": (t, h, w), "patches": [...]}, ...]}.
    """
    taken = [rows[number] for number in chosen]
    longest = max((len(row["tokens"]) for row in taken), default=0)
    pictures = [picture for row in taken for picture in row["pictures"]]
    return {
        "tokens": [row["tokens"] + [None] * (longest - len(row["tokens"])) for row in taken],
        "grids": [list(picture["grid"]) for picture in pictures],
        "patches": [patch for picture in pictures for patch in picture["patches"]],
        "counts": [len(row["pictures"]) for row in taken],
    }
