"""Demonstrations: legal, supported by what was found, and searching too much on purpose."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from small_runs import PLAY, SEARCH, TASKS, TEACHER, WORLD

from algos.demonstrations import REASONS, Dialogue, Teacher, write
from mmsr_env.atlas import AtlasTasks
from mmsr_env.episode import Episode
from mmsr_env.protocol.grammar import MMSearchR1Grammar
from mmsr_env.reward import RewardRule
from mmsr_env.rules import Rules
from mmsr_env.search.base import SearchRequest, perform
from mmsr_env.types import Action, ActionKind, Category, SearchResult, Task, Trajectory

FREE = ("visible", "familiar")
GRAMMAR = MMSearchR1Grammar()


def demonstrate(teacher: Teacher, task: Task, seed: int = 0) -> Dialogue | None:
    return asyncio.run(teacher.demonstrate(task, np.random.default_rng(seed)))


@cache
def made(overuse: float, count: int = 200) -> list[tuple[Task, Dialogue]]:
    """Demonstrations of the first tasks, where there are any."""
    teacher = replace(TEACHER, overuse=overuse)
    pairs = [(TASKS[i], demonstrate(teacher, TASKS[i], i)) for i in range(count)]
    return [(task, dialogue) for task, dialogue in pairs if dialogue is not None]


def kinds(dialogue: Dialogue) -> list[ActionKind]:
    return [GRAMMAR.parse(text).kind for text, _ in dialogue.turns]


async def replay(task: Task, dialogue: Dialogue) -> Trajectory:
    """The episode in which the model says what the dialogue says."""
    episode = PLAY.begin(task)
    assert dialogue.opening == (episode.opening,)
    for text, reply in dialogue.turns:
        outcome = episode.submit(text)
        if isinstance(outcome, SearchRequest):
            assert episode.deliver(await perform(SEARCH, outcome)) == reply
    assert reply is None
    assert episode.trajectory is not None
    return episode.trajectory


def test_each_is_a_right_episode_that_keeps_the_format() -> None:
    for task, dialogue in made(0.6):
        trajectory = asyncio.run(replay(task, dialogue))
        assert trajectory.correct
        assert trajectory.format_kept
        assert all(turn.action.well_formed for turn in trajectory.turns)
        assert all(turn.action.reason in REASONS for turn in trajectory.turns)
        assert trajectory.reward == (0.91 if trajectory.searches else 1.0)


def test_every_action_and_every_kind_of_question_occurs() -> None:
    assert {kind for _, dialogue in made(0.6) for kind in kinds(dialogue)} == {
        ActionKind.ANSWER,
        ActionKind.SEARCH_IMAGE,
        ActionKind.SEARCH_TEXT,
    }
    assert Counter(task.kind for task, _ in made(0.6)).keys() == {
        "picture_fact",
        "named_fact",
        *FREE,
    }


def test_an_answer_that_takes_a_search_stands_in_the_last_result_beside_its_entity() -> None:
    needy = [pair for pair in made(0.6) if pair[0].category is Category.SEARCH_REQUIRED]
    assert len(needy) > 60
    for task, dialogue in needy:
        reply = dialogue.turns[-2][1]
        assert reply is not None
        lines = reply.text.partition("</information>")[0].removeprefix("<information>").split("\n")
        own = [line for line in lines if line.startswith(f" {task.metadata['entity']}:")]
        assert any(f" {task.answers[0]}." in line for line in own)


def test_a_query_never_names_what_the_conversation_does_not() -> None:
    for task, dialogue in made(0.6):
        seen = task.question
        for text, reply in dialogue.turns:
            action = GRAMMAR.parse(text)
            if action.kind is ActionKind.SEARCH_TEXT:
                name = " ".join(word for word in action.text.split() if word[0].isupper())
                assert name
                assert name in seen
            seen += "" if reply is None else reply.text


def test_without_overuse_only_what_is_needed_is_searched() -> None:
    image, text, answer = ActionKind.SEARCH_IMAGE, ActionKind.SEARCH_TEXT, ActionKind.ANSWER
    needed = {
        "picture_fact": [image, text, answer],
        "named_fact": [text, answer],
        "visible": [answer],
        "familiar": [answer],
    }
    assert all(kinds(dialogue) == needed[task.kind] for task, dialogue in made(0.0))


def test_with_full_overuse_everything_is_searched() -> None:
    assert all(len(kinds(dialogue)) > 1 for _, dialogue in made(1.0))
    named = [kinds(dialogue) for task, dialogue in made(1.0) if task.kind == "named_fact"]
    assert all(actions[0] is ActionKind.SEARCH_IMAGE for actions in named)


def test_no_visible_question_falls_out_for_a_plan_that_cannot_be_carried_out() -> None:
    tasks = AtlasTasks(WORLD, count=60, mix={"visible": 1.0})
    assert all(demonstrate(replace(TEACHER, overuse=1.0), tasks[i], i) for i in range(60))


@pytest.mark.parametrize("kind", FREE)
@pytest.mark.parametrize("overuse", [0.3, 0.6])
def test_searching_too_much_happens_about_as_often_as_asked(kind: str, overuse: float) -> None:
    """A familiar picture cannot be asked for by words alone, so a few such plans fall out."""
    teacher = replace(TEACHER, overuse=overuse)
    tasks = enumerate(AtlasTasks(WORLD, count=250, mix={kind: 1.0}))
    dialogues = [demonstrate(teacher, task, place) for place, task in tasks]
    searched = [len(dialogue.turns) > 1 for dialogue in dialogues if dialogue is not None]
    spread = 3.5 * (overuse * (1 - overuse) / len(searched)) ** 0.5
    lost = 0.08 if kind == "familiar" else 0.0
    assert overuse - lost - spread < np.mean(searched) < overuse + spread


class Finding:
    """A backend that always gives the same."""

    def __init__(self, result: SearchResult) -> None:
        self.result = result

    async def search_image(self, image: object, k: int) -> SearchResult:
        return self.result

    async def search_text(self, query: str, k: int, question: str) -> SearchResult:
        return self.result


@pytest.mark.parametrize("result", [SearchResult(), SearchResult.failed("timeout")])
def test_what_was_not_found_is_not_said(result: SearchResult) -> None:
    teacher = Teacher(Finding(result), PLAY.begin, overuse=0.0)
    for task in TASKS[:40]:
        assert (demonstrate(teacher, task) is None) == (task.kind not in FREE)


def test_what_the_rules_cut_off_is_not_said() -> None:
    """The passage holds the answer, but the model sees only its first characters."""
    rules = replace(PLAY.rules, max_result_chars=8)
    teacher = Teacher(SEARCH, replace(PLAY, rules=rules).begin, overuse=0.0)
    for task in TASKS[:60]:
        if task.kind == "named_fact":
            assert demonstrate(teacher, task) is None


def test_rules_that_leave_no_room_for_a_plan_give_none() -> None:
    def begin(task: Task) -> Episode:
        return Episode(task, Rules(max_searches=1), prompts=PLAY.prompts, reward=RewardRule())

    made_of = {task.kind: demonstrate(Teacher(SEARCH, begin, 0.0), task) for task in TASKS[:40]}
    assert made_of["picture_fact"] is None
    assert made_of["visible"] is not None


def test_equal_generators_give_equal_demonstrations() -> None:
    for number in range(20):
        first, second = (demonstrate(TEACHER, TASKS[number], 7) for _ in range(2))
        assert first == second


def test_words_stand_off_from_tags_and_are_read_the_same() -> None:
    episode = PLAY.begin(TASKS[0])
    action = Action(ActionKind.SEARCH_TEXT, "Kim Rul beast", "unknown name")
    text = write(episode, action)
    assert text == "<reason> unknown name</reason><text_search> Kim Rul beast</text_search>"
    assert GRAMMAR.parse(text) == action
