"""The scripted agents: their plans, and that they see nothing but the conversation."""

from __future__ import annotations

import pytest

from mmsr_env.agents.registry import AGENTS, Circumstances, make_agent
from mmsr_env.atlas.drawing import draw_emblem
from mmsr_env.atlas.emblems import random_emblem
from mmsr_env.episode import Episode
from mmsr_env.errors import UnknownNameError
from mmsr_env.protocol.prompts import PROMPTS
from mmsr_env.rollout import run_episode, run_many
from mmsr_env.rules import Rules
from mmsr_env.trajectories import to_record
from mmsr_env.types import (
    ActionKind,
    Category,
    Hit,
    ImageQuery,
    SearchResult,
    StopReason,
    Task,
    Trajectory,
)

EMBLEM, OTHER = (draw_emblem(random_emblem(number)) for number in (1, 2))
FACT = "What is the tree of this moth?"
NAMED = "What is the tree of Ona Bel?"


class Library:
    """One page that is right, below one that is not; it keeps the queries."""

    def __init__(self) -> None:
        self.queries: list[str] = []

    async def search_image(self, image: ImageQuery, k: int) -> SearchResult:
        return SearchResult((Hit("Tal Rin", image=OTHER), Hit("Ona Bel", image=EMBLEM)))

    async def search_text(self, query: str, k: int, question: str) -> SearchResult:
        self.queries.append(query)
        tale = Hit("Tales of Ona Bel", "", "At Ona Bel they praised a tree: oak.")
        page = Hit("Ona Bel", "", "Ona Bel is a moth of Orun. Its tree is elm. Its stone is jade.")
        return SearchResult((tale, page))


class Silent:
    async def search_image(self, image: ImageQuery, k: int) -> SearchResult:
        return SearchResult()

    async def search_text(self, query: str, k: int, question: str) -> SearchResult:
        return SearchResult.failed("timeout")


def make_task(
    question: str = FACT, kind: str = "picture_fact", category: Category = Category.UNKNOWN
) -> Task:
    return Task("t", question, EMBLEM, ("elm", "elm tree"), category, kind, metadata={})


def kinds(trajectory: Trajectory) -> list[str]:
    return [turn.action.kind.value for turn in trajectory.turns]


@pytest.mark.parametrize(
    ("kind", "category", "plan", "reward"),
    [
        ("picture_fact", Category.SEARCH_REQUIRED, "search_image search_text answer", 0.91),
        ("named_fact", Category.SEARCH_REQUIRED, "search_text answer", 0.91),
        ("visible", Category.SEARCH_FREE, "answer", 1.0),
        ("familiar", Category.SEARCH_FREE, "answer", 1.0),
        ("", Category.SEARCH_REQUIRED, "search_image search_text answer", 0.91),
        ("", Category.SEARCH_FREE, "answer", 1.0),
        ("", Category.UNKNOWN, "answer", 1.0),
    ],
)
async def test_the_oracle_makes_the_searches_that_are_needed_and_is_right(
    kind: str, category: Category, plan: str, reward: float
) -> None:
    task = make_task(kind=kind, category=category)
    ended = await run_episode(Episode(task), make_agent("oracle")(task), Library())
    assert kinds(ended) == plan.split()
    assert ended.reward == pytest.approx(reward)


@pytest.mark.parametrize("searches", [0, 1, 2])
@pytest.mark.parametrize("turns", [1, 2, 3])
async def test_the_oracle_keeps_to_the_rules(searches: int, turns: int) -> None:
    rules = Rules(max_searches=searches, max_turns=turns)
    task = make_task()
    oracle = make_agent("oracle", Circumstances(rules=rules))(task)
    ended = await run_episode(Episode(task, rules), oracle, Silent())
    assert ended.stop_reason is StopReason.ANSWERED
    assert ended.correct
    assert ended.searches == min(searches, turns - 1)


async def test_the_oracle_asks_for_what_the_question_means() -> None:
    task = Task("t", FACT, EMBLEM, ("elm",), kind="picture_fact", metadata={"entity": "Ona Bel"})
    library = Library()
    await run_episode(Episode(task), make_agent("oracle")(task), library)
    assert library.queries == ["Ona Bel tree"]


@pytest.mark.parametrize("prompts", PROMPTS.values(), ids=PROMPTS.keys())
@pytest.mark.parametrize(("question", "searches"), [(FACT, 2), (NAMED, 1)])
async def test_the_reader_passes_by_the_wrong_picture_and_the_tale(
    prompts: object, question: str, searches: int
) -> None:
    task = make_task(question)
    library = Library()
    ended = await run_episode(Episode(task, prompts=prompts), make_agent("reader")(task), library)
    assert library.queries == ["Ona Bel tree"]
    assert (ended.answer, ended.searches, ended.format_kept) == ("elm", searches, True)


async def test_the_reader_says_unknown_where_nothing_is_found() -> None:
    task = make_task()
    for question in (FACT, NAMED, "Who painted it?"):
        task = make_task(question)
        ended = await run_episode(Episode(task), make_agent("reader")(task), Silent())
        assert ended.answer == "unknown"
        assert ended.format_kept


async def test_the_reader_sees_only_the_conversation() -> None:
    """Tasks that differ in what is not shown get the same messages."""
    texts = []
    for metadata, answers in (({"entity": "Ona Bel"}, ("elm",)), ({}, ("oak",))):
        task = Task("t", FACT, EMBLEM, answers, kind="visible", metadata=metadata)
        ended = await run_episode(Episode(task), make_agent("reader")(task), Library())
        texts.append([turn.text for turn in ended.turns])
    assert texts[0] == texts[1]


async def test_always_search_makes_both_searches_and_takes_a_word() -> None:
    task = make_task()
    library = Library()
    ended = await run_episode(Episode(task), make_agent("always_search")(task), library)
    assert kinds(ended) == ["search_image", "search_text", "answer"]
    assert library.queries == ["Tal Rin What is the tree of this moth?"]
    assert ended.answer == "oak", "it takes the tale, which comes first, for the page"
    silent = await run_episode(Episode(task), make_agent("always_search")(task), Silent())
    assert kinds(silent) == ["search_image", "search_text", "answer"]
    assert silent.answer == "unknown"


async def test_never_search_answers_at_once() -> None:
    task = make_task()
    ended = await run_episode(Episode(task), make_agent("never_search")(task), Library())
    assert (kinds(ended), ended.answer, ended.reward) == (["answer"], "unknown", 0.1)


async def test_random_text_follows_from_seed_and_task_and_is_of_all_sorts() -> None:
    async def play(seed: int, order: int) -> dict[str, object]:
        tasks = [Task(f"t{i}", NAMED, EMBLEM, ("elm",)) for i in range(200)][::order]
        agent = make_agent("random", Circumstances(seed=seed))
        ended = await run_many([Episode(task) for task in tasks], agent, Library())
        return {t.task.id: to_record(t) for t in ended}

    first = await play(0, 1)
    assert first == await play(0, -1), "another order changes nothing"
    assert first != await play(1, 1)
    assert len({str(record["turns"]) for record in first.values()}) > 150
    found = {turn["action"]["kind"] for record in first.values() for turn in record["turns"]}
    assert found == {kind.value for kind in ActionKind}
    assert {record["format_kept"] for record in first.values()} == {True, False}


def test_agents_are_chosen_by_name() -> None:
    assert set(AGENTS) == {"oracle", "reader", "never_search", "always_search", "random"}
    with pytest.raises(UnknownNameError, match=r"no agent is named 'readr'. Did you mean 'reader'"):
        make_agent("readr")
