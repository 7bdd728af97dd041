"""Metrics against hand-computed numbers and independent forms of the intervals."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy import optimize, stats

from mmsr_env.errors import InvalidSettingError
from mmsr_env.metrics import break_down, mean_interval, summarize, wilson_interval
from mmsr_env.types import (
    Action,
    ActionKind,
    Category,
    Message,
    SearchResult,
    StopReason,
    Task,
    Trajectory,
    Turn,
)

IMAGE = Image.new("RGB", (2, 2))


def ended(
    score: float = 1.0,
    searches: int = 0,
    failed: int = 0,
    kept: float = 1.0,
    reward: float = 0.5,
    kind: str = "",
    category: Category = Category.UNKNOWN,
    stop: StopReason = StopReason.ANSWERED,
) -> Trajectory:
    results = [SearchResult.failed("timeout")] * failed
    results += [SearchResult()] * (searches - failed)
    turns = [Turn("t", Action(ActionKind.SEARCH_TEXT, "q"), result) for result in results]
    turns.append(Turn("a", Action(ActionKind.ANSWER, "x")))
    task = Task("id", "?", IMAGE, ("x",), category, kind)
    parts = {"score": score, "penalty": 1.0, "format": kept}
    return Trajectory(task, Message("user", ("?",)), tuple(turns), reward, parts, stop)


def wilson_by_roots(hits: int, count: int) -> tuple[float, float]:
    """The p at which (p-hat - p)^2 = z^2 p (1 - p) / n: what the interval is defined by."""
    share, z, inside = hits / count, stats.norm.ppf(0.975), 1 - 1e-12

    def gap(p: float) -> float:
        return (share - p) ** 2 - z * z * p * (1 - p) / count

    low = 0.0 if hits == 0 else optimize.brentq(gap, 0.0, min(share, inside), xtol=1e-14)
    high = 1.0 if hits == count else optimize.brentq(gap, max(share, 1 - inside), 1.0, xtol=1e-14)
    return low, high


@given(st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_solves_the_equation_that_defines_it(case: tuple[int, int]) -> None:
    hits, count = case
    estimate = wilson_interval(hits, count)
    assert estimate.value == hits / count
    assert estimate[1:] == pytest.approx(wilson_by_roots(hits, count), abs=1e-9)
    assert 0.0 <= estimate.low <= estimate.value <= estimate.high <= 1.0


def test_wilson_known_values() -> None:
    # Newcombe 1998, table I, method 3: 81/263, 15/148, 0/20, 1/29.
    table = {(81, 263): (0.2553, 0.3662), (15, 148): (0.0624, 0.1605)}
    table |= {(0, 20): (0.0, 0.1611), (1, 29): (0.0061, 0.1718)}
    for (hits, count), bounds in table.items():
        assert wilson_interval(hits, count)[1:] == pytest.approx(bounds, abs=5e-5)


@given(st.lists(st.floats(0, 10), min_size=2, max_size=50))
def test_the_mean_has_the_interval_of_a_sample(values: list[float]) -> None:
    mean, low, high = mean_interval(values)
    error = statistics.stdev(values) / math.sqrt(len(values))
    assert mean == pytest.approx(statistics.fmean(values))
    assert high - mean == pytest.approx(1.959963984540054 * error, abs=1e-9)
    assert low == pytest.approx(max(0.0, mean - 1.959963984540054 * error), abs=1e-9)


def test_one_value_has_a_mean_and_no_interval() -> None:
    mean, low, high = mean_interval([0.3])
    assert mean == 0.3
    assert math.isnan(low)
    assert math.isnan(high)


def test_a_summary_by_hand() -> None:
    some = [
        ended(score=1, searches=0, reward=1.0),
        ended(score=1, searches=2, failed=1, reward=0.91),
        ended(score=0, searches=1, failed=1, kept=0, reward=0.0, stop=StopReason.MALFORMED),
        ended(score=0, searches=0, reward=0.1),
        ended(score=0, searches=2, kept=0, reward=0.0, stop=StopReason.TURNS_EXHAUSTED),
    ]
    summary = summarize(some, max_searches=4)
    assert summary.tasks == 5
    assert summary.accuracy.value == 0.4
    assert summary.search_ratio.value == 0.6
    assert summary.searches_per_task.value == 1.0
    assert summary.search_budget_used.value == 0.25
    assert summary.format_kept.value == 0.6
    assert summary.mean_reward.value == pytest.approx(2.01 / 5)
    assert (summary.searches, summary.failed_searches) == (5, 2)
    assert dict(summary.stop_reasons) == {"answered": 3, "malformed": 1, "turns_exhausted": 1}
    # Sample deviation of 0, 2, 1, 0, 2 is 1; the error of the mean is 1 / sqrt(5).
    half = 1.959963984540054 / math.sqrt(5)
    assert summary.searches_per_task[1:] == pytest.approx((1 - half, 1 + half))
    assert summary.search_budget_used[1:] == pytest.approx(((1 - half) / 4, (1 + half) / 4))


def test_a_budget_is_never_more_than_used_up() -> None:
    used = summarize([ended(searches=n) for n in (0, 2, 2)], 2).search_budget_used
    assert used.value == pytest.approx(2 / 3)
    assert used.high == 1.0


def test_none_at_all_gives_counts_of_nought_and_nothing_else() -> None:
    summary = summarize([], 2)
    assert (summary.tasks, summary.searches, dict(summary.stop_reasons)) == (0, 0, {})
    assert all(math.isnan(bound) for bound in (*summary.accuracy, *summary.mean_reward))
    parts = break_down([], 2)
    assert (dict(parts.by_kind), dict(parts.by_category)) == ({}, {})


def test_no_budget_cannot_be_used() -> None:
    assert math.isnan(summarize([ended()], 0).search_budget_used.value)
    with pytest.raises(InvalidSettingError, match="max_searches must be 0 or more, got -1"):
        summarize([], -1)


def test_parts_by_kind_and_category_add_up_and_order_changes_nothing() -> None:
    free, required = Category.SEARCH_FREE, Category.SEARCH_REQUIRED
    some = [ended(kind="visible", category=free, score=i % 2) for i in range(5)]
    some += [ended(kind="named", category=required, searches=1, reward=0.9) for _ in range(3)]
    some += [ended(category=required, score=0)]
    parts = break_down(iter(some), 2)
    assert {name: s.tasks for name, s in parts.by_kind.items()} == {"named": 3, "visible": 5}
    assert {n: s.tasks for n, s in parts.by_category.items()} == {
        "search_free": 5,
        "search_required": 4,
    }
    assert parts.by_kind["visible"].accuracy == wilson_interval(2, 5)
    assert parts.by_category["search_required"].search_ratio == wilson_interval(3, 4)
    assert parts.overall == summarize(some, 2)
    assert repr(break_down(reversed(some), 2)) == repr(parts)
