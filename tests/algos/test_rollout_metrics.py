"""What a collection of rollouts comes to, by hand."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from small_runs import ANSWER, IMAGE, PLAY, TASKS, TEXT, ScriptedSampler, collector_of, untrained

from algos.collect import Rollout
from algos.rollout_metrics import rollout_metrics
from algos.tokens import collate
from mmsr_env.types import SearchResult

VLM = untrained()
RIGHT = f"<reason> x</reason><answer>{TASKS[0].answers[0]}</answer>"


class Failing:
    async def search_image(self, image: object, k: int) -> SearchResult:
        return SearchResult.failed("timeout")

    async def search_text(self, query: str, k: int, question: str) -> SearchResult:
        return SearchResult()


def played(*texts: str, group: int, seconds: float) -> Rollout:
    collector = collector_of(
        VLM, ScriptedSampler(VLM, *texts), Failing(), PLAY, max_tokens=400, max_turn_tokens=99
    )
    (rollout,) = asyncio.run(collector.collect(TASKS[:1]))
    timed = replace(rollout.trajectory, timings={"policy_s": 1.0, "search_s": seconds})
    return replace(rollout, group=group, trajectory=timed)


def metrics_of(*rollouts: Rollout) -> dict[str, float]:
    batch = collate(
        [r.transcript for r in rollouts],
        [r.trajectory.reward for r in rollouts],
        [r.group for r in rollouts],
        [r.trajectory.truncated for r in rollouts],
        VLM.pad_id,
    )
    return rollout_metrics(rollouts, batch)


def test_means_over_trajectories() -> None:
    rollouts = [
        played(RIGHT, group=0, seconds=0.0),  # 1.0
        played(IMAGE, TEXT, ANSWER, group=0, seconds=3.0),  # 0.1
        played(TEXT, RIGHT, group=1, seconds=1.0),  # 0.91
        played("what?", group=2, seconds=0.0),  # 0.0
        played("why?", group=2, seconds=0.0),  # 0.0
    ]
    lengths = [len(rollout.transcript.expanded().input_ids) for rollout in rollouts]
    sampled = [int(rollout.transcript.expanded().response_mask.sum()) for rollout in rollouts]
    assert metrics_of(*rollouts) == pytest.approx(
        {
            "rollout/reward": 2.01 / 5,
            "rollout/accuracy": 2 / 5,
            "rollout/format_kept": 3 / 5,
            "rollout/search_ratio": 2 / 5,
            "rollout/searches_per_task": 3 / 5,
            "rollout/failed_searches": 1 / 5,
            "rollout/turns": 8 / 5,
            "rollout/truncated_share": 0.0,
            "rollout/sampled_tokens": sum(sampled) / 5,
            "rollout/tokens": sum(lengths) / 5,
            "rollout/groups_without_variance_share": 2 / 3,
            "time/search_s": 4.0 / 5,
        }
    )


def test_what_was_cut_off_is_counted() -> None:
    long = replace(TASKS[0], question="How long? " * 300)
    (cut,) = asyncio.run(collector_of(VLM, ScriptedSampler(VLM, ANSWER)).collect([long]))
    metrics = metrics_of(cut, played(RIGHT, group=1, seconds=0.0))
    assert metrics["rollout/truncated_share"] == 0.5
    assert metrics["rollout/turns"] == 0.5
