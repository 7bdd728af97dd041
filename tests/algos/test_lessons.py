"""The stream of lessons: the same by step, true to the episodes, weighted where it should be."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from small_runs import (
    PLAY,
    SEARCH,
    TASKS,
    TEACHER,
    WORLD,
    ScriptedSampler,
    collector_of,
    untrained,
)
from torch.utils.data import DataLoader

from algos.lessons import Lesson, LessonStream, Phase, token_weights
from algos.models import VisionLanguageModel
from algos.tokens import collate
from mmsr_env.atlas.world import Split
from mmsr_env.episode import Episode
from mmsr_env.errors import InvalidSettingError, UnknownNameError
from mmsr_env.rules import Rules
from mmsr_env.types import Task

MIXED = {"caption": 1.0, "copy": 1.0, "recall": 1.0, "read": 1.0, "episode": 2.0}
TAGS = ("<reason>", "</reason>", "<answer>", "<text_search>", "<|im_end|>")


def stream(
    mix: Mapping[str, float] | None = None, steps: int = 6, size: int = 4, **changes
) -> LessonStream:
    settings = {
        "vlm": untrained(),
        "tasks": TASKS,
        "teacher": TEACHER,
        "phases": [Phase(1.0, MIXED if mix is None else mix)],
        "steps": steps,
        "batch_size": size,
        "seed": 0,
    }
    return LessonStream(**{**settings, **changes})


def same(first: Lesson, second: Lesson) -> bool:
    parts = zip((*first.batch, first.weights), (*second.batch, second.weights), strict=True)
    return all(torch.equal(a, b) if isinstance(a, torch.Tensor) else a is b for a, b in parts)


def rows(vlm: VisionLanguageModel, lesson: Lesson) -> list[str]:
    """Each row's text, special tokens and all."""
    masks = lesson.batch.attention_mask
    pairs = zip(lesson.batch.input_ids, masks, strict=True)
    return [vlm.tokenizer.decode(ids[mask]) for ids, mask in pairs]


def imitated(vlm: VisionLanguageModel, lesson: Lesson, row: int = 0) -> list[str]:
    """The texts that a row teaches, turn by turn."""
    ids, mask = lesson.batch.input_ids[row], lesson.batch.response_mask[row]
    return vlm.tokenizer.decode(ids[mask]).split("<|im_end|>")[:-1]


def test_lessons_follow_from_seed_and_step() -> None:
    first, second = list(stream()), list(stream())
    assert len(first) == len(stream()) == 6
    assert all(same(a, b) for a, b in zip(first, second, strict=True))
    assert not any(same(a, b) for a, b in pairwise(first))
    assert not same(first[0], next(iter(stream(seed=1))))


@pytest.mark.parametrize("workers", [1, 2])
def test_loader_workers_change_nothing(workers: int) -> None:
    SEARCH._local()  # made once, and not in each worker
    loader = DataLoader(stream(), batch_size=None, num_workers=workers)
    assert all(same(a, b) for a, b in zip(loader, stream(), strict=True))


def test_a_stream_can_be_sent_to_a_worker() -> None:
    """As where processes are not forked."""
    lessons = stream(steps=2)
    sent = pickle.loads(pickle.dumps(lessons))
    assert all(same(a, b) for a, b in zip(sent, lessons, strict=True))


def test_an_episode_is_taught_as_it_is_played() -> None:
    """The tokens, masks and pictures are those of an episode in which a policy says the same."""
    begun: list[Task] = []

    def begin(task: Task) -> Episode:
        begun.append(task)
        return PLAY.begin(task)

    vlm = untrained()
    lessons = stream({"episode": 1.0}, 25, 1, teacher=replace(TEACHER, episode=begin), vlm=vlm)
    turns = set()
    for lesson in lessons:
        texts = imitated(vlm, lesson)
        collector = collector_of(vlm, ScriptedSampler(vlm, *texts), SEARCH, PLAY, 512, 99)
        (rollout,) = asyncio.run(collector.collect([begun[-1]]))
        assert [turn.text for turn in rollout.trajectory.turns] == texts
        played = collate([rollout.transcript], [0.0], [0], [False], vlm.pad_id)
        for name in ("input_ids", "response_mask", "position_ids", "attention_mask"):
            assert torch.equal(getattr(played, name), getattr(lesson.batch, name))
        assert torch.equal(played.pixel_values, lesson.batch.pixel_values)
        assert torch.equal(played.image_grid_thw, lesson.batch.image_grid_thw)
        turns.add(len(texts))
    assert turns == {1, 2, 3}


def test_episodes_are_about_training_entities_and_familiar_ones() -> None:
    begun: list[Task] = []

    def begin(task: Task) -> Episode:
        begun.append(task)
        return PLAY.begin(task)

    list(stream({"episode": 1.0}, 10, 6, teacher=replace(TEACHER, episode=begin)))
    split = {WORLD.entity(i).name: WORLD.split(i) for i in range(WORLD.size)}
    named = {split[task.metadata[key]] for task in begun for key in ("entity", "shown")}
    assert named == {Split.TRAIN, Split.HOME}


def weights_by_hand(vlm: VisionLanguageModel, ids, mask, decision: float, answer: float):
    """What each token of one row should weigh, from its text and those before it."""
    tokens = [vlm.tokenizer.decode([index]) for index in ids]
    expected, inside = [], False
    for place, token in enumerate(tokens):
        before = tokens[place - 1] if place else ""
        inside = inside or before in ("<answer>", "<text_search>")
        if not mask[place]:
            expected.append(0.0)
        elif before in ("<reason>", "</reason>"):
            expected.append(decision)
        else:
            expected.append(answer if inside else 1.0)
        inside = inside and token != "<|im_end|>"
    return expected


def test_tokens_weigh_what_they_should() -> None:
    vlm = untrained()
    seen = set()
    for lesson in stream(vlm=vlm, decision_weight=5.0, answer_weight=2.5):
        for row, weights in enumerate(lesson.weights):
            ids, mask = lesson.batch.input_ids[row], lesson.batch.response_mask[row]
            assert weights.tolist() == weights_by_hand(vlm, ids, mask, 5.0, 2.5)
        seen |= set(lesson.weights.unique().tolist())
    assert seen == {0.0, 1.0, 2.5, 5.0}


def test_the_decisions_are_what_is_weighed_most() -> None:
    vlm = untrained()
    decided = set()
    for lesson in stream({"episode": 1.0}, 12, 4, vlm=vlm, decision_weight=9.0):
        decided |= set(lesson.batch.input_ids[lesson.weights == 9.0].tolist())
    words = {vlm.tokenizer.decode([index]) for index in decided}
    assert {"<search>", "<text_search>", "<answer>"} < words
    assert len(words - {"<search>", "<text_search>", "<answer>"}) >= 4  # how reasons begin


def test_weights_need_the_tags_as_tokens() -> None:
    vlm = untrained()
    without = vlm.tokenizer.__class__(
        tokenizer_file=None, tokenizer_object=_without_tags(vlm), eos_token="<|im_end|>"
    )
    with pytest.raises(InvalidSettingError, match="<reason>"):
        token_weights(replace(vlm, tokenizer=without), 3.0, 3.0)


def _without_tags(vlm: VisionLanguageModel):
    from tokenizers import Tokenizer, models

    core = Tokenizer(models.BPE(vocab={"a": 0}, merges=[]))
    core.add_special_tokens(["<|im_end|>"])
    return core


def test_phases_follow_one_another_by_their_shares() -> None:
    vlm = untrained()
    phases = [Phase(0.25, {"caption": 1.0}), Phase(0.25, {"copy": 1.0}), Phase(0.5, {"read": 1.0})]
    texts = [rows(vlm, lesson) for lesson in stream(vlm=vlm, phases=phases, steps=8, size=2)]
    marks = ["Describe"] * 2 + ["Repeat"] * 2 + ["<information>"] * 4
    assert all(mark in row for mark, batch in zip(marks, texts, strict=True) for row in batch)


def test_a_mix_is_drawn_by_its_frequencies() -> None:
    vlm = untrained()
    lessons = stream({"caption": 1.0, "copy": 3.0}, 10, 20, vlm=vlm)
    copies = sum("Repeat" in row for lesson in lessons for row in rows(vlm, lesson))
    assert abs(copies - 150) < 3.5 * (200 * 0.75 * 0.25) ** 0.5


def test_dialogues_that_are_too_long_are_left_out() -> None:
    longest = max(lesson.batch.input_ids.shape[1] for lesson in stream(steps=4))
    limit = longest * 2 // 3
    lessons = list(stream(steps=4, max_tokens=limit))
    assert all(lesson.batch.input_ids.shape[1] <= limit for lesson in lessons)
    assert all(len(lesson.weights) == 4 for lesson in lessons)


@pytest.mark.parametrize("limit", [3, 14])
def test_a_limit_that_nothing_fits_is_an_error(limit: int) -> None:
    with pytest.raises(InvalidSettingError, match="could be used"):
        next(iter(stream({"read": 1.0}, max_tokens=limit)))


def test_rules_that_allow_no_demonstration_are_an_error() -> None:
    def begin(task: Task) -> Episode:
        return Episode(task, Rules(max_searches=0), prompts=PLAY.prompts)

    teacher = replace(TEACHER, episode=begin, overuse=1.0)
    with pytest.raises(InvalidSettingError, match="could be used"):
        next(iter(stream({"episode": 1.0}, teacher=teacher)))


def test_settings_are_checked() -> None:
    with pytest.raises(InvalidSettingError, match="sum to 1"):
        stream(phases=[Phase(0.5, MIXED)])
    with pytest.raises(UnknownNameError, match="Did you mean 'caption'"):
        Phase(1.0, {"captoin": 1.0})
    for share in (0.0, -0.1, 1.1):
        with pytest.raises(InvalidSettingError, match="share"):
            Phase(share, MIXED)
