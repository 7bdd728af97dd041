"""The table of agents, read back cell by cell."""

from __future__ import annotations

import re
from typing import Any

import pytest

from algos.agent_table import agent_table

NAMES = ("accuracy", "search_ratio", "searches_per_task", "format_kept", "mean_reward")


def figures(base: float, tasks: int, **parts: Any) -> dict[str, Any]:
    values = {name: base + place / 100 for place, name in enumerate(NAMES)}
    intervals = {name: [value - 0.05, value + 0.05] for name, value in values.items()}
    return {"tasks": tasks, **values, "intervals": intervals, "by_kind": parts}


AGENTS = {
    "direct": figures(0.2, 40, visible=figures(0.3, 10), familiar=figures(0.4, 30)),
    "trained": figures(0.6, 40, visible=figures(0.7, 10), familiar=figures(0.8, 30)),
}


def cells(table: str) -> list[list[str]]:
    return [re.split(r"\s{2,}", line.strip()) for line in table.splitlines()]


def test_every_agent_and_kind_has_a_row() -> None:
    rows = cells(agent_table(AGENTS))
    assert rows[0][:3] == ["agent", "tasks", "n"]
    assert [row[:3] for row in rows[1:]] == [
        ["direct", "all", "40"],
        ["visible", "10", rows[2][2]],
        ["familiar", "30", rows[3][2]],
        ["trained", "all", "40"],
        ["visible", "10", rows[5][2]],
        ["familiar", "30", rows[6][2]],
    ]


def test_cells_hold_the_figures_with_their_intervals() -> None:
    row = cells(agent_table(AGENTS))[4]
    assert row[3:] == [
        "60.0 [55.0, 65.0]",
        "61.0 [56.0, 66.0]",
        "0.620 [0.570, 0.670]",
        "63.0 [58.0, 68.0]",
        "0.640 [0.590, 0.690]",
    ]


def test_the_kinds_may_be_left_out() -> None:
    assert len(cells(agent_table(AGENTS, by_kind=False))) == 3


def test_columns_stand_under_one_another() -> None:
    lines = agent_table(AGENTS).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert len({line.index("]") for line in lines[1:]}) == 1


@pytest.mark.parametrize("unknown", ["value", "interval"])
def test_what_is_not_known_is_a_dash_or_has_no_interval(unknown: str) -> None:
    lonely = figures(0.5, 1)
    if unknown == "value":
        lonely["mean_reward"] = None
    lonely["intervals"]["mean_reward"] = [None, None]
    row = cells(agent_table({"one": lonely}))[1]
    assert row[-1] == ("-" if unknown == "value" else "0.540")


def test_a_run_without_agents_has_a_header_alone() -> None:
    assert len(agent_table({}).splitlines()) == 1
