"""Making trajectories with a sampler: episodes as tokens, each going on by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from algos.group_search import GroupSearch
from algos.models import VisionLanguageModel
from algos.openings import open_transcript
from algos.samplers.base import Sampler
from algos.tokens import Transcript
from algos.workflows import ON_DEMAND, Workflow, force_turn
from mmsr_env.episode import Episode
from mmsr_env.search.base import SearchBackend, SearchRequest
from mmsr_env.types import Message, Task, Trajectory

_NOTHING = (Message("user", ("",)),)


@dataclass(frozen=True, slots=True)
class Rollout:
    """One episode, as the environment and as the trainer see it.

    Attributes:
        group: Equal for rollouts of one task in one collection.
        trajectory: What happened and what it was worth.
        transcript: Its tokens.
    """

    group: int
    trajectory: Trajectory
    transcript: Transcript


@dataclass(frozen=True, slots=True)
class Collector:
    """Plays episodes with a sampler.

    Attributes:
        vlm: Whose tokenizer and template the sampler's ids are of.
        sampler: The policy.
        search: Where searches go.
        episode: Makes the episode of a task, at a training step or outside training (None).
        max_tokens: The longest transcript, pictures' tokens counted.
        max_turn_tokens: The longest turn.
        max_concurrent: Episodes at once at most.
    """

    vlm: VisionLanguageModel
    sampler: Sampler
    search: SearchBackend
    episode: Callable[[Task, int | None], Episode]
    max_tokens: int = 8192
    max_turn_tokens: int = 2048
    max_concurrent: int = 1024

    async def collect(
        self,
        tasks: Sequence[Task],
        group_size: int = 1,
        temperature: float = 1.0,
        step: int | None = None,
        workflow: Workflow = ON_DEMAND,
    ) -> list[Rollout]:
        """`group_size` rollouts of each task, in the order of the tasks.

        A task whose opening leaves no room in the context gives trajectories that were cut off
        before their first turn; their transcripts hold an empty message in the opening's place.
        Equal searches of one task's rollouts are made once.

        Args:
            tasks: The tasks; the place of each is its group's number.
            group_size: Rollouts of each.
            temperature: 0 is greedy.
            step: The training step, for the reward's warm-up.
            workflow: Turns that are not left to the policy.
        """
        gate = asyncio.Semaphore(self.max_concurrent)

        searches = [GroupSearch(self.search) for _ in tasks]

        async def guarded(group: int, task: Task) -> Rollout:
            async with gate:
                rollout = self._play(task, searches[group], temperature, step, workflow)
                return Rollout(group, *await rollout)

        jobs = [guarded(g, task) for g, task in enumerate(tasks) for _ in range(group_size)]
        return list(await asyncio.gather(*jobs))

    async def _play(
        self,
        task: Task,
        search: GroupSearch,
        temperature: float,
        step: int | None,
        workflow: Workflow,
    ) -> tuple[Trajectory, Transcript]:
        episode = self.episode(task, step)
        spent = {"policy_s": 0.0, "search_s": 0.0}
        transcript = open_transcript(self.vlm, (episode.opening,), self.max_tokens)
        if transcript is None:  # the task's own fault, so it costs the task and not the run
            transcript = Transcript(self.vlm, _NOTHING, self.max_tokens)
            episode.cut_off()
        while episode.trajectory is None:
            start = time.perf_counter()
            text = await self._turn(transcript, temperature, episode, workflow)
            spent["policy_s"] += time.perf_counter() - start
            if text is None:
                episode.cut_off()
                break
            outcome = episode.submit(text)
            if isinstance(outcome, SearchRequest):
                result, took_s = await search.perform(outcome)
                spent["search_s"] += took_s
                outcome = episode.deliver(result)
            if not isinstance(outcome, Trajectory) and not transcript.append_reply(outcome):
                episode.cut_off()
        assert episode.trajectory is not None
        return replace(episode.trajectory, timings=spent), transcript

    async def _turn(
        self, transcript: Transcript, temperature: float, episode: Episode, workflow: Workflow
    ) -> str | None:
        """The policy's message, or as much of it as the workflow leaves; None without room."""
        if (number := len(episode.turns)) < len(workflow):
            return await force_turn(
                self.vlm,
                self.sampler,
                transcript,
                workflow[number],
                episode.task.question,
                temperature,
                self.max_turn_tokens,
            )
        request = transcript.request(self.max_turn_tokens, temperature)
        return transcript.append_completion(await self.sampler.sample(request))
