"""The log: every row once, strict JSON, the same figures for TensorBoard."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from algos.metrics_log import MetricsLog, read_metrics


def write(folder: Path, iterations: range, first: int = 0, value: float = 0.0) -> MetricsLog:
    log = MetricsLog(folder, first)
    for iteration in iterations:
        log.write(iteration, {"rollout/reward": iteration / 10 + value})
    log.close()
    return log


def iterations(folder: Path) -> list[int]:
    return [row["iteration"] for row in read_metrics(folder / "metrics.jsonl")]


def strict(line: str) -> Any:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(line, parse_constant=refuse)


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    write(tmp_path, range(3))
    rows = read_metrics(tmp_path / "metrics.jsonl")
    assert rows == [{"iteration": i, "rollout/reward": i / 10} for i in range(3)]


def test_a_resumed_run_writes_over_what_comes_after_its_checkpoint(tmp_path: Path) -> None:
    write(tmp_path, range(5))
    write(tmp_path, range(3, 6), first=3, value=1.0)
    rows = read_metrics(tmp_path / "metrics.jsonl")
    assert [row["rollout/reward"] for row in rows] == [0.0, 0.1, 0.2, 1.3, 1.4, 1.5]
    assert iterations(tmp_path) == [0, 1, 2, 3, 4, 5]


def test_a_new_run_in_an_old_folder_begins_anew(tmp_path: Path) -> None:
    write(tmp_path, range(5))
    write(tmp_path, range(2))
    assert iterations(tmp_path) == [0, 1]


@pytest.mark.parametrize("torn", ["{", '{"iteration": 3, "rollout/rew', '{"iteration": 3'])
def test_a_last_line_that_was_cut_off_is_left_out(tmp_path: Path, torn: str) -> None:
    log = write(tmp_path, range(3))
    with log.path.open("a") as file:
        file.write(torn)
    assert iterations(tmp_path) == [0, 1, 2]
    write(tmp_path, range(3, 5), first=3)
    assert iterations(tmp_path) == [0, 1, 2, 3, 4]
    assert len(log.path.read_text().splitlines()) == 5


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_null(tmp_path: Path, value: float) -> None:
    log = MetricsLog(tmp_path)
    log.write(0, {"loss/total": value, "rollout/reward": 0.5})
    log.close()
    (line,) = log.path.read_text().splitlines()
    assert strict(line) == {"iteration": 0, "loss/total": None, "rollout/reward": 0.5}


def test_a_row_is_there_as_soon_as_it_is_written(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path)
    log.write(0, {"rollout/reward": 0.5})
    assert iterations(tmp_path) == [0]
    log.close()


def test_tensorboard_has_the_same_figures_and_drops_the_same(tmp_path: Path) -> None:
    write(tmp_path, range(4))
    write(tmp_path, range(2, 5), first=2, value=1.0)
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    points = {event.step: event.value for event in board.Scalars("rollout/reward")}
    assert points == pytest.approx({0: 0.0, 1: 0.1, 2: 1.2, 3: 1.3, 4: 1.4})


def test_no_log_has_no_rows(tmp_path: Path) -> None:
    assert read_metrics(tmp_path / "metrics.jsonl") == []
