"""Supervised training: it learns, by its schedule, and however its batches are split."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from small_runs import TASKS, TEACHER, copy_of, equal, untrained, weights_of

from algos.lessons import LessonStream, Phase
from algos.warmstart import SupervisedSettings, warm_start
from mmsr_env.errors import InvalidSettingError

STEADY = SupervisedSettings(learning_rate=1e-3, warmup_steps=0, final_share=1.0)


def lessons_for(vlm, steps: int) -> LessonStream:
    mix = {"copy": 1.0, "caption": 1.0, "episode": 1.0}
    return LessonStream(vlm, TASKS, TEACHER, [Phase(1.0, mix)], steps, 4, seed=0)


def test_it_learns_what_it_is_shown() -> None:
    vlm = untrained()
    lessons = list(lessons_for(vlm, 4)) * 6
    losses: list[float] = []
    warm_start(vlm, lessons, 24, STEADY, lambda step, loss, tokens: losses.append(loss))
    assert losses[0] > 0.8 * math.log(len(vlm.tokenizer))
    assert sum(losses[-4:]) < 0.75 * sum(losses[:4])
    assert not vlm.model.training


def test_the_loss_is_the_weighted_mean_over_tokens() -> None:
    vlm = untrained()
    (lesson,) = lessons_for(vlm, 1)
    before = copy_of(vlm)
    seen = []
    warm_start(vlm, [lesson], 1, STEADY, lambda *given: seen.append(given))
    batch, total = lesson.batch, 0.0
    with torch.no_grad():
        logits = before.model(
            input_ids=batch.input_ids,
            attention_mask=batch.attention_mask,
            position_ids=batch.position_ids,
            pixel_values=batch.pixel_values,
            image_grid_thw=batch.image_grid_thw,
        ).logits
    logits[..., sorted(vlm.suppressed_ids)] = -torch.inf
    logprobs = logits.log_softmax(-1)
    for row, places in enumerate(lesson.weights):
        for place in places.nonzero()[:, 0].tolist():
            token = batch.input_ids[row, place]
            total -= float(places[place] * logprobs[row, place - 1, token])
    ((step, loss, tokens),) = seen
    assert (step, tokens) == (0, int(batch.attention_mask.sum()))
    assert loss == pytest.approx(total / float(lesson.weights.sum()), rel=1e-4)


def test_how_a_batch_is_split_changes_nothing() -> None:
    trained = []
    for tokens in (1, 300, 10**6):
        vlm = copy_of(untrained(), torch.float64)
        settings = replace(STEADY, micro_batch_tokens=tokens)
        warm_start(vlm, lessons_for(vlm, 2), 2, settings)
        trained.append(weights_of(vlm))
    for other in trained[1:]:
        for name, weight in trained[0].items():
            assert torch.allclose(weight, other[name], rtol=0.0, atol=1e-6), name


def test_equal_lessons_give_equal_weights() -> None:
    models = [untrained(), untrained()]
    for vlm in models:
        warm_start(vlm, lessons_for(vlm, 3), 3, STEADY)
    assert equal(*map(weights_of, models))
    assert not equal(weights_of(models[0]), weights_of(untrained()))


def test_the_learning_rate_rises_and_falls_by_a_cosine(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = []
    step_of = torch.optim.AdamW.step

    def step(self, *given):
        rates.append(self.param_groups[0]["lr"])
        return step_of(self, *given)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    vlm = untrained()
    settings = SupervisedSettings(learning_rate=0.01, warmup_steps=4, final_share=0.1)
    lesson = next(iter(lessons_for(vlm, 1)))
    warm_start(vlm, [lesson] * 12, 12, settings)
    assert rates[:4] == pytest.approx([0.0025, 0.005, 0.0075, 0.01])
    falling = [0.1 + 0.45 * (1 + math.cos(math.pi * done / 8)) for done in range(8)]
    assert rates[4:] == pytest.approx([0.01 * share for share in falling])


def test_vectors_do_not_decay() -> None:
    """Norms and biases are kept where they are, when nothing else moves them."""
    vlm = untrained()
    settings = replace(STEADY, learning_rate=1e-9, weight_decay=1e8)  # 1 - lr * decay = 0.9
    lesson = next(iter(lessons_for(vlm, 1)))
    before = weights_of(vlm)
    warm_start(vlm, [lesson], 1, settings)
    for name, weight in vlm.model.named_parameters():
        expected = before[name] * (0.9 if weight.ndim >= 2 else 1.0)
        assert torch.allclose(weight, expected, atol=1e-6), name


def test_too_few_lessons_are_an_error() -> None:
    vlm = untrained()
    with pytest.raises(InvalidSettingError, match="expected 3 lessons, got 2"):
        warm_start(vlm, lessons_for(vlm, 2), 3, STEADY)


def test_no_lesson_more_than_needed_is_taken() -> None:
    vlm = untrained()
    taken = iter(list(lessons_for(vlm, 3)))
    warm_start(vlm, taken, 2, STEADY)
    assert len(list(taken)) == 1


@pytest.mark.parametrize(
    "wrong", [{"learning_rate": 0.0}, {"max_grad_norm": -1.0}, {"warmup_steps": -1}]
)
def test_settings_are_checked(wrong) -> None:
    with pytest.raises(InvalidSettingError):
        SupervisedSettings(**wrong)
