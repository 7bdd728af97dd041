"""The options that commands share: which tasks are played, with which search, by which rules."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

from mmsr_env.errors import InvalidSettingError
from mmsr_env.protocol.grammar import GRAMMARS, get_grammar
from mmsr_env.protocol.prompts import PROMPTS, get_prompts
from mmsr_env.reward import RewardRule
from mmsr_env.rules import OnMalformed, Rules
from mmsr_env.scoring import SCORERS
from mmsr_env.types import ImageQuery, SearchResult, Task

if TYPE_CHECKING:
    from mmsr_env.evaluation import Bench, Play
    from mmsr_env.tasks.base import TaskSet

ATLAS = "atlas"
_ATLAS_COUNT = 200


def add_task_options(parser: argparse.ArgumentParser) -> None:
    """Options that say which tasks are played; `benches` reads them."""
    group = parser.add_argument_group("tasks")
    group.add_argument(
        "--tasks",
        action="append",
        metavar="SET",
        help="a task set: atlas (the default), or a .parquet or .jsonl file; may be repeated",
    )
    group.add_argument(
        "--index", metavar="DIR", help="the search index; the default for atlas is its world"
    )
    group.add_argument("--count", type=int, help=f"how many tasks; for atlas {_ATLAS_COUNT}")
    group.add_argument("--split", default="test", help="atlas: train, validation or test (default)")
    group.add_argument("--difficulty", default="medium", help="atlas: easy, medium or hard")
    group.add_argument("--size", type=int, default=1000, help="atlas: entities in the world")
    group.add_argument("--seed", type=int, default=0, help="of the world, questions and agents")


def add_play_options(parser: argparse.ArgumentParser) -> None:
    """Options that say how episodes are played; `play` reads them."""
    rules, reward = Rules(), RewardRule()
    group = parser.add_argument_group("rules and reward")
    group.add_argument("--max-turns", type=int, default=rules.max_turns)
    group.add_argument("--max-searches", type=int, default=rules.max_searches)
    group.add_argument("--results", type=int, default=rules.results, help="hits of a search")
    group.add_argument(
        "--on-malformed", default=rules.on_malformed, choices=[rule.value for rule in OnMalformed]
    )
    group.add_argument("--search-penalty", type=float, default=reward.search_penalty)
    group.add_argument("--per-search", action="store_true", help="a penalty for every search")
    group.add_argument("--match", default=reward.match, choices=list(SCORERS))
    group.add_argument("--grammar", default="mmsearch_r1", choices=list(GRAMMARS))
    group.add_argument("--prompts", default="mmsearch_r1", choices=list(PROMPTS))


def play(options: argparse.Namespace) -> Play:
    """How episodes are played.

    Raises:
        InvalidSettingError: A value is outside what it may be.
    """
    from mmsr_env.evaluation import Play

    return Play(
        Rules(
            max_turns=options.max_turns,
            max_searches=options.max_searches,
            results=options.results,
            on_malformed=OnMalformed(options.on_malformed),
        ),
        get_grammar(options.grammar),
        get_prompts(options.prompts),
        RewardRule(
            search_penalty=options.search_penalty,
            per_search=options.per_search,
            match=options.match,
        ),
    )


def benches(options: argparse.Namespace) -> list[Bench]:
    """The task sets, each with its search.

    Raises:
        MMSRError: A task set or index does not exist or cannot be read, or a value is outside
            what it may be.
    """
    if options.count is not None and options.count < 1:
        raise InvalidSettingError(f"--count must be 1 or more, got {options.count}")
    return [
        _atlas(options) if spec == ATLAS else _from_file(spec, options)
        for spec in options.tasks or [ATLAS]
    ]


def task_settings(options: argparse.Namespace) -> dict[str, Any]:
    """The options about tasks as JSON values."""
    names = ("tasks", "index", "count", "split", "difficulty", "size", "seed")
    return {name: getattr(options, name) for name in names}


def _atlas(options: argparse.Namespace) -> Bench:
    from mmsr_env.evaluation import Bench
    from mmsr_env.sources import make_sources

    world = {"size": options.size, "seed": options.seed, "difficulty": options.difficulty}
    tasks = {
        "spec": ATLAS,
        "split": options.split,
        "count": _ATLAS_COUNT if options.count is None else options.count,
        "seed": options.seed,
    }
    task_set, search = make_sources(tasks, options.index, world)
    return Bench(task_set, search or NoSearch())


def _from_file(spec: str, options: argparse.Namespace) -> Bench:
    from mmsr_env.evaluation import Bench
    from mmsr_env.sources import make_sources

    tasks, search = make_sources(spec, options.index, None)
    if search is None and options.max_searches > 0:
        raise InvalidSettingError(
            f"the tasks of {spec!r} bring no search: give --index DIR, or --max-searches 0"
        )
    if options.count is not None and options.count < len(tasks):
        tasks = FirstTasks(tasks, options.count)
    return Bench(tasks, search or NoSearch())


class FirstTasks(Sequence[Task]):
    """The first tasks of a task set, each still made when it is asked for."""

    def __init__(self, tasks: TaskSet, size: int) -> None:
        self.name = tasks.name
        self._tasks = tasks
        self._places = range(size)

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Task: ...
    @overload
    def __getitem__(self, index: slice) -> list[Task]: ...
    def __getitem__(self, index: int | slice) -> Task | list[Task]:
        if isinstance(index, slice):
            return [self._tasks[i] for i in self._places[index]]
        return self._tasks[self._places[index]]

    def __iter__(self) -> Iterator[Task]:
        return (self._tasks[i] for i in self._places)


class NoSearch:
    """Stands where the rules allow no search; every search fails."""

    async def search_image(self, image: ImageQuery, k: int) -> SearchResult:  # noqa: ARG002
        return SearchResult.failed("no_search")

    async def search_text(self, query: str, k: int, question: str) -> SearchResult:  # noqa: ARG002
        return SearchResult.failed("no_search")
