"""GRPO's loss, gradient and metrics against the oracle; what each setting does."""

from __future__ import annotations

import dataclasses

import oracles
import pytest
import torch
from batches import GROUPS, REWARDS, make_batch, make_outputs
from torch import Tensor

from algos.batch import Outputs, TokenBatch
from algos.grpo import GRPO
from algos.masking import Aggregate, count_scale
from mmsr_env.errors import InvalidSettingError, UnknownNameError

STRONG = {"kl_coef": 0.3, "clip_low": 0.15, "clip_high": 0.35, "entropy_coef": 0.2}
AGGREGATES = [("token", None), ("sequence", None), ("fixed", 7)]


def _loss(algorithm: GRPO, batch: TokenBatch, outputs: Outputs) -> Tensor:
    advantages = algorithm.advantages(batch)
    return algorithm.loss(batch, advantages, outputs, count_scale(batch.response_mask)).total


def _rows(batch: TokenBatch, advantages: Tensor, outputs: Outputs) -> dict[str, oracles.Rows]:
    tensors = {
        "new": outputs.logprobs,
        "old": batch.old_logprobs,
        "ref": batch.ref_logprobs,
        "advantages": advantages,
        "entropy": outputs.entropy,
    }
    return {name: tensor.tolist() for name, tensor in tensors.items() if tensor is not None}


@pytest.mark.parametrize(("how", "length"), AGGREGATES)
@pytest.mark.parametrize("seed", range(3))
def test_loss_as_the_oracle(how: str, length: int | None, seed: int) -> None:
    batch = make_batch(seed)
    outputs = make_outputs(batch, seed)
    algorithm = GRPO(**STRONG, aggregate=Aggregate(how), fixed_length=length)
    rows = _rows(batch, algorithm.advantages(batch), outputs)
    expected = oracles.grpo_loss(
        rows, batch.response_mask.tolist(), how=how, fixed_length=length or 1, **STRONG
    )
    assert float(_loss(algorithm, batch, outputs).detach()) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(("how", "length"), AGGREGATES)
def test_gradient_as_the_oracles_finite_differences(how: str, length: int | None) -> None:
    batch = make_batch()
    outputs = make_outputs(batch)
    algorithm = GRPO(**STRONG, aggregate=Aggregate(how), fixed_length=length)
    rows = _rows(batch, algorithm.advantages(batch), outputs)
    mask = batch.response_mask.tolist()
    found = torch.autograd.grad(_loss(algorithm, batch, outputs), outputs[:2])
    step = 1e-6
    for name, gradient in zip(("new", "entropy"), found, strict=True):
        for b, t in torch.cartesian_prod(*map(torch.arange, gradient.shape)).tolist():
            kept = rows[name][b][t]
            sides = []
            for value in (kept + step, kept - step):
                rows[name][b][t] = value
                sides.append(
                    oracles.grpo_loss(rows, mask, how=how, fixed_length=length or 1, **STRONG)
                )
            rows[name][b][t] = kept
            expected = (sides[0] - sides[1]) / (2 * step)
            assert float(gradient[b, t]) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_advantages_as_the_oracle() -> None:
    batch = make_batch()
    expected = oracles.group_advantages(list(REWARDS), list(GROUPS), 1e-3)
    for row, flags, number in zip(
        GRPO().advantages(batch).tolist(), batch.response_mask.tolist(), expected, strict=True
    ):
        assert row == pytest.approx([number if flag else 0.0 for flag in flags], rel=1e-5)


def test_metrics_as_the_oracle() -> None:
    batch = make_batch()
    outputs = make_outputs(batch)
    algorithm = GRPO(**STRONG)
    advantages = algorithm.advantages(batch)
    loss = algorithm.loss(batch, advantages, outputs, count_scale(batch.response_mask))
    mask, rows = batch.response_mask.tolist(), _rows(batch, advantages, outputs)
    expected = oracles.token_means(rows, mask, STRONG["clip_low"], STRONG["clip_high"])
    assert 0 < expected["clip_fraction"] < 1
    bare = STRONG | {"kl_coef": 0.0, "entropy_coef": 0.0}
    expected["policy"] = oracles.grpo_loss(rows, mask, how="sequence", **bare)
    assert dict(loss.metrics) == pytest.approx(expected, rel=1e-5)
    scale = count_scale(batch.response_mask)
    assert "ref_kl" not in GRPO(kl_coef=0.0).loss(batch, advantages, outputs, scale).metrics


def test_the_ratio_is_of_the_old_policy_and_not_of_the_sampler() -> None:
    batch = make_batch()
    outputs = make_outputs(batch)
    other = batch._replace(behavior_logprobs=batch.behavior_logprobs * 2)
    assert torch.equal(_loss(GRPO(), other, outputs), _loss(GRPO(), batch, outputs))


def test_no_gradient_reaches_the_old_policy_or_the_reference() -> None:
    batch = make_batch()
    outputs = make_outputs(batch)
    assert batch.old_logprobs is not None
    assert batch.ref_logprobs is not None
    leaves = (batch.old_logprobs.requires_grad_(), batch.ref_logprobs.requires_grad_())
    total = _loss(GRPO(**STRONG), batch, outputs)
    assert torch.autograd.grad(total, leaves, allow_unused=True) == (None, None)


@pytest.mark.parametrize("part", [0, 1])
@pytest.mark.parametrize("settings", [{"kl_coef": 0.0}, {"kl_coef": 5.0}, {"entropy_coef": 5.0}])
def test_each_term_has_no_gradient_outside_the_mask(part: int, settings: dict) -> None:
    batch = make_batch()
    outputs = make_outputs(batch)
    algorithm = GRPO(**settings)
    (gradient,) = torch.autograd.grad(
        _loss(algorithm, batch, outputs), outputs[part], allow_unused=True
    )
    if part == 1 and algorithm.entropy_coef == 0:
        assert gradient is None
        return
    assert (gradient[~batch.response_mask] == 0).all()
    assert (gradient[batch.response_mask] != 0).any()


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(GRPO)])
def test_each_setting_matters(field: str) -> None:
    changed = {
        "kl_coef": {"kl_coef": 0.5},
        "clip_low": {"clip_low": 0.9},
        "clip_high": {"clip_high": 3.0},
        "entropy_coef": {"entropy_coef": 0.5},
        "std_floor": {"std_floor": 0.9},
        "drop_groups_without_variance": {"drop_groups_without_variance": True},
        "aggregate": {"aggregate": "token"},
        "fixed_length": {"aggregate": "fixed", "fixed_length": 9},
    }
    base = {"aggregate": "fixed", "fixed_length": 8} if field == "fixed_length" else {}
    batch = make_batch(rewards=(1.0, 0.5, 0.0, 0.5, 0.81, 0.5))
    outputs = make_outputs(batch)
    one, other = GRPO(**base), GRPO(**changed[field])
    if field == "drop_groups_without_variance":
        assert one.keep(batch).all()
        assert other.keep(batch).tolist() == [True, False, True, False, True, False]
    else:
        assert not torch.equal(_loss(one, batch, outputs), _loss(other, batch, outputs))


def test_defaults_are_the_published_ones() -> None:
    published = GRPO()
    assert (published.kl_coef, published.clip_low, published.clip_high) == (0.001, 0.2, 0.2)
    assert (published.entropy_coef, published.std_floor) == (0.0, 1e-3)
    assert published.aggregate == "sequence"
    assert not published.drop_groups_without_variance


def test_a_reference_is_needed_with_a_kl_term_only() -> None:
    batch = make_batch()._replace(ref_logprobs=None)
    outputs = make_outputs(batch)
    assert not GRPO(kl_coef=0.0).needs_reference
    _loss(GRPO(kl_coef=0.0), batch, outputs)
    assert GRPO(kl_coef=0.1).needs_reference
    with pytest.raises(InvalidSettingError, match="ref_logprobs"):
        _loss(GRPO(kl_coef=0.1), batch, outputs)


def test_old_log_probabilities_are_needed() -> None:
    batch = make_batch()
    outputs = make_outputs(batch)
    with pytest.raises(InvalidSettingError, match="old_logprobs"):
        _loss(GRPO(), batch._replace(old_logprobs=None), outputs)


@pytest.mark.parametrize(
    "settings",
    [
        {"kl_coef": -0.1},
        {"clip_low": 0.0},
        {"clip_low": 1.1},
        {"clip_high": 0.0},
        {"entropy_coef": -1.0},
        {"std_floor": 0.0},
        {"aggregate": "fixed"},
        {"fixed_length": 8},
    ],
)
def test_settings_out_of_range_fail(settings: dict) -> None:
    with pytest.raises(InvalidSettingError, match=next(iter(settings))):
        GRPO(**settings)


def test_an_unknown_aggregate_fails() -> None:
    with pytest.raises(UnknownNameError, match="mean 'token'"):
        GRPO(aggregate="tokens")  # type: ignore[arg-type]


def test_descent_makes_the_rewarded_token_likely_and_the_kl_term_holds_it_back() -> None:
    """Two arms, one token each: the policy moves to the paid arm, less far with a KL term."""
    batch = make_batch().select(torch.tensor([1, 1]))
    rewards, groups = torch.tensor([1.0, 0.0]), torch.tensor([0, 0])
    batch = batch._replace(rewards=rewards, group_ids=groups)
    ends = []
    for kl_coef in (0.0, 0.5):
        algorithm = GRPO(kl_coef=kl_coef, clip_high=100.0, clip_low=1.0)
        logits = torch.zeros(2, dtype=torch.float64, requires_grad=True)
        even = _at_the_response(batch, torch.full((2,), 0.5).log().double())
        for _ in range(200):
            policy = _at_the_response(batch, logits.log_softmax(0))
            now = batch._replace(old_logprobs=policy.detach(), ref_logprobs=even)
            outputs = Outputs(policy, torch.zeros_like(policy))
            (gradient,) = torch.autograd.grad(_loss(algorithm, now, outputs), logits)
            logits = (logits - 0.1 * gradient).detach().requires_grad_()
        ends.append(float(logits.detach().softmax(0)[0]))
    assert ends[0] > 0.99
    assert 0.6 < ends[1] < 0.95


def _at_the_response(batch: TokenBatch, per_row: Tensor) -> Tensor:
    return per_row[:, None] * batch.response_mask
