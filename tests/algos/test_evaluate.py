"""Greedy episodes for the table and the curves."""

from __future__ import annotations

import pytest
import torch
from small_runs import (
    ANSWER,
    IMAGE,
    TASKS,
    TEXT,
    ScriptedSampler,
    beginner,
    collector_of,
    untrained,
)

from algos import evaluate
from algos.evaluate import play_tasks, validation_figures
from algos.samplers.hf import HFSampler
from mmsr_env.types import ActionKind


def test_the_first_tasks_are_played_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "_CHUNK", 3)
    vlm = untrained()
    played = play_tasks(collector_of(vlm, ScriptedSampler(vlm, ANSWER)), TASKS, 7)
    assert [trajectory.task.id for trajectory in played] == [task.id for task in TASKS[:7]]


def test_there_are_never_more_than_there_are() -> None:
    vlm = untrained()
    collector = collector_of(vlm, ScriptedSampler(vlm, ANSWER))
    assert len(play_tasks(collector, TASKS[:4], 100)) == 4
    assert play_tasks(collector, TASKS, 0) == []


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    vlm = beginner()
    whole = play_tasks(collector_of(vlm), TASKS, 6)
    monkeypatch.setattr(evaluate, "_CHUNK", 2)
    parts = play_tasks(collector_of(vlm), TASKS, 6)
    assert [[t.text for t in one.turns] for one in whole] == [
        [t.text for t in one.turns] for one in parts
    ]


def test_pictures_are_let_go() -> None:
    vlm = untrained()
    (played,) = play_tasks(collector_of(vlm, ScriptedSampler(vlm, IMAGE, ANSWER)), TASKS, 1)
    assert played.searches == 1
    assert played.task.image.size == (1, 1)
    assert not played.opening.images
    assert all(not turn.reply.images for turn in played.turns if turn.reply is not None)


@pytest.mark.parametrize("workflow", ["rag", "direct"])
def test_workflows_are_followed(workflow: str) -> None:
    image, text, answer = ActionKind.SEARCH_IMAGE, ActionKind.SEARCH_TEXT, ActionKind.ANSWER
    wanted = {"rag": [image, text, answer], "direct": [answer]}[workflow]
    for trajectory in play_tasks(collector_of(beginner()), TASKS, 5, workflow):
        assert [turn.action.kind for turn in trajectory.turns] == wanted


def test_the_samplers_random_numbers_are_left_alone() -> None:
    vlm = beginner()
    sampler = HFSampler(vlm, seed=3)
    before = sampler.state_dict()["generator"].clone()
    play_tasks(collector_of(vlm, sampler), TASKS, 4)
    assert torch.equal(sampler.state_dict()["generator"], before)


def test_validation_figures_are_means() -> None:
    vlm = untrained()
    collector = collector_of(
        vlm, ScriptedSampler(vlm, IMAGE, TEXT, ANSWER), max_tokens=400, max_turn_tokens=99
    )
    figures = validation_figures(collector, TASKS, 5, max_searches=2)
    right = sum(task.answers[0] == "otter" for task in TASKS[:5]) / 5
    assert figures == pytest.approx(
        {
            "reward": 0.1 + 0.81 * right,
            "accuracy": right,
            "search_ratio": 1.0,
            "searches_per_task": 2.0,
            "format_kept": 1.0,
        }
    )
