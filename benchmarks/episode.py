"""What a turn of an episode costs without the search, and what importing the package costs.

python -m benchmarks.episode
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.record import RESULTS, record
from mmsr_env.atlas import AtlasSearch, AtlasTasks, World
from mmsr_env.episode import Episode
from mmsr_env.search.base import SearchRequest, perform
from mmsr_env.types import SearchResult, Task

_TASKS = 50
_WORLD = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=2000)
    parser.add_argument("--imports", type=int, default=15)
    parser.add_argument("--results", type=Path, default=RESULTS)
    chosen = parser.parse_args()
    turns = sorted(turn_times(chosen.episodes))
    figures = {
        "turn_us": 1e6 * statistics.median(turns),
        "turn_p95_us": 1e6 * turns[int(0.95 * len(turns))],
        "import_s": statistics.median(import_times(chosen.imports)),
    }
    settings = {
        "episodes": chosen.episodes,
        "turns": "image search, text search, answer",
        "imports": chosen.imports,
        "world": {"size": _WORLD, "seed": 0, "difficulty": "medium"},
    }
    record("episode", figures, settings, results=chosen.results)


def turn_times(episodes: int) -> Iterator[float]:
    """Seconds of `submit` and `deliver` together, for each turn of real episodes on Atlas."""
    world = World(_WORLD)
    search = AtlasSearch(world)
    scripts = [_script(task, search) for task in AtlasTasks(world, count=_TASKS)]
    for number in range(episodes):
        task, steps = scripts[number % len(scripts)]
        episode = Episode(task)
        for text, result in steps:
            start = time.perf_counter()
            episode.submit(text)
            if result is not None:
                episode.deliver(result)
            yield time.perf_counter() - start


def _script(task: Task, search: AtlasSearch) -> tuple[Task, list[tuple[str, SearchResult | None]]]:
    """The messages of one episode, with the results that its searches have."""
    reason = "<reason>The emblem is not known to me, so it has to be looked up.</reason>"
    messages = (
        f"{reason}<search><img></search>",
        f"{reason}<text_search>{task.metadata['entity']} {task.question}</text_search>",
        f"{reason}<answer>{task.answers[0]}</answer>",
    )
    episode, steps = Episode(task), []
    for text in messages:
        wanted = episode.submit(text)
        result = None
        if isinstance(wanted, SearchRequest):
            result = asyncio.run(perform(search, wanted))
            episode.deliver(result)
        steps.append((text, result))
    return task, steps


def import_times(repeats: int) -> Iterator[float]:
    """Seconds that a fresh `python -c "import mmsr_env"` takes, the interpreter's own included."""
    command = (sys.executable, "-c", "import mmsr_env")
    subprocess.run(command, check=True)  # writes the byte code
    for _ in range(repeats):
        start = time.perf_counter()
        subprocess.run(command, check=True)
        yield time.perf_counter() - start


if __name__ == "__main__":
    main()
