"""Rollouts: order, waiting, failures of searches and of policies."""

from __future__ import annotations

import asyncio
import zlib

import numpy as np
import pytest
from PIL import Image

from mmsr_env.agents.random_text import RandomText
from mmsr_env.episode import Episode, Rules
from mmsr_env.errors import InvalidSettingError, MMSRError
from mmsr_env.protocol.grammar import MMSearchR1Grammar
from mmsr_env.rollout import PolicyError, run_each, run_episode, run_many
from mmsr_env.trajectories import to_record
from mmsr_env.types import (
    Conversation,
    Hit,
    ImageQuery,
    SearchResult,
    StopReason,
    Task,
)

IMAGE_SEARCH = "<reason>r</reason><search><img></search>"
TEXT_SEARCH = "<reason>r</reason><text_search>words</text_search>"
ANSWER = "<reason>r</reason><answer>gold</answer>"


def make_task(number: int) -> Task:
    image = Image.new("RGB", (8, 8), (number % 256, 0, 0))
    return Task(f"task-{number}", f"Question {number}?", image, ("gold",))


def episodes(count: int) -> list[Episode]:
    return [Episode(make_task(number)) for number in range(count)]


class Script:
    """Says its lines in turn; line i after i messages of its own."""

    def __init__(self, *lines: str) -> None:
        self.lines = lines

    async def respond(self, conversation: Conversation) -> str:
        return self.lines[len(conversation) // 2]


class Echo:
    """Answers at once with hits that repeat what was asked."""

    async def search_image(self, image: ImageQuery, k: int) -> SearchResult:
        return SearchResult(tuple(Hit(f"{image.task_id} {i}", image=image.image) for i in range(k)))

    async def search_text(self, query: str, k: int, question: str) -> SearchResult:
        return SearchResult((Hit(query, "https://x.example", f"{question} {query}"),))


class Slow(Echo):
    """Each search takes its time on the event loop, the earlier tasks the longest."""

    def __init__(self, seconds: float = 0.02) -> None:
        self.seconds = seconds
        self.running = self.most = 0

    async def search_text(self, query: str, k: int, question: str) -> SearchResult:
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(self.seconds * (zlib.crc32(question.encode()) % 5) / 5)
        self.running -= 1
        return await super().search_text(query, k, question)


class Broken(Echo):
    async def search_image(self, image: ImageQuery, k: int) -> SearchResult:
        raise ConnectionError("no route")


def same(policy: object) -> object:
    return lambda task: policy


async def test_an_episode_runs_to_its_end_and_keeps_what_was_said() -> None:
    policy = Script(IMAGE_SEARCH, TEXT_SEARCH, ANSWER)
    ended = await run_episode(Episode(make_task(3)), policy, Echo())
    assert [turn.text for turn in ended.turns] == [IMAGE_SEARCH, TEXT_SEARCH, ANSWER]
    assert ended.turns[0].result is not None
    assert [hit.title for hit in ended.turns[0].result.hits] == [f"task-3 {i}" for i in range(5)]
    assert ended.stop_reason is StopReason.ANSWERED
    assert ended.reward == pytest.approx(0.91)


async def test_a_policy_sees_the_whole_conversation_each_time() -> None:
    seen: list[list[str]] = []

    class Watcher(Script):
        async def respond(self, conversation: Conversation) -> str:
            seen.append([message.role for message in conversation])
            return await super().respond(conversation)

    await run_episode(Episode(make_task(0)), Watcher(TEXT_SEARCH, ANSWER), Echo())
    assert seen == [["user"], ["user", "assistant", "user"]]


async def test_seconds_are_told_apart_and_kept_out_of_the_reward() -> None:
    class Waiting(Script):
        async def respond(self, conversation: Conversation) -> str:
            await asyncio.sleep(0.03)
            return await super().respond(conversation)

    class Waits(Echo):
        async def search_text(self, query: str, k: int, question: str) -> SearchResult:
            await asyncio.sleep(0.05)
            return await super().search_text(query, k, question)

    waited = await run_episode(Episode(make_task(0)), Waiting(TEXT_SEARCH, ANSWER), Waits())
    at_once = await run_episode(Episode(make_task(0)), Script(TEXT_SEARCH, ANSWER), Echo())
    assert set(waited.timings) == {"policy_s", "search_s"}
    assert waited.timings["policy_s"] >= 0.06 - 0.01  # two turns; clocks differ a little
    assert waited.timings["search_s"] >= 0.05 - 0.01
    assert (waited.reward, waited.reward_parts) == (at_once.reward, at_once.reward_parts)
    assert to_record(waited) == to_record(at_once)


async def test_a_failing_search_is_a_result_and_the_episode_goes_on() -> None:
    ended = await run_episode(Episode(make_task(0)), Script(IMAGE_SEARCH, ANSWER), Broken())
    assert ended.stop_reason is StopReason.ANSWERED
    assert (ended.searches, ended.failed_searches) == (1, 1)
    assert ended.turns[0].result is not None
    assert ended.turns[0].result.detail == "ConnectionError: no route"


async def test_results_are_in_the_tasks_order_whichever_ended_first() -> None:
    order: list[int] = []
    ended = {}

    def keep(place: int, trajectory: object) -> None:
        order.append(place)
        ended[place] = trajectory

    policy = Script(TEXT_SEARCH, ANSWER)
    await run_each(episodes(40), same(policy), Slow(), keep)
    assert order != sorted(order), "the search should have mixed up the order of ending"
    together = await run_many(episodes(40), same(policy), Slow())
    assert [t.task.id for t in together] == [f"task-{i}" for i in range(40)]
    assert [to_record(t) for t in together] == [to_record(ended[i]) for i in range(40)]


@pytest.mark.parametrize("limit", [1, 3, 64])
async def test_the_limit_holds_and_changes_no_result(limit: int) -> None:
    search = Slow(0.005)
    agent = lambda task: RandomText(task, MMSearchR1Grammar(), seed=5)  # noqa: E731
    limited = await run_many(episodes(30), agent, search, limit=limit)
    assert search.most <= limit
    one_by_one = [await run_episode(e, agent(e.task), Echo()) for e in episodes(30)]
    assert [to_record(t) for t in limited] == [to_record(t) for t in one_by_one]


async def test_all_wait_at_once() -> None:
    """Every search waits until all have been asked for, so one that is queued would hang."""
    count = 50
    asked, all_asked = 0, asyncio.Event()

    class Barrier(Echo):
        async def search_text(self, query: str, k: int, question: str) -> SearchResult:
            nonlocal asked
            asked += 1
            if asked == count:
                all_asked.set()
            await asyncio.wait_for(all_asked.wait(), timeout=30)
            return await super().search_text(query, k, question)

    policy = Script(TEXT_SEARCH, ANSWER)
    ended = await run_many(episodes(count), same(policy), Barrier(), limit=count)
    assert sum(t.failed_searches for t in ended) == 0


async def test_episodes_are_made_only_when_there_is_room() -> None:
    made = ended = 0
    ahead = []

    def making() -> object:
        nonlocal made
        for episode in episodes(20):
            made += 1
            ahead.append(made - ended)
            yield episode

    def count(place: int, trajectory: object) -> None:
        nonlocal ended
        ended += 1

    await run_each(making(), same(Script(TEXT_SEARCH, ANSWER)), Slow(0.002), count, limit=4)
    assert (made, ended) == (20, 20)
    assert max(ahead) == 4


class Fails(Script):
    """Raises on the tasks of these numbers, after a moment on the loop."""

    def __init__(self, *numbers: int) -> None:
        super().__init__(TEXT_SEARCH, ANSWER)
        self.questions = [f"Question {number}?" for number in numbers]

    async def respond(self, conversation: Conversation) -> str:
        await asyncio.sleep(0)
        if any(question in conversation[0].text for question in self.questions):
            raise ZeroDivisionError("by nought")
        return await super().respond(conversation)


async def test_a_policy_that_raises_surfaces_with_its_task_and_loses_nothing() -> None:
    with pytest.raises(PolicyError, match=r"'task-4': ZeroDivisionError: by nought") as caught:
        await run_many(episodes(100), same(Fails(4)), Slow(), limit=10)
    error = caught.value
    assert error.task_id == "task-4"
    assert isinstance(error, MMSRError)
    assert isinstance(error.__cause__, ZeroDivisionError)
    finished = [t.task.id for t in error.finished]
    assert finished[:4] == [f"task-{i}" for i in range(4)], "those in flight come to their end"
    assert finished == sorted(finished, key=lambda i: int(i[5:]))
    assert len(finished) == 9, "the ten that had been begun, but for the one that failed"


async def test_of_several_failures_the_first_in_order_surfaces() -> None:
    with pytest.raises(PolicyError) as caught:
        await run_many(episodes(10), same(Fails(7, 2, 5)), Echo())
    assert caught.value.task_id == "task-2"
    assert len(caught.value.finished) == 7


async def test_an_agent_that_cannot_make_a_policy_and_one_that_gives_no_text() -> None:
    class Numbers:
        async def respond(self, conversation: Conversation) -> str:
            return 3  # type: ignore[return-value]

    def agent(task: Task) -> Script:
        raise LookupError("no such model")

    with pytest.raises(PolicyError, match="'task-0': LookupError: no such model"):
        await run_many(episodes(1), agent, Echo())
    with pytest.raises(PolicyError, match="'task-0': TypeError: respond must return str, got int"):
        await run_many(episodes(1), same(Numbers()), Echo())


async def test_an_error_of_the_iterator_surfaces_after_what_was_begun() -> None:
    def making() -> object:
        yield from episodes(3)
        raise OSError("the task file is gone")

    ended = []
    with pytest.raises(OSError, match="the task file is gone"):
        await run_each(
            making(),
            same(Script(TEXT_SEARCH, ANSWER)),
            Slow(),
            lambda place, trajectory: ended.append(place),
        )
    assert sorted(ended) == [0, 1, 2]


async def test_cancelling_stops_every_episode() -> None:
    class Forever(Echo):
        running = 0

        async def search_text(self, query: str, k: int, question: str) -> SearchResult:
            Forever.running += 1
            try:
                await asyncio.Event().wait()
            finally:
                Forever.running -= 1
            raise AssertionError

    work = asyncio.create_task(run_many(episodes(5), same(Script(TEXT_SEARCH, ANSWER)), Forever()))
    while Forever.running < 5:
        await asyncio.sleep(0)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert Forever.running == 0


async def test_none_at_all_and_a_limit_of_nought() -> None:
    assert await run_many([], same(Script(ANSWER)), Echo()) == []
    with pytest.raises(InvalidSettingError, match="limit must be 1 or more, got 0"):
        await run_many(episodes(1), same(Script(ANSWER)), Echo(), limit=0)


async def test_anything_a_model_may_write_ends_in_a_trajectory() -> None:
    rules = Rules(max_turns=6, max_searches=3, on_malformed="feedback")
    many = [Episode(make_task(number), rules) for number in range(200)]
    agent = lambda task: RandomText(task, MMSearchR1Grammar(), seed=1)  # noqa: E731
    ended = await run_many(many, agent, Echo())
    assert {t.stop_reason for t in ended} == {StopReason.ANSWERED, StopReason.TURNS_EXHAUSTED}
    assert all(0.0 <= t.reward <= 1.0 for t in ended)
    assert np.mean([t.searches for t in ended]) > 0.2
