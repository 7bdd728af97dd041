"""The table of a run's agents, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_COLUMNS = {
    "accuracy": ("accuracy %", 100.0),
    "search_ratio": ("search ratio %", 100.0),
    "searches_per_task": ("searches a task", 1.0),
    "format_kept": ("format kept %", 100.0),
    "mean_reward": ("mean reward", 1.0),
}
_HEADER = ("agent", "tasks", "n", *(label for label, _ in _COLUMNS.values()))


def agent_table(agents: Mapping[str, Mapping[str, Any]], by_kind: bool = True) -> str:
    """Aligned text: a row for each agent, and for each kind of task if wanted.

    Args:
        agents: Name -> figures as `agent_results.figures_record` gives them.
        by_kind: Whether the kinds get rows of their own.
    """
    lines = [_HEADER, *_rows(agents, by_kind)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place < 2 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _rows(agents: Mapping[str, Mapping[str, Any]], by_kind: bool) -> Iterator[tuple[str, ...]]:
    for name, figures in agents.items():
        yield (name, "all", str(figures["tasks"]), *_cells(figures))
        for kind, part in figures["by_kind"].items() if by_kind else ():
            yield ("", kind, str(part["tasks"]), *_cells(part))


def _cells(figures: Mapping[str, Any]) -> Iterator[str]:
    for name, (_, unit) in _COLUMNS.items():
        value, (low, high) = figures[name], figures["intervals"][name]
        digits = 1 if unit == 100.0 else 3
        if value is None:
            yield "-"
        elif low is None or high is None:
            yield f"{unit * value:.{digits}f}"
        else:
            yield f"{unit * value:.{digits}f} [{unit * low:.{digits}f}, {unit * high:.{digits}f}]"
