"""Making trajectories: whatever model, search and task do, each comes to a trajectory."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import groupby
from operator import itemgetter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_runs import (
    ANSWER,
    IMAGE,
    PLAY,
    SEARCH,
    TASKS,
    TEXT,
    ScriptedSampler,
    beginner,
    collector_of,
    untrained,
)

from algos.collect import Rollout
from algos.models import VisionLanguageModel
from algos.samplers.hf import HFSampler
from algos.tokens import collate
from mmsr_env.errors import InvalidSettingError
from mmsr_env.protocol.grammar import TAGS
from mmsr_env.reward import RewardRule
from mmsr_env.rules import Rules
from mmsr_env.types import ActionKind, SearchResult, StopReason, Task

VLM = untrained()


def played(*texts: str, tasks=TASKS[:1], step: int | None = None, ends: bool = True, **changes):
    sampler = ScriptedSampler(VLM, *texts, ends=ends)
    given = {"max_tokens": 500, "max_turn_tokens": 200, **changes}
    return asyncio.run(collector_of(VLM, sampler, **given).collect(tasks, step=step))


def turns_as_sampled(vlm: VisionLanguageModel, rollout: Rollout) -> list[str]:
    """The text of each run of sampled tokens, without its end of turn."""
    seen = rollout.transcript.expanded()
    pairs = zip(seen.input_ids.tolist(), seen.response_mask.tolist(), strict=True)
    runs = [list(run) for sampled, run in groupby(pairs, key=itemgetter(1)) if sampled]
    texts = [vlm.tokenizer.decode([index for index, _ in run]) for run in runs]
    return [text.removesuffix("<|im_end|>") for text in texts]


def test_rollouts_come_in_the_order_of_tasks_and_groups() -> None:
    sampler = ScriptedSampler(VLM, ANSWER)
    rollouts = asyncio.run(collector_of(VLM, sampler).collect(TASKS[:3], 4))
    assert [rollout.group for rollout in rollouts] == [0] * 4 + [1] * 4 + [2] * 4
    assert [r.trajectory.task.id for r in rollouts[::4]] == [task.id for task in TASKS[:3]]


def test_a_whole_episode_is_as_the_policy_wrote_it() -> None:
    (rollout,) = played(IMAGE, TEXT, ANSWER)
    trajectory = rollout.trajectory
    assert [turn.text for turn in trajectory.turns] == [IMAGE, TEXT, ANSWER]
    assert turns_as_sampled(VLM, rollout) == [IMAGE, TEXT, ANSWER]
    assert (trajectory.searches, trajectory.stop_reason) == (2, StopReason.ANSWERED)
    assert trajectory.format_kept
    shown = [turn.reply.images for turn in trajectory.turns[:2]]
    assert [len(images) for images in shown] == [3, 0]
    assert len(rollout.transcript.images) == 4


def test_a_right_answer_earns_its_reward_by_the_step() -> None:
    rule = RewardRule(search_penalty=0.1, warmup_steps=10)
    play = replace(PLAY, reward=rule)
    right = f"<reason> x</reason><answer>{TASKS[0].answers[0]}</answer>"
    early, late, outside = (
        played(IMAGE, right, step=step, play=play)[0].trajectory.reward for step in (0, 10, None)
    )
    assert early == pytest.approx(0.9 * 1.1 + 0.1)
    assert late == outside == pytest.approx(0.9 * 0.9 + 0.1)


class Broken:
    """A backend that fails, by the rules or against them."""

    def __init__(self, raises: bool) -> None:
        self.raises = raises

    async def search_image(self, image: object, k: int) -> SearchResult:
        if self.raises:
            raise RuntimeError("the socket fell off the wall")
        return SearchResult.failed("timeout", "it took too long")

    async def search_text(self, query: str, k: int, question: str) -> SearchResult:
        return await self.search_image(query, k)


@pytest.mark.parametrize("raises", [False, True])
def test_a_search_that_fails_costs_a_search_and_not_the_run(raises: bool) -> None:
    (rollout,) = played(IMAGE, TEXT, ANSWER, search=Broken(raises))
    trajectory = rollout.trajectory
    assert (trajectory.searches, trajectory.failed_searches) == (2, 2)
    assert trajectory.stop_reason is StopReason.ANSWERED
    assert all("failed" in turn.reply.text for turn in trajectory.turns[:2])
    assert "socket" not in VLM.tokenizer.decode(rollout.transcript.engine_ids)


LONG = replace(TASKS[0], question="How long is it? " * 200)


def test_a_task_that_leaves_no_room_is_cut_off_before_it_begins() -> None:
    sampler = ScriptedSampler(VLM, ANSWER)
    collector = collector_of(VLM, sampler)
    long, short = asyncio.run(collector.collect([LONG, TASKS[0]]))
    assert long.trajectory.turns == ()
    assert (long.trajectory.stop_reason, long.trajectory.reward) == (StopReason.CUT_OFF, 0.0)
    assert long.trajectory.truncated
    assert long.trajectory.task is LONG
    assert long.trajectory.timings.keys() == short.trajectory.timings.keys()
    assert short.trajectory.stop_reason is StopReason.ANSWERED
    assert len(sampler.requests) == 1


def test_its_row_holds_nothing_to_learn_from() -> None:
    rollouts = asyncio.run(
        collector_of(VLM, ScriptedSampler(VLM, ANSWER)).collect([LONG, *TASKS[:1]])
    )
    batch = collate([r.transcript for r in rollouts], [0.0, 1.0], [0, 1], [True, False], VLM.pad_id)
    assert batch.response_mask.any(1).tolist() == [False, True]
    assert batch.attention_mask.any(1).all()
    assert batch.image_counts.tolist() == [0, 1]


def test_a_picture_that_is_too_large_is_too_long_as_well() -> None:
    large = replace(TASKS[0], image=TASKS[0].image.resize((600, 600)))
    vlm = untrained()
    vlm.pictures.image_processor.size = {"shortest_edge": 784, "longest_edge": 10**6}
    try:
        collector = collector_of(vlm, ScriptedSampler(vlm, ANSWER))
        (rollout,) = asyncio.run(collector.collect([large]))
    finally:
        vlm.pictures.image_processor.size = {"shortest_edge": 784, "longest_edge": 784}
    assert rollout.trajectory.turns == ()


def test_a_context_in_which_nothing_fits_is_an_error() -> None:
    with pytest.raises(InvalidSettingError, match="3 tokens"):
        played(ANSWER, max_tokens=3)


def test_a_reply_that_does_not_fit_ends_the_episode_there() -> None:
    (whole,) = played(IMAGE, TEXT, ANSWER)
    length = len(whole.transcript.expanded().input_ids)
    reasons = set()
    for max_tokens in range(60, length + 40, 7):
        (rollout,) = played(IMAGE, TEXT, ANSWER, max_tokens=max_tokens)
        trajectory = rollout.trajectory
        assert len(rollout.transcript.expanded().input_ids) <= max_tokens
        reasons.add((trajectory.stop_reason, len(trajectory.turns), trajectory.searches))
        if trajectory.truncated:
            assert trajectory.reward == 0.0
    assert (StopReason.CUT_OFF, 1, 1) in reasons
    assert (StopReason.CUT_OFF, 2, 2) in reasons
    assert (StopReason.ANSWERED, 3, 2) in reasons


def test_a_turn_has_no_more_tokens_than_it_may() -> None:
    (rollout,) = played("word " * 50, max_turn_tokens=9)
    assert int(rollout.transcript.expanded().response_mask.sum()) == 9
    assert rollout.trajectory.stop_reason is StopReason.MALFORMED
    assert not rollout.trajectory.truncated


texts = st.one_of(
    st.text(max_size=30),
    st.lists(
        st.sampled_from(
            (*TAGS, "<search><img></search>", "<|im_end|>", "<|image_pad|>", " a", "\n", "�")
        ),
        max_size=9,
    ).map("".join),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(texts, min_size=1, max_size=3), st.booleans(), st.sampled_from(["end", "feedback"]))
def test_whatever_is_written_is_data(written: list[str], ends: bool, on_malformed: str) -> None:
    play = replace(PLAY, rules=Rules(results=2, on_malformed=on_malformed))
    (rollout,) = played(*written, ends=ends, play=play)
    trajectory = rollout.trajectory
    assert 0.0 <= trajectory.reward <= 1.0
    assert 1 <= len(trajectory.turns) <= 3
    pads = rollout.transcript.engine_ids.count(VLM.image_id)
    assert pads == len(rollout.transcript.images)
    if ends:
        said = turns_as_sampled(VLM, rollout)
        assert said == [turn.text for turn in trajectory.turns]


def test_feedback_gives_another_try() -> None:
    play = replace(PLAY, rules=Rules(on_malformed="feedback"))
    (rollout,) = played("what?", ANSWER, play=play)
    kinds = [turn.action.kind for turn in rollout.trajectory.turns]
    assert kinds == [ActionKind.MALFORMED, ActionKind.ANSWER]
    assert "must end with" in VLM.tokenizer.decode(rollout.transcript.engine_ids)


def tokens_of(rollouts: list[Rollout]) -> list[tuple[int, ...]]:
    return [rollout.transcript.engine_ids for rollout in rollouts]


def test_one_seed_gives_one_collection() -> None:
    vlm = beginner()
    first, second, third = (
        asyncio.run(collector_of(vlm, HFSampler(vlm, seed=seed)).collect(TASKS[:4], 3))
        for seed in (1, 1, 2)
    )
    assert tokens_of(first) == tokens_of(second) != tokens_of(third)
    assert [r.trajectory.reward for r in first] == [r.trajectory.reward for r in second]


def test_greedy_rollouts_of_one_task_are_equal() -> None:
    vlm = beginner()
    rollouts = asyncio.run(collector_of(vlm).collect(TASKS[:2], 3, temperature=0.0))
    assert len(set(tokens_of(rollouts))) == 2


def test_how_many_go_on_at_once_changes_no_greedy_rollout() -> None:
    vlm = beginner()
    collector = collector_of(vlm)
    many = asyncio.run(collector.collect(TASKS[:5], temperature=0.0))
    single = replace(collector, max_concurrent=1)
    assert tokens_of(many) == tokens_of(asyncio.run(single.collect(TASKS[:5], temperature=0.0)))


class Slow:
    """A backend that notes how many search at once."""

    def __init__(self) -> None:
        self.now = self.most = 0

    async def search_image(self, image: object, k: int) -> SearchResult:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.02)
        self.now -= 1
        return await SEARCH.search_image(image, k)

    async def search_text(self, query: str, k: int, question: str) -> SearchResult:
        return await SEARCH.search_text(query, k, question)


def test_episodes_wait_for_their_searches_side_by_side() -> None:
    slow = Slow()
    rollouts = played(IMAGE, ANSWER, tasks=TASKS[:6], search=slow)
    assert slow.most == 6
    assert all(r.trajectory.timings["search_s"] >= 0.015 for r in rollouts)


class Counting:
    """A backend that notes what it was asked, and fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.asked: list[str] = []
        self.failures = failures

    async def search_image(self, image: object, k: int) -> SearchResult:
        return await self.search_text("", k, "")

    async def search_text(self, query: str, k: int, question: str) -> SearchResult:
        self.asked.append(query)
        await asyncio.sleep(0)
        self.failures -= 1
        return SearchResult.failed("busy") if self.failures >= 0 else SearchResult()


def test_equal_searches_of_one_task_are_made_once() -> None:
    search = Counting()
    collector = collector_of(VLM, ScriptedSampler(VLM, IMAGE, TEXT, ANSWER), search, max_tokens=500)
    rollouts = asyncio.run(replace(collector, max_turn_tokens=99).collect(TASKS[:3], 4))
    assert sorted(search.asked) == [""] * 3 + ["Kim Rul beast"] * 3
    assert all(rollout.trajectory.searches == 2 for rollout in rollouts)
    asyncio.run(collector.collect(TASKS[:1]))
    assert len(search.asked) > 6  # another collection searches anew


def test_a_search_that_failed_is_made_again_for_the_next_who_asks() -> None:
    search = Counting(failures=1)
    collector = collector_of(VLM, ScriptedSampler(VLM, IMAGE, ANSWER), search, max_turn_tokens=99)
    rollouts = asyncio.run(replace(collector, max_concurrent=1).collect(TASKS[:1], 3))
    assert [rollout.trajectory.failed_searches for rollout in rollouts] == [1, 0, 0]
    assert len(search.asked) == 2


def test_sampled_logprobs_are_kept() -> None:
    (rollout,) = played(IMAGE, ANSWER)
    seen = rollout.transcript.expanded()
    assert torch.equal(seen.behavior_logprobs, seen.response_mask * -0.5)


def test_the_task_is_left_as_it_was() -> None:
    task: Task = TASKS[0]
    before = task.image.tobytes()
    (rollout,) = played(IMAGE, ANSWER, tasks=[task])
    assert rollout.trajectory.task is task
    assert task.image.tobytes() == before
