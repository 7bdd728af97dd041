"""The training loop: repeatable, resumable, and not to be stopped by a task or a search."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_runs import SEARCH, TASKS, beginner, equal, trainer_of, weights_of

from algos.checkpoint import list_checkpoints
from algos.grpo import GRPO
from algos.metrics_log import read_metrics
from algos.progress import Progress
from algos.trainer import Trainer, TrainerSettings
from mmsr_env.errors import InvalidSettingError
from mmsr_env.types import SearchResult, Task


def rows_of(trainer: Trainer) -> list[dict[str, Any]]:
    """The log without the clock's figures."""
    rows = read_metrics(trainer.folder / "metrics.jsonl")
    return [{k: v for k, v in row.items() if not k.startswith("time/")} for row in rows]


def trained(folder: Path, **changes: Any) -> Trainer:
    trainer = trainer_of(folder, **changes)
    trainer.train()
    return trainer


def test_two_runs_of_one_seed_are_the_same_run(tmp_path: Path) -> None:
    first, second = (trained(tmp_path / name) for name in ("a", "b"))
    assert equal(weights_of(first.vlm), weights_of(second.vlm))
    assert rows_of(first) == rows_of(second)
    assert not equal(weights_of(first.vlm), weights_of(beginner()))
    assert sum(row["loss/policy"] != 0 for row in rows_of(first)) >= 2  # it had what to learn


def test_another_seed_is_another_run(tmp_path: Path) -> None:
    first, second = (trained(tmp_path / str(seed), seed=seed) for seed in (0, 1))
    assert not equal(weights_of(first.vlm), weights_of(second.vlm))
    assert rows_of(first) != rows_of(second)


def test_every_kind_of_metric_is_there(tmp_path: Path) -> None:
    row = read_metrics(trained(tmp_path, iterations=1).folder / "metrics.jsonl")[0]
    assert set(row) >= {
        "iteration",
        "rollout/reward",
        "rollout/accuracy",
        "rollout/search_ratio",
        "rollout/searches_per_task",
        "rollout/groups_without_variance_share",
        "loss/total",
        "loss/ref_kl",
        "update/grad_norm",
        "update/learning_rate",
        "update/logprob_gap",
        "update/rows_share",
        "time/collect_s",
        "time/update_s",
        "time/search_s",
        "time/iteration_s",
    }
    assert not [name for name in row if name.endswith("_s") != name.startswith("time/")]
    assert row["update/logprob_gap"] < 1e-4


def test_a_run_that_is_stopped_and_resumed_is_the_run_that_was_not(tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole", iterations=4, save_every=2)
    stopped = trained(tmp_path / "parts", iterations=2, save_every=2)
    resumed = trainer_of(tmp_path / "parts", iterations=4, save_every=2)
    assert resumed.restore() == 2
    assert equal(weights_of(resumed.vlm), weights_of(stopped.vlm))
    resumed.train(2)
    assert equal(weights_of(resumed.vlm), weights_of(whole.vlm))
    assert rows_of(resumed) == rows_of(whole)


class Stopping:
    """Atlas's search, until it is switched off like the whole machine."""

    def __init__(self) -> None:
        self.left = 10**9

    async def search_image(self, image: Any, k: int) -> SearchResult:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return await SEARCH.search_image(image, k)

    async def search_text(self, query: str, k: int, question: str) -> SearchResult:
        return await SEARCH.search_text(query, k, question)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_run_that_is_broken_off_within_an_iteration_goes_on_from_its_checkpoint(
    tmp_path: Path,
) -> None:
    """The row after the checkpoint is in the log already, and is written again."""
    whole = trained(tmp_path / "whole", iterations=4, save_every=2)
    broken = trainer_of(tmp_path / "parts", iterations=4, save_every=2)
    search = Stopping()

    def count(iteration: int, metrics: Mapping[str, float]) -> None:
        if iteration == 2:
            search.left = 1

    watching = Progress(4, io.StringIO())
    watching.show = count  # type: ignore[method-assign]
    collector = replace(broken.collector, search=search)
    with pytest.raises(KeyboardInterrupt):
        replace(broken, collector=collector, progress=watching).train()
    assert [row["iteration"] for row in rows_of(broken)] == [0, 1, 2]
    resumed = trainer_of(tmp_path / "parts", iterations=4, save_every=2)
    resumed.train(resumed.restore())
    assert equal(weights_of(resumed.vlm), weights_of(whole.vlm))
    assert rows_of(resumed) == rows_of(whole)


def test_without_a_checkpoint_a_run_begins_at_the_beginning(tmp_path: Path) -> None:
    assert trainer_of(tmp_path).restore() == 0


def test_a_finished_run_that_is_resumed_changes_nothing(tmp_path: Path) -> None:
    evaluations = []

    def evaluate() -> dict[str, float]:
        evaluations.append(1)
        return {"accuracy": 0.5}

    done = trained(tmp_path, iterations=2, evaluate_every=1, evaluate=evaluate)
    rows = rows_of(done)
    again = trainer_of(tmp_path, iterations=2, evaluate_every=1, evaluate=evaluate)
    assert again.restore() == 2
    again.train(2)
    assert equal(weights_of(again.vlm), weights_of(done.vlm))
    assert rows_of(again) == rows
    assert len(evaluations) == 4  # 0, 1, 2 and 2 again


def test_it_evaluates_before_training_now_and_then_and_after(tmp_path: Path) -> None:
    seen: list[float] = []

    def evaluate() -> dict[str, float]:
        seen.append(len(seen) / 10)
        return {"accuracy": seen[-1]}

    run = trained(tmp_path, iterations=5, evaluate_every=2, evaluate=evaluate)
    rows = rows_of(run)
    assert [row["iteration"] for row in rows] == [0, 1, 2, 3, 4, 5]
    found = {row["iteration"]: row["eval/accuracy"] for row in rows if "eval/accuracy" in row}
    assert found == {0: 0.0, 2: 0.1, 4: 0.2, 5: 0.3}


def test_evaluating_does_not_change_the_training(tmp_path: Path) -> None:
    first = trainer_of(tmp_path / "a")

    def evaluate() -> dict[str, float]:
        import asyncio

        asyncio.run(first.collector.collect(TASKS[:3], temperature=0.0))
        return {}

    replace(first, evaluate=evaluate, settings=replace(first.settings, evaluate_every=1)).train()
    assert equal(weights_of(first.vlm), weights_of(trained(tmp_path / "b").vlm))


@pytest.mark.parametrize(("every", "expected"), [(0, [5]), (2, [4, 5]), (1, [4, 5])])
def test_checkpoints_are_written_when_asked_and_at_the_end(
    tmp_path: Path, every: int, expected: list[int]
) -> None:
    trained(tmp_path, iterations=5, save_every=every, keep=2, tasks_per_iteration=1, group_size=1)
    names = [path.name for path in list_checkpoints(tmp_path / "checkpoints")]
    assert names == [f"{number:06d}" for number in expected]


class Counting:
    """Tasks that note which of them are taken."""

    def __init__(self, count: int) -> None:
        self.taken: list[int] = []
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Task:
        self.taken.append(index)
        return TASKS[index]


def test_every_task_comes_once_before_any_comes_again(tmp_path: Path) -> None:
    tasks = Counting(7)
    trained(tmp_path, tasks=tasks, iterations=4, tasks_per_iteration=5, group_size=1)  # type: ignore[arg-type]
    assert len(tasks.taken) == 20
    first, second = tasks.taken[:7], tasks.taken[7:14]
    assert sorted(first) == sorted(second) == list(range(7))
    assert first != second
    assert max(Counter(tasks.taken).values()) == 3


def test_more_tasks_an_iteration_than_there_are_is_no_error(tmp_path: Path) -> None:
    tasks = Counting(2)
    trained(tmp_path, tasks=tasks, iterations=1, tasks_per_iteration=5, group_size=2)  # type: ignore[arg-type]
    assert Counter(tasks.taken).keys() == {0, 1}


class Broken:
    async def search_image(self, image: Any, k: int) -> SearchResult:
        raise OSError("no route to host")

    async def search_text(self, query: str, k: int, question: str) -> SearchResult:
        raise OSError("no route to host")


def test_a_search_that_always_fails_does_not_end_the_run(tmp_path: Path) -> None:
    run = trained(tmp_path, search=Broken(), iterations=2)
    for row in rows_of(run):
        assert row["rollout/failed_searches"] == row["rollout/searches_per_task"] > 0


def test_a_task_that_is_too_long_does_not_end_the_run(tmp_path: Path) -> None:
    long = replace(TASKS[0], question="How long? " * 300)
    tasks = [long, *TASKS[1:3]]
    run = trained(tmp_path, tasks=tasks, iterations=2, tasks_per_iteration=3)
    for row in rows_of(run):
        assert row["rollout/truncated_share"] >= 1 / 3
        assert row["update/rows_share"] <= 2 / 3


def test_a_run_in_which_nothing_fits_trains_nothing_and_goes_on(tmp_path: Path) -> None:
    run = trained(tmp_path, max_tokens=20, iterations=2)
    assert equal(weights_of(run.vlm), weights_of(beginner()))
    assert [row["rollout/truncated_share"] for row in rows_of(run)] == [1.0, 1.0]


def test_dropped_groups_show_in_the_log(tmp_path: Path) -> None:
    run = trained(tmp_path, algorithm=GRPO(kl_coef=0.0, drop_groups_without_variance=True))
    shares = [row["rollout/groups_without_variance_share"] for row in rows_of(run)]
    assert [row["update/rows_share"] for row in rows_of(run)] == pytest.approx(
        [1 - share for share in shares]
    )
    assert any(0 < share < 1 for share in shares)


def test_progress_shows_every_iteration_of_this_run(tmp_path: Path) -> None:
    trained(tmp_path, iterations=2, save_every=2)
    stream = io.StringIO()
    resumed = trainer_of(
        tmp_path, iterations=4, save_every=2, progress=Progress(4, stream, every=1)
    )
    resumed.train(resumed.restore())
    lines = stream.getvalue().splitlines()
    assert [line.split()[1] for line in lines] == ["3/4", "4/4"]
    assert all("accuracy" in line and line.endswith("left") for line in lines)


def test_the_log_is_strict_json_and_on_disk_as_it_goes(tmp_path: Path) -> None:
    lines: list[int] = []

    class Watching(Progress):
        def show(self, iteration: int, metrics: Mapping[str, float]) -> None:
            text = (tmp_path / "metrics.jsonl").read_text()
            lines.append(len([json.loads(line) for line in text.splitlines()]))

    trained(tmp_path, progress=Watching(3, io.StringIO()))
    assert lines == [1, 2, 3]


@pytest.mark.parametrize(
    "wrong",
    [
        {"iterations": 0},
        {"tasks_per_iteration": 0},
        {"group_size": -1},
        {"keep": 0},
        {"evaluate_every": -1},
        {"save_every": -1},
        {"temperature": 0.0},
    ],
)
def test_settings_are_checked(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidSettingError, match=next(iter(wrong))):
        TrainerSettings(**wrong)  # type: ignore[arg-type]
