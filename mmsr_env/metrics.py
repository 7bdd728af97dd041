"""What trajectories come to: accuracy and searching side by side, with 95 % intervals."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mmsr_env.errors import InvalidSettingError
from mmsr_env.types import Trajectory

Z_95 = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution."""


class Estimate(NamedTuple):
    """A figure and its 95 % interval; NaN where the trajectories say nothing of it."""

    value: float
    low: float
    high: float


UNKNOWN = Estimate(math.nan, math.nan, math.nan)


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of some trajectories.

    Attributes:
        tasks: How many trajectories there are.
        accuracy: Share with a right answer. Shares have Wilson intervals.
        search_ratio: Share with at least one search.
        searches_per_task: Mean number of searches. Means have normal intervals.
        search_budget_used: Searches made over searches allowed.
        format_kept: Share with every turn well formed and an answer at the end.
        mean_reward: Mean reward.
        searches: Searches made, failed ones among them.
        failed_searches: Searches that failed.
        stop_reasons: How many ended for each reason that occurred, by name.
    """

    tasks: int
    accuracy: Estimate
    search_ratio: Estimate
    searches_per_task: Estimate
    search_budget_used: Estimate
    format_kept: Estimate
    mean_reward: Estimate
    searches: int
    failed_searches: int
    stop_reasons: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Breakdown:
    """The same figures in all, by the tasks' kind and by their category.

    A task without a kind is in no entry of `by_kind`.
    """

    overall: Summary
    by_kind: Mapping[str, Summary]
    by_category: Mapping[str, Summary]


def summarize(trajectories: Iterable[Trajectory], max_searches: int) -> Summary:
    """The figures of some trajectories; of none, counts of 0 and NaN.

    Args:
        trajectories: Ended episodes, all played by the same rules.
        max_searches: The searches that the rules allow in one episode. With 0 of them no
            budget can be used, and `search_budget_used` is NaN.

    Raises:
        InvalidSettingError: `max_searches` is below 0.
    """
    if max_searches < 0:
        raise InvalidSettingError(f"max_searches must be 0 or more, got {max_searches!r}")
    some = list(trajectories)
    searches = [t.searches for t in some]
    per_task = mean_interval(searches)
    return Summary(
        tasks=len(some),
        accuracy=wilson_interval(sum(t.correct for t in some), len(some)),
        search_ratio=wilson_interval(sum(n > 0 for n in searches), len(some)),
        searches_per_task=per_task,
        search_budget_used=_share_of(per_task, max_searches),
        format_kept=wilson_interval(sum(t.format_kept for t in some), len(some)),
        mean_reward=mean_interval([t.reward for t in some]),
        searches=sum(searches),
        failed_searches=sum(t.failed_searches for t in some),
        stop_reasons=dict(sorted(Counter(t.stop_reason.value for t in some).items())),
    )


def break_down(trajectories: Iterable[Trajectory], max_searches: int) -> Breakdown:
    """The figures in all, by kind and by category; arguments and errors as `summarize`."""
    some = list(trajectories)
    return Breakdown(
        summarize(some, max_searches),
        _by(lambda t: t.task.kind, some, max_searches),
        _by(lambda t: t.task.category.value, some, max_searches),
    )


def wilson_interval(hits: int, count: int) -> Estimate:
    """A share and its 95 % score interval (Wilson 1927, equation for p in p-hat and z).

    Args:
        hits: How many of them, 0 <= hits <= count.
        count: Of how many; of 0 the share is NaN.
    """
    if count == 0:
        return UNKNOWN
    share = hits / count
    z2 = Z_95**2 / count
    centre = (share + z2 / 2) / (1 + z2)
    half = math.sqrt(z2 * (share * (1 - share) + z2 / 4)) / (1 + z2)
    # At the ends the bound is the share itself; rounding would put it beyond.
    low = 0.0 if hits == 0 else centre - half
    high = 1.0 if hits == count else centre + half
    return Estimate(share, low, high)


def mean_interval(values: Sequence[float]) -> Estimate:
    """A mean of numbers that cannot be negative and its 95 % normal interval, cut off at 0.

    The deviation is that of a sample (n - 1), so one value has a mean and no interval.
    """
    if not values:
        return UNKNOWN
    count = len(values)
    mean = math.fsum(values) / count
    if count == 1:
        return Estimate(mean, math.nan, math.nan)
    squares = math.fsum((value - mean) ** 2 for value in values)
    half = Z_95 * math.sqrt(squares / (count - 1) / count)
    return Estimate(mean, max(0.0, mean - half), mean + half)


def _share_of(used: Estimate, allowed: int) -> Estimate:
    if allowed == 0:
        return UNKNOWN
    value, low, high = (bound / allowed for bound in used)
    return Estimate(value, low, min(1.0, high) if not math.isnan(high) else high)


def _by(
    label: Callable[[Trajectory], str], trajectories: list[Trajectory], max_searches: int
) -> dict[str, Summary]:
    labels = sorted({label(t) for t in trajectories} - {""})
    return {
        name: summarize((t for t in trajectories if label(t) == name), max_searches)
        for name in labels
    }
