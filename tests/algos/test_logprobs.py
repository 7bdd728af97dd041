"""Log-probabilities against a plain computation over all logits, and what must not change them."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from tiny_models import tiny, transcript_of
from torch import Tensor
from torch.nn.functional import pad

from algos.batch import Outputs, TokenBatch
from algos.logprobs import forward
from algos.tokens import collate

SHAPES = ((0, 1), (2, 2), (1, 0), (0, 0))  # turns and pictures of each row
TEMPERATURES = (1.0, 0.6, 1.7)


def make_batch() -> TokenBatch:
    made = []
    for number, (turns, pictures) in enumerate(SHAPES):
        transcript = transcript_of(tiny(), number, turns=turns, pictures=pictures)
        transcript.append_text("I know this one." * (1 + number % 2))
        made.append(transcript)
    count = len(made)
    return collate(made, [0.0] * count, [0] * count, [False] * count, tiny().pad_id)


def score(batch: TokenBatch, temperature: float = 1.0, **options: Any) -> Outputs:
    return forward(tiny().model, batch, temperature, tiny().suppressed_ids, **options)


def plain(batch: TokenBatch, temperature: float) -> tuple[Tensor, Tensor]:
    """The same in float64 from [B, T, V] logits, the suppressed columns taken out."""
    model = copy.deepcopy(tiny().model).double()
    logits = model(
        input_ids=batch.input_ids,
        attention_mask=batch.attention_mask,
        position_ids=batch.position_ids,
        pixel_values=batch.pixel_values.double(),
        image_grid_thw=batch.image_grid_thw,
    ).logits
    allowed = [i for i in range(logits.shape[-1]) if i not in tiny().suppressed_ids]
    column = {index: place for place, index in enumerate(allowed)}
    logprobs = torch.zeros(batch.input_ids.shape, dtype=torch.float64)
    entropy = torch.zeros_like(logprobs)
    for b, t in batch.response_mask.nonzero().tolist():
        scores = logits[b, t - 1, allowed] / temperature
        weights = (scores - scores.max()).exp()
        chances = weights / weights.sum()
        logprobs[b, t] = chances[column[int(batch.input_ids[b, t])]].log()
        entropy[b, t] = -(chances * chances.log()).sum()
    return logprobs, entropy


@pytest.mark.parametrize("temperature", TEMPERATURES)
@torch.no_grad()
def test_equals_the_plain_computation(temperature: float) -> None:
    batch = make_batch()
    found = score(batch, temperature)
    logprobs, entropy = plain(batch, temperature)
    assert found.logprobs.dtype == torch.float32
    torch.testing.assert_close(found.logprobs.double(), logprobs, rtol=0, atol=2e-5)
    torch.testing.assert_close(found.entropy.double(), entropy, rtol=0, atol=2e-5)
    assert int((found.logprobs != 0).sum()) == int(batch.response_mask.sum())
    assert found.values is None


def gradients(total: Tensor) -> dict[str, Tensor]:
    model = tiny().model
    names, weights = zip(*model.named_parameters(), strict=True)
    found = torch.autograd.grad(total, weights, allow_unused=True)
    return {
        name: torch.zeros_like(weight) if gradient is None else gradient
        for name, weight, gradient in zip(names, weights, found, strict=True)
    }


def weighed(found: Outputs) -> Tensor:
    weights = torch.linspace(-1.0, 1.0, found.logprobs.numel()).view_as(found.logprobs)
    return (weights * found.logprobs + weights.flip(1) * found.entropy).sum()


def test_gradients_are_those_of_the_plain_computation() -> None:
    """By finite differences along one direction of all weights at once."""
    batch = make_batch()
    model = tiny().model
    found = gradients(weighed(score(batch)))
    assert all(torch.isfinite(gradient).all() for gradient in found.values())
    assert found["lm_head.weight"].any()
    assert found["model.visual.patch_embed.proj.weight"].any()
    step, slope = 1e-4, 0.0
    shifted = [copy.deepcopy(model), copy.deepcopy(model)]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            direction = torch.randn(weight.shape, generator=generator) * weight.std()
            slope += float((found[name].double() * direction).sum())
            for sign, other in zip((1, -1), shifted, strict=True):
                other.get_parameter(name).add_(direction, alpha=sign * step)
        up, down = (
            float(weighed(forward(other.double(), double(batch), 1.0, tiny().suppressed_ids)))
            for other in shifted
        )
    assert (up - down) / (2 * step) == pytest.approx(slope, rel=5e-3)


def double(batch: TokenBatch) -> TokenBatch:
    return batch._replace(pixel_values=batch.pixel_values.double())


def test_chunks_change_nothing() -> None:
    batch = make_batch()
    vocabulary = tiny().model.lm_head.weight.shape[0]
    whole, parts = score(batch), score(batch, chunk_elements=3 * vocabulary)
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-5)
    one, other = gradients(weighed(whole)), gradients(weighed(parts))
    for name, gradient in one.items():
        torch.testing.assert_close(other[name], gradient, rtol=1e-3, atol=1e-4)


def test_logits_exist_only_where_a_sampled_token_is_predicted() -> None:
    batch = make_batch()
    shapes: list[tuple[int, ...]] = []
    hook = tiny().model.lm_head.register_forward_hook(
        lambda module, inputs, output: shapes.append(tuple(output.shape))
    )
    try:
        score(batch)
        vocabulary = tiny().model.lm_head.weight.shape[0]
        score(batch, chunk_elements=4 * vocabulary)
    finally:
        hook.remove()
    sampled = int(batch.response_mask.sum())
    assert shapes[0] == (sampled, vocabulary)
    assert max(rows for rows, _ in shapes[1:]) == 4
    assert sum(rows for rows, _ in shapes[1:]) == sampled


@torch.no_grad()
def test_more_padding_changes_nothing() -> None:
    batch = make_batch()
    padded = batch._replace(
        input_ids=pad(batch.input_ids, (0, 7), value=tiny().pad_id),
        position_ids=pad(batch.position_ids, (0, 7)),
        **{
            name: pad(getattr(batch, name), (0, 7))
            for name in ("attention_mask", "response_mask", "behavior_logprobs")
        },
    )
    for found, expected in zip(score(padded)[:2], score(batch)[:2], strict=True):
        torch.testing.assert_close(found[:, :-7], expected, rtol=0, atol=1e-5)
        assert not found[:, -7:].any()


@torch.no_grad()
def test_each_row_alone_is_what_it_is_in_the_batch() -> None:
    batch = make_batch()
    whole = score(batch)
    for row in range(len(SHAPES)):
        alone = score(batch.select(torch.tensor([row])))
        length = alone.logprobs.shape[1]
        torch.testing.assert_close(
            alone.logprobs[0], whole.logprobs[row, :length], rtol=0, atol=1e-5
        )
        torch.testing.assert_close(alone.entropy[0], whole.entropy[row, :length], rtol=0, atol=1e-5)


@torch.no_grad()
def test_greedy_counts_as_temperature_one() -> None:
    assert torch.equal(score(make_batch(), 0.0).logprobs, score(make_batch(), 1.0).logprobs)


@torch.no_grad()
def test_what_is_suppressed_has_no_share() -> None:
    """All ids but two suppressed: the two share the whole, and the entropy is theirs."""
    batch = make_batch()
    one = int(batch.input_ids[batch.response_mask][0])
    other = tiny().end_of_turn_id
    kept = batch.response_mask & ((batch.input_ids == one) | (batch.input_ids == other))
    few = batch._replace(response_mask=kept)
    rest = set(range(tiny().model.lm_head.weight.shape[0])) - {one, other}
    found = forward(tiny().model, few, 1.0, rest)
    chance = found.logprobs[kept].double().exp()
    expected = -(chance * chance.log() + (1 - chance) * (1 - chance).log())
    torch.testing.assert_close(found.entropy[kept].double(), expected, rtol=1e-3, atol=1e-5)


@torch.no_grad()
def test_entropy_can_be_left_out() -> None:
    found = score(make_batch(), with_entropy=False)
    assert torch.equal(found.logprobs, score(make_batch()).logprobs)
    assert not found.entropy.any()


def test_a_batch_in_which_nothing_was_sampled() -> None:
    batch = make_batch()
    silent = batch._replace(response_mask=torch.zeros_like(batch.response_mask))
    found = score(silent)
    assert not found.logprobs.any()
    assert not found.entropy.any()
    assert all(not gradient.any() for gradient in gradients(weighed(found)).values())


@torch.no_grad()
def test_values_are_of_the_state_before_each_sampled_token() -> None:
    batch = make_batch()
    states = (
        tiny()
        .model.model(
            input_ids=batch.input_ids,
            attention_mask=batch.attention_mask,
            position_ids=batch.position_ids,
            pixel_values=batch.pixel_values,
            image_grid_thw=batch.image_grid_thw,
        )
        .last_hidden_state
    )
    found = score(batch, value_head=lambda rows: rows.sum(-1)).values
    assert found is not None
    expected = torch.zeros_like(found)
    for b, t in batch.response_mask.nonzero().tolist():
        expected[b, t] = states[b, t - 1].sum()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
