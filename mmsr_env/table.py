"""The table of an evaluation, as aligned text and as Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from mmsr_env.evaluation import Row
from mmsr_env.metrics import Estimate, Summary
from mmsr_env.registry import look_up

_LABELS = ("agent", "tasks", "kind")
_SHARES = ("accuracy", "search_ratio", "search_budget_used", "format_kept")
_FIGURES = {
    "accuracy": "accuracy %",
    "search_ratio": "search_ratio %",
    "searches_per_task": "searches_per_task",
    "search_budget_used": "search_budget_used %",
    "format_kept": "format_kept %",
    "mean_reward": "mean_reward",
}
HEADER = (*_LABELS, "n", *_FIGURES.values())


def text_table(rows: Iterable[Row]) -> str:
    """The table in columns of equal width, labels to the left and numbers to the right."""
    lines = [HEADER, *_lines(rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(_aligned(line, widths) for line in lines)


def markdown_table(rows: Iterable[Row]) -> str:
    """The table in Markdown."""
    rules = ["---" if place < len(_LABELS) else "---:" for place in range(len(HEADER))]
    lines = [HEADER, rules, *_lines(rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


FORMATS = MappingProxyType({"text": text_table, "markdown": markdown_table})


def format_table(rows: Iterable[Row], form: str = "text") -> str:
    """The table in the named form.

    Each figure is followed by its 95 % interval; "-" stands where there is none.

    Raises:
        UnknownNameError: There is no such form.
    """
    return look_up("table form", form, FORMATS)(rows)


def notes(rows: Iterable[Row]) -> list[str]:
    """A line for each row that had failed searches, since its figures then say less."""
    return [
        f"{row.agent} on {row.tasks}: {row.figures.overall.failed_searches} of "
        f"{row.figures.overall.searches} searches failed"
        for row in rows
        if row.figures.overall.failed_searches
    ]


def _lines(rows: Iterable[Row]) -> Iterator[tuple[str, ...]]:
    for row in rows:
        parts: Mapping[str, Summary] = row.figures.by_kind or row.figures.by_category
        for kind, summary in {"all": row.figures.overall, **parts}.items():
            yield (row.agent, row.tasks, kind, str(summary.tasks), *_cells(summary))


def _cells(summary: Summary) -> Iterator[str]:
    for name in _FIGURES:
        estimate: Estimate = getattr(summary, name)
        scale, digits = (100.0, 1) if name in _SHARES else (1.0, 3)
        yield _cell(estimate, scale, digits)


def _cell(estimate: Estimate, scale: float, digits: int) -> str:
    value, low, high = (
        "-" if math.isnan(bound) else f"{bound * scale:.{digits}f}" for bound in estimate
    )
    return value if low == "-" else f"{value} [{low}, {high}]"


def _aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        cell.ljust(width) if place < len(_LABELS) else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(line, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()
