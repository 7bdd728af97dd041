"""How the agents of a run did: kept in files, so that a resumed run need not ask again."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmsr_env.metrics import Breakdown, Estimate, Summary, break_down
from mmsr_env.trajectories import replacing, to_record, write_records
from mmsr_env.types import Trajectory

FIGURES = (
    "accuracy",
    "search_ratio",
    "searches_per_task",
    "search_budget_used",
    "format_kept",
    "mean_reward",
)


def save_agent(
    folder: Path, name: str, trajectories: Sequence[Trajectory], max_searches: int
) -> Breakdown:
    """Write an agent's trajectories and figures; returns the figures.

    Args:
        folder: Gets `NAME.jsonl` and `NAME.json`.
        name: The agent's.
        trajectories: One for each test task.
        max_searches: The searches that the rules allow in one episode.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figures = break_down(trajectories, max_searches)
    write_records(folder / f"{name}.jsonl", map(to_record, trajectories))
    write_json(folder / f"{name}.json", figures_record(figures))
    return figures


def load_agent(folder: Path, name: str) -> dict[str, Any] | None:
    """An agent's figures as `save_agent` wrote them; None where it did not."""
    path = folder / f"{name}.json"
    if not path.is_file():
        return None
    figures: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return figures


def figures_record(figures: Breakdown) -> dict[str, Any]:
    """The figures as JSON values, in all and under "by_kind" and "by_category".

    Each figure is a number; "intervals" beside them holds the bounds of each at 95 %. What is
    not known is null.
    """
    return {
        **_summary(figures.overall),
        "by_kind": {name: _summary(part) for name, part in figures.by_kind.items()},
        "by_category": {name: _summary(part) for name, part in figures.by_category.items()},
    }


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON file whole or not at all."""
    with replacing(path) as file:
        json.dump(value, file, indent=2, allow_nan=False)
        file.write("\n")


def _summary(summary: Summary) -> dict[str, Any]:
    estimates: dict[str, Estimate] = {name: getattr(summary, name) for name in FIGURES}
    return {
        "tasks": summary.tasks,
        **{name: _known(estimate.value) for name, estimate in estimates.items()},
        "intervals": {
            name: [_known(estimate.low), _known(estimate.high)]
            for name, estimate in estimates.items()
        },
        "failed_searches": summary.failed_searches,
        "stop_reasons": dict(summary.stop_reasons),
    }


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
