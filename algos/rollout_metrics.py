"""What a collection of rollouts comes to, as metrics for the log."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from algos.advantages import count_groups_without_variance
from algos.batch import TokenBatch
from algos.collect import Rollout


def rollout_metrics(rollouts: Sequence[Rollout], batch: TokenBatch) -> dict[str, float]:
    """Means over trajectories, by name, under "rollout/"; seconds of searching under "time/".

    Args:
        rollouts: Those of one iteration, at least one.
        batch: Their tokens.
    """
    trajectories = [rollout.trajectory for rollout in rollouts]
    figures = {
        "reward": [t.reward for t in trajectories],
        "accuracy": [float(t.correct) for t in trajectories],
        "format_kept": [float(t.format_kept) for t in trajectories],
        "search_ratio": [float(t.searches > 0) for t in trajectories],
        "searches_per_task": [float(t.searches) for t in trajectories],
        "failed_searches": [float(t.failed_searches) for t in trajectories],
        "turns": [float(len(t.turns)) for t in trajectories],
        "truncated_share": [float(t.truncated) for t in trajectories],
        "sampled_tokens": batch.response_mask.sum(1).float().tolist(),
        "tokens": batch.attention_mask.sum(1).float().tolist(),
    }
    metrics = {f"rollout/{name}": fmean(values) for name, values in figures.items()}
    groups = max(1, len(set(batch.group_ids.tolist())))
    flat = count_groups_without_variance(batch.rewards, batch.group_ids)
    return metrics | {
        "rollout/groups_without_variance_share": flat / groups,
        "time/search_s": fmean(t.timings["search_s"] for t in trajectories),
    }
