"""The figures of a run's agents: in files, whole, and right by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_runs import ANSWER, IMAGE, TASKS, TEXT, ScriptedSampler, collector_of, untrained

from algos.agent_results import FIGURES, load_agent, save_agent, write_json
from algos.evaluate import play_tasks
from mmsr_env.trajectories import read_records
from mmsr_env.types import Trajectory

VLM = untrained()


def played(count: int = 8) -> list[Trajectory]:
    """Those that search all: the first half with the picture, the second with words too."""
    half = count // 2
    plans = ((IMAGE, ANSWER), (IMAGE, TEXT, ANSWER))
    collectors = [
        collector_of(VLM, ScriptedSampler(VLM, *plan), max_tokens=400, max_turn_tokens=99)
        for plan in plans
    ]
    first = play_tasks(collectors[0], TASKS[:half], half)
    return first + play_tasks(collectors[1], TASKS[half:count], half)


def test_figures_in_all_by_kind_and_by_category(tmp_path: Path) -> None:
    trajectories = played()
    save_agent(tmp_path, "trained", trajectories, max_searches=2)
    figures = load_agent(tmp_path, "trained")
    assert figures is not None
    assert figures["tasks"] == 8
    assert figures["search_ratio"] == 1.0
    assert figures["searches_per_task"] == 1.5
    assert figures["search_budget_used"] == 0.75
    for part, label in (("by_kind", "kind"), ("by_category", "category")):
        for name, some in figures[part].items():
            chosen = [t for t in trajectories if str(getattr(t.task, label)) == name]
            assert some["tasks"] == len(chosen)
            assert some["accuracy"] == sum(t.correct for t in chosen) / len(chosen)
            assert some["mean_reward"] == pytest.approx(sum(t.reward for t in chosen) / len(chosen))
        assert sum(some["tasks"] for some in figures[part].values()) == 8
    assert set(figures["by_category"]) == {"search_required", "search_free"}


def test_each_figure_has_an_interval_around_it(tmp_path: Path) -> None:
    save_agent(tmp_path, "rag", played(), max_searches=2)
    figures = load_agent(tmp_path, "rag")
    assert figures is not None
    for name in FIGURES:
        low, high = figures["intervals"][name]
        assert low <= figures[name] <= high
    assert figures["intervals"]["accuracy"] != [0.0, 0.0]


def test_every_trajectory_is_kept(tmp_path: Path) -> None:
    trajectories = played()
    save_agent(tmp_path, "rag", trajectories, max_searches=2)
    records = list(read_records(tmp_path / "rag.jsonl"))
    assert [record["task"]["id"] for record in records] == [t.task.id for t in trajectories]
    assert [len(record["turns"]) for record in records] == [len(t.turns) for t in trajectories]


def test_what_is_not_known_is_null(tmp_path: Path) -> None:
    save_agent(tmp_path, "none", [], max_searches=0)
    figures = load_agent(tmp_path, "none")
    assert figures is not None
    assert all(figures[name] is None for name in FIGURES)
    assert "NaN" not in (tmp_path / "none.json").read_text()


def test_an_agent_that_did_not_play_has_no_figures(tmp_path: Path) -> None:
    assert load_agent(tmp_path, "trained") is None


def test_a_file_that_cannot_be_written_whole_is_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"kept": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"first": 1, "broken": float("nan")})
    assert json.loads(path.read_text()) == {"kept": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]
