"""Making trajectories with a policy that speaks text: one episode, or many at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Protocol, TypeAlias, TypeVar

from mmsr_env.episode import Episode
from mmsr_env.errors import InvalidSettingError, MMSRError
from mmsr_env.search.base import SearchBackend, SearchRequest, perform
from mmsr_env.types import Conversation, Task, Trajectory

_T = TypeVar("_T")


class Policy(Protocol):
    """Whatever answers a conversation with the next message of the model."""

    async def respond(self, conversation: Conversation) -> str:
        """The next message.

        Args:
            conversation: Every message so far, its own included; the last one is the user's.
        """
        ...


Agent: TypeAlias = Callable[[Task], Policy]
"""Gives each task its policy. One that needs nothing of the task is `lambda task: policy`."""


class PolicyError(MMSRError, RuntimeError):
    """A policy raised; its own exception is the cause.

    Attributes:
        task_id: The task that it was working on.
        finished: From `run_many`: the trajectories that had ended, in the tasks' order. From
            `run_episode`: none.
    """

    def __init__(self, task_id: str, cause: Exception) -> None:
        super().__init__(f"the policy raised on task {task_id!r}: {type(cause).__name__}: {cause}")
        self.task_id = task_id
        self.finished: tuple[Trajectory, ...] = ()


async def run_episode(episode: Episode, policy: Policy, search: SearchBackend) -> Trajectory:
    """Drive a fresh episode to its end.

    Returns:
        The trajectory; its timings are "policy_s" and "search_s", seconds of waiting for each.

    Raises:
        PolicyError: The policy raised, or gave something other than text.
    """
    seconds = {"policy_s": 0.0, "search_s": 0.0}
    while True:
        asked = _message(policy, episode)
        outcome = episode.submit(await _timed(asked, seconds, "policy_s"))
        if isinstance(outcome, SearchRequest):
            episode.deliver(await _timed(perform(search, outcome), seconds, "search_s"))
        elif isinstance(outcome, Trajectory):
            return replace(outcome, timings=seconds)


async def run_many(
    episodes: Iterable[Episode], agent: Agent, search: SearchBackend, *, limit: int = 256
) -> list[Trajectory]:
    """Drive many episodes at once, and give their trajectories in the episodes' order.

    Arguments and errors are those of `run_each`.

    Raises:
        PolicyError: As `run_each`; all trajectories that ended are in its `finished`.
    """
    ended: dict[int, Trajectory] = {}
    try:
        await run_each(episodes, agent, search, ended.__setitem__, limit=limit)
    except PolicyError as error:
        error.finished = tuple(ended[place] for place in sorted(ended))
        raise
    return [ended[place] for place in sorted(ended)]


async def run_each(
    episodes: Iterable[Episode],
    agent: Agent,
    search: SearchBackend,
    on_end: Callable[[int, Trajectory], None],
    *,
    limit: int = 256,
) -> None:
    """Drive many episodes at once, and hand over each trajectory as its episode ends.

    Each episode waits for its own policy and searches alone; nothing that has ended is held.

    Args:
        episodes: Fresh episodes; each is taken when there is room for it, so an iterator that
            makes them on the way holds no more than `limit` at a time.
        agent: Gives each episode's task its policy.
        search: What carries out every search.
        on_end: Called with an episode's place in `episodes` and its trajectory, in no certain
            order.
        limit: How many episodes run at a time.

    Raises:
        PolicyError: A policy raised. No further episode is started, those that are running
            are brought to their end and handed over, and then the error surfaces: the first
            in the episodes' order, where there are several.
        InvalidSettingError: `limit` is less than 1.
    """
    if limit < 1:
        raise InvalidSettingError(f"limit must be 1 or more, got {limit!r}")
    run = _Run(episodes, agent, search, on_end)
    # Each worker takes the next episode from the one iterator that they share.
    raised = await asyncio.gather(*(run.work() for _ in range(limit)), return_exceptions=True)
    if run.failures:
        raise run.failures[min(run.failures)]
    for error in raised:  # of the iterator or of `on_end`
        if error is not None:
            raise error


class _Run:
    """What the workers of one `run_each` share."""

    def __init__(
        self,
        episodes: Iterable[Episode],
        agent: Agent,
        search: SearchBackend,
        on_end: Callable[[int, Trajectory], None],
    ) -> None:
        self._todo = iter(enumerate(episodes))
        self._agent = agent
        self._search = search
        self._on_end = on_end
        self.failures: dict[int, PolicyError] = {}

    async def work(self) -> None:
        for place, episode in self._todo:
            try:
                policy = _policy(self._agent, episode.task)
                ended = await run_episode(episode, policy, self._search)
            except PolicyError as error:
                self.failures[place] = error
            else:
                self._on_end(place, ended)
            if self.failures:
                return


def _policy(agent: Agent, task: Task) -> Policy:
    try:
        return agent(task)
    except Exception as error:
        raise PolicyError(task.id, error) from error


async def _message(policy: Policy, episode: Episode) -> str:
    try:
        text = await policy.respond(episode.conversation)
        if not isinstance(text, str):
            raise TypeError(f"respond must return str, got {type(text).__name__}")
    except Exception as error:
        raise PolicyError(episode.task.id, error) from error
    return text


async def _timed(awaited: Awaitable[_T], seconds: dict[str, float], name: str) -> _T:
    start = time.perf_counter()
    try:
        return await awaited
    finally:
        seconds[name] += time.perf_counter() - start
