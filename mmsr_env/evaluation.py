"""Agents x task sets: how each agent does on each, in all and by kind, with every trajectory."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mmsr_env.episode import Episode
from mmsr_env.errors import InvalidSettingError
from mmsr_env.metrics import Breakdown, Summary, break_down
from mmsr_env.origin import commit, versions
from mmsr_env.protocol.grammar import Grammar, MMSearchR1Grammar
from mmsr_env.protocol.prompts import MMSEARCH_R1, Prompts
from mmsr_env.reward import RewardRule
from mmsr_env.rollout import Agent, run_each
from mmsr_env.rules import Rules
from mmsr_env.search.base import SearchBackend
from mmsr_env.tasks.base import TaskSet
from mmsr_env.trajectories import replacing, to_record, without_pictures, write_records
from mmsr_env.types import Task, Trajectory

_PARTIAL = ".partial.jsonl"


@dataclass(frozen=True, slots=True)
class Play:
    """How episodes are played: what each task is begun with."""

    rules: Rules = field(default_factory=Rules)
    grammar: Grammar = field(default_factory=MMSearchR1Grammar)
    prompts: Prompts = MMSEARCH_R1
    reward: RewardRule = field(default_factory=RewardRule)

    def begin(self, task: Task, step: int | None = None) -> Episode:
        return Episode(task, self.rules, self.grammar, self.prompts, self.reward, step)

    def settings(self) -> dict[str, Any]:
        """Everything about it as JSON values."""
        return {
            "rules": asdict(self.rules),
            "reward": asdict(self.reward),
            "grammar": self.grammar.name,
            "prompts": self.prompts.name,
        }


@dataclass(frozen=True, slots=True)
class Bench:
    """A task set and the search that its episodes may use."""

    tasks: TaskSet
    search: SearchBackend


@dataclass(frozen=True, slots=True)
class Row:
    """How one agent did on one task set."""

    agent: str
    tasks: str
    figures: Breakdown


Progress = Callable[[str, str, int, int], None]
"""Called with agent, task set, episodes ended and episodes in all."""


async def evaluate(
    agents: Mapping[str, Agent],
    benches: Sequence[Bench],
    play: Play,
    *,
    out: Path | None = None,
    limit: int = 256,
    settings: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> list[Row]:
    """Let every agent work on every task set.

    With `out`, `trajectories-AGENT.jsonl` is written there as each agent is done, and
    `results.json` at the end. An agent that is interrupted, by its own error or from outside,
    leaves what had ended in `trajectories-AGENT.partial.jsonl`.

    Args:
        agents: By name. Each policy starts afresh with each task.
        benches: The task sets; their names must differ.
        play: How episodes are played.
        out: The folder for the files; None for no files.
        limit: How many episodes run at a time.
        settings: What else decided the results, such as seeds, for `results.json`.
        progress: Told of every episode that ends.

    Returns:
        A row for each agent and task set, agents outermost.

    Raises:
        PolicyError: A policy raised.
        InvalidSettingError: Two task sets have one name, or an agent's name makes no file name.
    """
    _check_names(agents, benches)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)  # to fail before the work and not after it
    rows: list[Row] = []
    for name, agent in agents.items():
        work = _Work(name, agent, play, limit, progress)
        suffix = _PARTIAL
        try:
            rows += [await work.on(bench) for bench in benches]
            suffix = ".jsonl"
        finally:
            if out is not None:
                (out / f"trajectories-{name}{_PARTIAL}").unlink(missing_ok=True)
                write_records(out / f"trajectories-{name}{suffix}", work.records())
    if out is not None:
        _write_results(out / "results.json", rows, {**(settings or {}), **play.settings()})
    return rows


class _Work:
    """One agent's work on the task sets, and what has come of it so far."""

    def __init__(
        self, name: str, agent: Agent, play: Play, limit: int, progress: Progress | None
    ) -> None:
        self._name = name
        self._agent = agent
        self._play = play
        self._limit = limit
        self._progress = progress
        self._records: dict[str, dict[int, dict[str, Any]]] = {}

    async def on(self, bench: Bench) -> Row:
        tasks = bench.tasks.name
        records = self._records.setdefault(tasks, {})
        light: dict[int, Trajectory] = {}

        def keep(place: int, trajectory: Trajectory) -> None:
            head = {"agent": self._name, "task_set": tasks}
            records[place] = {**head, **to_record(trajectory)}
            light[place] = without_pictures(trajectory)
            if self._progress is not None:
                self._progress(self._name, tasks, len(light), len(bench.tasks))

        episodes = map(self._play.begin, bench.tasks)
        await run_each(episodes, self._agent, bench.search, keep, limit=self._limit)
        ended = (light[place] for place in sorted(light))
        return Row(self._name, tasks, break_down(ended, self._play.rules.max_searches))

    def records(self) -> Iterator[dict[str, Any]]:
        """The records of all that ended, in the order of the tasks."""
        for records in self._records.values():
            yield from (records[place] for place in sorted(records))


def _check_names(agents: Mapping[str, Agent], benches: Sequence[Bench]) -> None:
    names = [bench.tasks.name for bench in benches]
    if len(set(names)) < len(names):
        raise InvalidSettingError(f"the task sets' names must differ, got {names}")
    for name in agents:
        if not name or Path(name).name != name:
            raise InvalidSettingError(f"an agent's name must fit a file name, got {name!r}")


def _write_results(path: Path, rows: Sequence[Row], settings: Mapping[str, Any]) -> None:
    document = {
        "settings": dict(settings),
        "versions": versions(),
        "commit": commit(),
        "results": [
            {"agent": row.agent, "task_set": row.tasks, **breakdown_record(row.figures)}
            for row in rows
        ],
    }
    with replacing(path) as file:
        json.dump(document, file, indent=2, allow_nan=False)
        file.write("\n")


def breakdown_record(figures: Breakdown) -> dict[str, Any]:
    """The figures as JSON values; an unknown figure or bound is null."""
    return {
        "overall": _summary_record(figures.overall),
        "by_kind": {name: _summary_record(s) for name, s in figures.by_kind.items()},
        "by_category": {name: _summary_record(s) for name, s in figures.by_category.items()},
    }


def _summary_record(summary: Summary) -> dict[str, Any]:
    return dict(_plain(asdict(summary)))


def _plain(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, tuple):
            bounds = [None if math.isnan(number) else number for number in value]
            yield name, dict(zip(("value", "low", "high"), bounds, strict=True))
        else:
            yield name, value
