"""The line that a person sees: the figures, and an honest time left."""

from __future__ import annotations

import io

import pytest

from algos import progress
from algos.progress import Progress, format_seconds

METRICS = {
    "rollout/reward": 0.5,
    "rollout/accuracy": 0.25,
    "rollout/search_ratio": 1.0,
    "rollout/searches_per_task": 1.75,
    "loss/total": 9.0,
}


class Clock:
    """Time that goes on when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(progress.time, "monotonic", lambda: self.now)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines_of(stream: io.StringIO) -> list[str]:
    return stream.getvalue().splitlines()


def test_a_line_has_figures_and_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, stream = Clock(monkeypatch), io.StringIO()
    shown = Progress(10, stream, every=1)
    for iteration in range(2):
        clock.now += 30.0
        shown.show(iteration, METRICS)
    assert lines_of(stream)[1] == (
        "iteration 2/10  reward 0.500  accuracy 0.250  search ratio 1.000  searches 1.750  "
        "30.0 s each, 4:00 left"
    )


def test_the_time_left_of_a_resumed_run_is_reckoned_from_its_own_iterations(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, stream = Clock(monkeypatch), io.StringIO()
    shown = Progress(100, stream, every=1)
    clock.now += 500.0  # agents play before the training
    shown.begin(90)
    clock.now += 20.0
    shown.show(90, METRICS)
    assert lines_of(stream)[0].endswith("20.0 s each, 3:00 left")


def test_away_from_a_terminal_some_lines_are_printed() -> None:
    stream = io.StringIO()
    shown = Progress(25, stream)
    for iteration in range(25):
        shown.show(iteration, METRICS)
    assert [line.split()[1] for line in lines_of(stream)] == ["1/25", "10/25", "20/25", "25/25"]


def test_on_a_terminal_a_line_is_written_over() -> None:
    stream = Terminal()
    shown = Progress(20, stream)
    for iteration in range(20):
        shown.show(iteration, METRICS)
    kept = stream.getvalue().split("\n")[:-1]
    assert len(kept) == 2
    assert kept[0].count("\r") == 9
    assert "10/20" in kept[0].rpartition("\r")[2]


def test_figures_that_are_not_there_are_left_out() -> None:
    stream = io.StringIO()
    Progress(1, stream).show(0, {"rollout/reward": 0.5})
    assert "accuracy" not in stream.getvalue()


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0:00"), (59.4, "0:59"), (59.6, "1:00"), (245, "4:05"), (3723, "1:02:03")],
)
def test_seconds_are_written_for_people(seconds: float, expected: str) -> None:
    assert format_seconds(seconds) == expected
