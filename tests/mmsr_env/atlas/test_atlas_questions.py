"""Questions: mixes as asked, splits kept apart, answers that are on the page or in the picture."""

from __future__ import annotations

import copy
import hashlib
import pickle
import random
from collections import Counter
from collections.abc import Mapping

import numpy as np
import pytest

from mmsr_env.atlas import PAPER_MIX, AtlasTasks, Difficulty, Entity, QuestionKind, Split, World
from mmsr_env.atlas.corpus import own_page
from mmsr_env.atlas.drawing import draw_emblem
from mmsr_env.atlas.facts import ATTRIBUTES
from mmsr_env.atlas.questions import fact_question, visible_question
from mmsr_env.errors import InvalidSettingError
from mmsr_env.reward import RewardRule
from mmsr_env.types import Category, Task

WORLD = World(1000, 7)
BY_NAME: Mapping[str, Entity] = {e.name: e for e in map(WORLD.entity, range(WORLD.size))}
SPLITS = (Split.TRAIN, Split.VALIDATION, Split.TEST)
KINDS = tuple(QuestionKind)
# The colours as an eye would name them, not as the drawing's table has them.
NAMED_COLOURS = {
    "red": (210, 35, 40), "blue": (30, 70, 205), "green": (20, 135, 60), "yellow": (240, 205, 45),
    "purple": (130, 40, 160), "orange": (240, 125, 30), "black": (25, 25, 30),
    "white": (250, 250, 250), "paper": (185, 183, 176),
}  # fmt: skip


def some(kind: QuestionKind, split: Split = Split.TRAIN, count: int = 60) -> list[Task]:
    return list(AtlasTasks(WORLD, split, count, seed=5, mix={kind: 1.0}))


def subject(task: Task) -> Entity:
    return BY_NAME[task.metadata["entity"]]


def shown(task: Task) -> Entity:
    return BY_NAME[task.metadata["shown"]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("split", SPLITS)
def test_a_task_says_what_it_is(kind: QuestionKind, split: Split) -> None:
    for task in some(kind, split, 10):
        assert task.kind == kind
        assert task.source == "atlas"
        assert len(task.answers) == 1
        free = kind in (QuestionKind.VISIBLE, QuestionKind.FAMILIAR)
        assert task.category is (Category.SEARCH_FREE if free else Category.SEARCH_REQUIRED)
        assert (task.image.mode, task.image.size) == ("RGB", (112, 112))
        assert task.question.endswith("?")


@pytest.mark.parametrize("split", SPLITS)
def test_what_needs_search_asks_about_the_split_alone(split: Split) -> None:
    for kind in (QuestionKind.PICTURE_FACT, QuestionKind.NAMED_FACT, QuestionKind.VISIBLE):
        for task in some(kind, split):
            assert WORLD.split(subject(task).index) is split
            assert WORLD.split(shown(task).index) is split


def test_splits_share_no_entity_that_is_asked_about() -> None:
    asked = [
        {subject(task).index for task in AtlasTasks(WORLD, split, 300, mix={"named_fact": 1.0})}
        for split in SPLITS
    ]
    assert not asked[0] & asked[1]
    assert not asked[0] & asked[2]
    assert not asked[1] & asked[2]


def test_familiar_questions_ask_about_the_home_realm() -> None:
    tasks = some(QuestionKind.FAMILIAR, count=200)
    assert {subject(task).realm for task in tasks} == {0}
    named = [task for task in tasks if subject(task).name in task.question]
    assert 60 < len(named) < 140
    assert {shown(task).realm for task in named} == {1, 2, 3, 4}
    assert all(shown(task) == subject(task) for task in tasks if task not in named)


def test_picture_questions_do_not_name_what_they_show() -> None:
    for task in some(QuestionKind.PICTURE_FACT):
        assert subject(task) == shown(task)
        assert not set(subject(task).name.split()) & set(task.question.split())
        assert f"this {subject(task).kind}?" in task.question


def test_named_questions_name_what_they_ask_about() -> None:
    tasks = some(QuestionKind.NAMED_FACT)
    assert all(subject(task).name in task.question for task in tasks)
    assert sum(subject(task) != shown(task) for task in tasks) > 50


@pytest.mark.parametrize(
    "kind", [QuestionKind.PICTURE_FACT, QuestionKind.NAMED_FACT, QuestionKind.FAMILIAR]
)
def test_the_answer_is_on_the_page_of_what_is_asked_about(kind: QuestionKind) -> None:
    for task in some(kind):
        attribute = next(name for name in ATTRIBUTES if f"the {name} of" in task.question)
        page = own_page(subject(task))
        assert f"Its {attribute} is {task.answers[0]}." in page.text
        said = set(page.text.replace(".", "").split())
        assert said & set(ATTRIBUTES[attribute]) == set(task.answers)


def test_all_facts_and_all_visible_questions_are_asked() -> None:
    entity = WORLD.entity(100)
    facts = {fact_question(entity, number, True) for number in range(12)}
    assert {answer for _, answer in facts} == set(entity.facts.values())
    visible = {visible_question(entity.emblem, number) for number in range(12)}
    assert len(visible) == 4


# Looking is enough


def colours(pixels: np.ndarray) -> np.ndarray:
    """The nearest named colour of each pixel, by number."""
    named = np.array(list(NAMED_COLOURS.values()), dtype=int)
    away = np.abs(pixels.astype(int)[..., None, :] - named).sum(axis=-1)
    return away.argmin(axis=-1)


def most_frequent(pixels: np.ndarray) -> str:
    """The colour of most pixels in the inner two thirds, paper aside."""
    inner = colours(pixels[19:-19, 19:-19])
    counts = Counter(inner.ravel().tolist())
    counts.pop(list(NAMED_COLOURS).index("paper"), None)
    return list(NAMED_COLOURS)[counts.most_common(1)[0][0]]


def test_the_ground_colour_can_be_seen() -> None:
    tasks = [t for t in some(QuestionKind.VISIBLE, count=200) if "ground" in t.question]
    assert len(tasks) > 30
    for task in tasks:
        clean = np.asarray(draw_emblem(shown(task).emblem))
        assert most_frequent(clean) == task.answers[0], task.id


def test_the_ground_colour_can_be_seen_in_the_photograph() -> None:
    tasks = [t for t in some(QuestionKind.VISIBLE, count=200) if "ground" in t.question]
    right = [most_frequent(np.asarray(task.image)) == task.answers[0] for task in tasks]
    assert sum(right) / len(right) > 0.8


def test_the_colour_of_the_shapes_can_be_seen() -> None:
    """Where no mark or band confuses a pixel count, it is the second colour."""
    seen = 0
    for i in range(48, 1000):
        emblem = WORLD.entity(i).emblem
        if emblem.band or emblem.mark:
            continue
        inner = colours(np.asarray(draw_emblem(emblem))[19:-19, 19:-19]).ravel().tolist()
        counts = Counter(name for name in inner if list(NAMED_COLOURS)[name] != "paper")
        names = [list(NAMED_COLOURS)[number] for number, _ in counts.most_common(2)]
        assert names == [emblem.field_colour, emblem.shape_colour]
        seen += 1
    assert seen > 0


def test_visible_answers_are_in_the_emblem_that_is_shown() -> None:
    for task in some(QuestionKind.VISIBLE):
        emblem = shown(task).emblem
        answers = {
            "What colour is the ground of the emblem?": emblem.field_colour,
            "What colour are the shapes on the emblem?": emblem.shape_colour,
            "What shapes are on the emblem?": emblem.shape,
            "How many shapes are on the emblem?": emblem.count,
        }
        assert task.answers == (answers[task.question],)


def test_gold_answers_are_right_by_the_reward() -> None:
    for task in AtlasTasks(WORLD, count=50):
        assert RewardRule()(task.answers[0], task.answers, 0, True).value == 1.0


# Mixes


def test_the_papers_mix_needs_search_in_two_thirds() -> None:
    counts = Counter(t.kind for t in AtlasTasks(WORLD, count=1200))
    for kind, share in zip(KINDS, (1 / 3, 1 / 3, 1 / 6, 1 / 6), strict=True):
        assert counts[kind] / 1200 == pytest.approx(share, abs=0.045)
    assert tuple(PAPER_MIX) == KINDS


def test_any_mix_can_be_asked_for() -> None:
    mix = {"visible": 3.0, QuestionKind.NAMED_FACT: 1.0, "familiar": 0.0}
    counts = Counter(t.kind for t in AtlasTasks(WORLD, count=400, mix=mix))
    assert set(counts) == {"visible", "named_fact"}
    assert counts["visible"] / 400 == pytest.approx(0.75, abs=0.07)


@pytest.mark.parametrize(
    "mix", [{}, {"visible": 0.0}, {"visible": -1.0, "familiar": 2.0}, {"seen": 1.0},
            {"visible": float("nan")}, {"visible": float("inf")}],
)  # fmt: skip
def test_a_mix_that_means_nothing_is_refused(mix: dict[str, float]) -> None:
    with pytest.raises(InvalidSettingError, match="mix"):
        AtlasTasks(WORLD, mix=mix)


@pytest.mark.parametrize("settings", [{"split": "home"}, {"split": "dev"}, {"count": 0}])
def test_other_settings_are_checked(settings: dict[str, object]) -> None:
    with pytest.raises(InvalidSettingError):
        AtlasTasks(WORLD, **settings)  # type: ignore[arg-type]


# A sequence, made lazily


def digest(tasks: AtlasTasks) -> str:
    found = hashlib.sha256()
    for task in tasks:
        found.update(repr((task.id, task.question, task.answers, task.kind)).encode())
        found.update(task.image.tobytes())
    return found.hexdigest()


def test_the_same_seeds_give_the_same_tasks_and_others_others() -> None:
    def made(world_seed: int = 0, seed: int = 0, split: str = "train") -> str:
        return digest(AtlasTasks(World(500, world_seed), split, 20, seed))

    assert made() == made()
    assert len({made(), made(world_seed=1), made(seed=1), made(split="test")}) == 4


def test_task_i_is_always_the_same() -> None:
    tasks, other = AtlasTasks(WORLD, count=30), AtlasTasks(WORLD, count=1000)
    for i in (29, 3, 3, 17):
        assert tasks[i] == other[i]
    assert len({task.id for task in tasks}) == 30


def test_it_is_a_sequence() -> None:
    tasks = AtlasTasks(WORLD, count=5)
    assert len(tasks) == 5
    assert [task.id for task in tasks] == [tasks[i].id for i in range(5)]
    assert tasks[-1] == tasks[4] == tasks[np.int64(4)]  # type: ignore[call-overload]
    assert tasks[1:4:2] == [tasks[1], tasks[3]]
    assert list(reversed(tasks)) == [tasks[i] for i in (4, 3, 2, 1, 0)]
    for index in (5, -6):
        with pytest.raises(IndexError):
            tasks[index]


def test_tasks_are_made_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise AssertionError("drawn too early")

    monkeypatch.setattr("mmsr_env.atlas.questions.draw_emblem", forbidden)
    tasks = AtlasTasks(World(1_000_000), "test", count=10**9)
    assert len(tasks) == 10**9
    with pytest.raises(AssertionError, match="drawn too early"):
        tasks[10**9 - 1]


def test_task_sets_survive_pickling_and_copying() -> None:
    tasks = AtlasTasks(WORLD, "test", 10, 3, {"visible": 1.0})
    assert (
        digest(pickle.loads(pickle.dumps(tasks))) == digest(copy.deepcopy(tasks)) == digest(tasks)
    )
    assert len(pickle.dumps(tasks)) < 3000


def test_global_random_state_is_not_touched() -> None:
    before = random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index]
    tasks = AtlasTasks(WORLD, count=10)
    first = digest(tasks)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before  # type: ignore[index]
    random.seed(1)
    np.random.seed(1)
    assert digest(tasks) == first


def test_the_smallest_world_has_tasks_in_every_split() -> None:
    for seed in range(40):
        world = World(100, seed, 50, Difficulty(lookalikes=4))
        for split in SPLITS:
            assert AtlasTasks(world, split, 5, mix={"named_fact": 1.0})[0].question
