"""A model's greedy episodes: for the table of agents, and for figures during training."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from algos.collect import Collector
from algos.workflows import get_workflow
from mmsr_env.metrics import summarize
from mmsr_env.trajectories import without_pictures
from mmsr_env.types import Task, Trajectory

_CHUNK = 256  # episodes at a time, so that not all pictures are held at once


def play_tasks(
    collector: Collector, tasks: Sequence[Task], count: int, workflow: str = "on_demand"
) -> list[Trajectory]:
    """Greedy trajectories of the first tasks, in order, their pictures let go.

    Args:
        collector: The model.
        tasks: The task set.
        count: How many of its tasks, at most.
        workflow: "on_demand", "rag" or "direct".
    """
    count, played = min(count, len(tasks)), []
    for start in range(0, count, _CHUNK):
        some = [tasks[i] for i in range(start, min(start + _CHUNK, count))]
        rollouts = asyncio.run(
            collector.collect(some, temperature=0.0, workflow=get_workflow(workflow))
        )
        played += [without_pictures(rollout.trajectory) for rollout in rollouts]
    return played


def validation_figures(
    collector: Collector, tasks: Sequence[Task], count: int, max_searches: int
) -> dict[str, float]:
    """The figures that are logged during training, by name without a prefix."""
    summary = summarize(play_tasks(collector, tasks, count), max_searches)
    return {
        "reward": summary.mean_reward.value,
        "accuracy": summary.accuracy.value,
        "search_ratio": summary.search_ratio.value,
        "searches_per_task": summary.searches_per_task.value,
        "format_kept": summary.format_kept.value,
    }
