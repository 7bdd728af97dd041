"""The update: towards what was rewarded, however it is split, and only from what counts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cache
from itertools import chain

import pytest
import torch
from small_runs import (
    TASKS,
    beginner,
    collector_of,
    copy_of,
    equal,
    untrained,
    weights_of,
)
from torch import Tensor

from algos.batch import TokenBatch
from algos.grpo import GRPO
from algos.logprobs import forward
from algos.models import VisionLanguageModel
from algos.optimizer import MasterAdamW
from algos.tokens import collate
from algos.update import Updater, UpdateSettings
from mmsr_env.errors import InvalidSettingError

PLAIN = GRPO(kl_coef=0.0)
GROUPS = (0, 0, 0, 1, 1, 1, 2, 2)
REWARDS = (1.0, 0.0, 0.1, 0.91, 0.0, 0.0, 0.1, 0.1)  # the last group's are all equal


@cache
def batch() -> TokenBatch:
    """Eight of the beginner's trajectories, over several turns, with rewards of our choice."""
    vlm = beginner()
    rollouts = asyncio.run(collector_of(vlm).collect(TASKS[:8]))
    transcripts = [rollout.transcript for rollout in rollouts]
    return collate(transcripts, REWARDS, GROUPS, [False] * 8, vlm.pad_id)


def updater(vlm: VisionLanguageModel, algorithm: GRPO = PLAIN, reference=None, **settings):
    chosen = UpdateSettings(**{"learning_rate": 1e-3, **settings})
    return Updater(vlm, algorithm, chosen, 1.0, 0, reference)


def updated(given: TokenBatch, algorithm: GRPO = PLAIN, **settings) -> dict[str, Tensor]:
    vlm = beginner()
    updater(vlm, algorithm, **settings).update(given, 0)
    return weights_of(vlm)


def total_logprobs(vlm: VisionLanguageModel, given: TokenBatch) -> Tensor:
    """[B] log-probability of each row's sampled tokens together."""
    with torch.no_grad():
        return forward(vlm.model, given, 1.0, vlm.suppressed_ids).logprobs.sum(1)


def flat(given: TokenBatch, rewards: Sequence[float]) -> TokenBatch:
    return given._replace(rewards=torch.tensor(rewards))


def test_the_batch_is_one_to_learn_from() -> None:
    """What the tests below rest on: several turns, pictures in replies, rows of every length."""
    assert batch().response_mask.any(1).all()
    turns = (batch().response_mask[:, 1:] & ~batch().response_mask[:, :-1]).sum(1)
    assert {int(count) for count in turns} >= {1, 2}
    assert len(set(batch().attention_mask.sum(1).tolist())) > 4
    assert len(set(batch().image_counts.tolist())) > 1


def test_probability_moves_towards_what_was_rewarded() -> None:
    vlm = beginner()
    before = total_logprobs(vlm, batch())
    updater(vlm, learning_rate=3e-4).update(batch(), 0)
    moved = total_logprobs(vlm, batch()) - before
    for rows in ([0, 1, 2], [3, 4, 5]):
        best, *others = sorted(rows, key=lambda row: -REWARDS[row])
        assert moved[best] > 0
        assert all(moved[best] > moved[other] for other in others)
    assert moved[4] + moved[5] < 0


@pytest.mark.parametrize("aggregate", ["token", "sequence"])
def test_how_a_minibatch_is_split_changes_nothing(aggregate: str) -> None:
    """One row at a time, a few, or all at once; in float64, where only a defect can differ."""
    given = {"algorithm": GRPO(kl_coef=0.1, entropy_coef=0.01, aggregate=aggregate)}
    results, metrics = [], []
    for tokens in (1, 300, 10**6):
        vlm = copy_of(beginner(), torch.float64)
        reference = copy_of(untrained(1), torch.float64).model
        settings = {"micro_batch_tokens": tokens, "minibatches": 2, "epochs": 2}
        metrics.append(updater(vlm, **given, reference=reference, **settings).update(batch(), 0))
        results.append(weights_of(vlm))
    for other in results[1:]:
        for name, weight in results[0].items():
            assert torch.allclose(weight, other[name], rtol=0.0, atol=1e-6), name
    assert not equal(results[0], weights_of(copy_of(beginner(), torch.float64)))
    for other in metrics[1:]:
        assert other == pytest.approx(metrics[0], rel=1e-4, abs=1e-6)


def test_the_order_of_rows_in_a_batch_changes_nothing() -> None:
    """With one minibatch, that is; rows keep their groups."""
    turned = batch().select(torch.tensor([5, 0, 7, 2, 4, 1, 6, 3]))
    first, second = updated(batch()), updated(turned)
    assert all(torch.allclose(first[name], second[name], atol=1e-5) for name in first)


def test_groups_without_variance_are_left_out_by_option() -> None:
    dropping = GRPO(kl_coef=0.0, drop_groups_without_variance=True)
    some = batch().select(torch.arange(6))
    vlm = beginner()
    metrics = updater(vlm, dropping).update(batch(), 0)
    assert metrics["update/rows_share"] == pytest.approx(6 / 8)
    assert equal(weights_of(vlm), updated(some))
    assert not equal(weights_of(vlm), updated(batch()))  # there the mean is over all rows


def test_where_all_groups_are_left_out_nothing_happens() -> None:
    vlm = beginner()
    even = flat(batch(), [0.1] * 8)
    dropping = GRPO(kl_coef=0.0, drop_groups_without_variance=True)
    made = updater(vlm, dropping)
    assert made.update(even, 0) == {"update/rows_share": 0.0}
    assert equal(weights_of(vlm), weights_of(beginner()))


def test_rows_without_a_sampled_token_do_not_count() -> None:
    mask = batch().response_mask.clone()
    mask[2] = False
    emptied = batch()._replace(response_mask=mask)
    vlm = beginner()
    metrics = updater(vlm, learning_rate=1e-3).update(emptied, 0)
    assert metrics["update/rows_share"] == pytest.approx(7 / 8)
    assert metrics["update/logprob_gap"] < 1e-4


def test_the_sampler_and_the_trainer_agree() -> None:
    vlm = beginner()
    assert updater(vlm).update(batch(), 0)["update/logprob_gap"] < 1e-4


def test_the_gap_shows_where_they_do_not() -> None:
    wrong = batch().behavior_logprobs - 0.25 * batch().response_mask
    metrics = updater(beginner()).update(batch()._replace(behavior_logprobs=wrong), 0)
    assert metrics["update/logprob_gap"] == pytest.approx(0.25, abs=1e-3)


def test_the_reference_is_where_the_kl_term_pulls_to() -> None:
    vlm, reference = beginner(), beginner()
    with torch.no_grad():
        vlm.model.lm_head.weight.mul_(1.15)
    even = flat(batch(), [0.1] * 8)
    made = updater(vlm, GRPO(kl_coef=1.0), reference=reference.model, learning_rate=3e-4)
    found = [made.update(even, 0)["loss/ref_kl"] for _ in range(15)]
    assert found[0] > 0.003
    assert found[-1] < 0.5 * found[0]
    assert equal(weights_of(reference), weights_of(beginner()))


def test_there_is_no_kl_where_nothing_has_moved_yet() -> None:
    made = updater(beginner(), GRPO(kl_coef=1.0), reference=beginner().model)
    assert made.update(batch(), 0)["loss/ref_kl"] == pytest.approx(0.0, abs=1e-7)
    assert made.update(batch(), 1)["loss/ref_kl"] > 1e-6


def test_the_ratio_is_to_the_policy_at_the_start_of_the_update() -> None:
    """Within one update it leaves 1; at the next it begins at 1 again."""
    made = updater(beginner())
    assert made.update(batch(), 0)["loss/ratio"] == pytest.approx(1.0, abs=1e-5)
    assert made.update(batch(), 1)["loss/ratio"] == pytest.approx(1.0, abs=1e-5)
    longer = updater(beginner(), epochs=3, learning_rate=3e-3)
    assert abs(longer.update(batch(), 0)["loss/approx_kl"]) > 1e-4


def test_every_row_comes_once_an_epoch_in_a_new_order(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[list[int]] = []
    step_of = Updater._step

    def step(self, given, advantages, rows):
        taken.append(rows.tolist())
        return step_of(self, given, advantages, rows)

    monkeypatch.setattr(Updater, "_step", step)
    updater(beginner(), epochs=2, minibatches=3).update(batch(), 0)
    assert [len(rows) for rows in taken] == [3, 3, 2] * 2
    first, second = (list(chain(*taken[epoch : epoch + 3])) for epoch in (0, 3))
    assert sorted(first) == sorted(second) == list(range(8))
    assert first != second


def test_more_minibatches_than_rows_make_no_empty_update() -> None:
    two = batch().select(torch.tensor([0, 1]))
    vlm = beginner()
    metrics = updater(vlm, minibatches=5).update(two, 0)
    assert all(value == value for value in metrics.values())  # no NaN


def test_the_learning_rate_rises_over_its_warmup() -> None:
    made = updater(beginner(), learning_rate=1e-3, warmup_iterations=4)
    rates = [made.update(batch(), i)["update/learning_rate"] for i in (0, 1, 3, 9)]
    assert rates == pytest.approx([2.5e-4, 5e-4, 1e-3, 1e-3])


def test_gradients_are_scaled_down_to_their_norm(monkeypatch: pytest.MonkeyPatch) -> None:
    norms = []
    step_of = MasterAdamW.step

    def step(self) -> None:
        grads = [weight.grad.flatten() for weight in self._weights if weight.grad is not None]
        norms.append(float(torch.cat(grads).norm()))
        step_of(self)

    monkeypatch.setattr(MasterAdamW, "step", step)
    metrics = updater(beginner(), max_grad_norm=0.01).update(batch(), 0)
    assert norms == [pytest.approx(0.01, rel=1e-3)]
    assert metrics["update/grad_norm"] > 0.02


def test_a_gradient_that_is_not_finite_is_not_followed() -> None:
    vlm = beginner()
    broken = flat(batch(), [float("nan"), *REWARDS[1:]])
    metrics = updater(vlm).update(broken, 0)
    assert metrics["update/skipped"] == 1.0
    assert equal(weights_of(vlm), weights_of(beginner()))
    assert updater(vlm).update(batch(), 0)["update/skipped"] == 0.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_resumed_updater_goes_on_as_the_first_would_have(dtype: torch.dtype) -> None:
    whole, first, second = (copy_of(beginner(), dtype) for _ in range(3))
    made = updater(whole, minibatches=2)
    for iteration in (0, 1):
        made.update(batch(), iteration)
    made = updater(first, minibatches=2)
    made.update(batch(), 0)
    second.model.load_state_dict(first.model.state_dict())
    resumed = updater(second, minibatches=2)
    resumed.load_state_dict(made.state_dict())
    resumed.update(batch(), 1)
    assert equal(weights_of(second), weights_of(whole))
    assert not equal(weights_of(second), weights_of(first))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_updates_that_are_too_small_for_the_weights_precision_add_up(dtype: torch.dtype) -> None:
    """MMSearch-R1's learning rate on a weight of usual size: 100 steps of 2e-6 are 2e-4."""
    weight = torch.nn.Parameter(torch.full((4,), 0.02, dtype=dtype))
    start = float(weight.detach()[0])
    optimizer = MasterAdamW([weight], 2e-6)
    for _ in range(100):
        optimizer.zero_grad()
        weight.sum().backward()
        optimizer.step()
    ulp = 2.0**-13 if dtype is torch.bfloat16 else 1e-7
    assert float(weight.detach()[0]) == pytest.approx(start - 2e-4, abs=ulp)


def test_in_float32_it_is_adamw_and_holds_no_copies() -> None:
    first, second = (torch.nn.Parameter(torch.linspace(-1, 1, 8)) for _ in range(2))
    mine = MasterAdamW([first], 0.01, weight_decay=0.1)
    theirs = torch.optim.AdamW([second], lr=0.01, weight_decay=0.1)
    for optimizer, weight in ((mine, first), (theirs, second)):
        for _ in range(5):
            optimizer.zero_grad()
            weight.pow(3).sum().backward()
            optimizer.step()
    assert torch.equal(first, second)
    assert mine.state_dict()["masters"] == []


def test_an_algorithm_that_needs_a_reference_gets_one() -> None:
    with pytest.raises(InvalidSettingError, match="reference"):
        updater(beginner(), GRPO(kl_coef=0.1))


@pytest.mark.parametrize(
    "wrong",
    [
        {"learning_rate": 0.0},
        {"max_grad_norm": float("nan")},
        {"epochs": 0},
        {"minibatches": -1},
        {"micro_batch_tokens": 0},
        {"warmup_iterations": -1},
        {"weight_decay": -0.1},
    ],
)
def test_settings_are_checked(wrong) -> None:
    with pytest.raises(InvalidSettingError, match=next(iter(wrong))):
        UpdateSettings(**wrong)
