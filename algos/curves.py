"""The learning curves of a run as one picture: accuracy, search ratio and reward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

_PANELS = {
    "accuracy": "accuracy",
    "search_ratio": "search ratio",
    "searches_per_task": "searches a task",
    "reward": "mean reward",
}
_REFERENCES = {"rag": "RAG workflow", "direct": "direct answer"}
_SMOOTHING = 9  # iterations, centred


def write_curves(
    path: Path, rows: Sequence[Mapping[str, Any]], agents: Mapping[str, Mapping[str, Any]]
) -> None:
    """Draw the curves.

    Args:
        path: Of the PNG.
        rows: A run's metrics, as `metrics_log.read_metrics` gives them.
        agents: Figures by agent; those of "rag" and "direct" become dashed lines.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6.4), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (name, title) in zip(figure.subplots(2, 2).flat, _PANELS.items(), strict=True):
        _draw_training(axes, rows, f"rollout/{name}")
        _draw_validation(axes, rows, f"eval/{name}")
        for style, (agent, label) in zip(("--", ":"), _REFERENCES.items(), strict=True):
            value = agents.get(agent, {}).get("mean_reward" if name == "reward" else name)
            if value is not None:
                axes.axhline(value, color="0.45", linestyle=style, linewidth=1.2, label=label)
        axes.set_title(title)
        axes.set_xlabel("iteration")
        axes.grid(alpha=0.25)
    if figure.axes[0].get_legend_handles_labels()[0]:
        figure.axes[0].legend(fontsize=8)
    figure.savefig(path, dpi=110)


def _draw_training(axes: Any, rows: Sequence[Mapping[str, Any]], name: str) -> None:
    iterations, values = _series(rows, name)
    if len(values):
        axes.plot(iterations, values, color="C0", alpha=0.25, linewidth=0.8)
        axes.plot(iterations, _smoothed(values), color="C0", label="training, sampled")


def _draw_validation(axes: Any, rows: Sequence[Mapping[str, Any]], name: str) -> None:
    iterations, values = _series(rows, name)
    if len(values):
        axes.plot(iterations, values, "o-", color="C1", ms=4, label="validation, greedy")


def _series(
    rows: Sequence[Mapping[str, Any]], name: str
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The iterations at which a metric has a number, and these numbers."""
    points = [(row["iteration"], row[name]) for row in rows if row.get(name) is not None]
    iterations, values = np.array(points, dtype=float).reshape(-1, 2).T
    return iterations, values


def _smoothed(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The mean over a window that is cut off at the ends."""
    half = _SMOOTHING // 2
    return np.array([values[max(0, i - half) : i + half + 1].mean() for i in range(len(values))])
