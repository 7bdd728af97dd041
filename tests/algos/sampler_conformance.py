"""What every sampler must hold to: one suite, a row for each sampler.

A check takes a row and raises where it breaks the seam of `algos.samplers.base`. A row says how a
sampler over `tiny_models.tiny()` is made; two samplers of one row do not share weights.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from tiny_models import picture, tiny, transcript_of
from torch import Tensor

from algos.logprobs import forward
from algos.samplers.base import Completion, FinishReason, Sampler
from algos.tokens import Transcript, collate
from mmsr_env.types import Message

SHAPES = ((0, 1), (2, 2), (1, 0), (0, 0), (1, 1), (0, 3))  # turns and pictures of each transcript


@dataclass(frozen=True, slots=True)
class SamplerRow:
    """A sampler under test.

    Attributes:
        name: What it is called.
        make: Makes one from a seed, with the weights of `tiny_models.tiny()`.
        tolerance: How far its log-probabilities may be from those of a forward pass.
    """

    name: str
    make: Callable[[int], Sampler]
    tolerance: float = 1e-4


def transcripts(copies: int = 1) -> list[Transcript]:
    """Episodes of different lengths, turns and pictures, where the assistant is to write."""
    return [
        transcript_of(tiny(), number, turns=turns, pictures=pictures)
        for _ in range(copies)
        for number, (turns, pictures) in enumerate(SHAPES)
    ]


def sample_all(
    sampler: Sampler, made: Sequence[Transcript], tokens: int, temperature: float = 1.0
) -> list[Completion]:
    """All transcripts' completions, asked for at once; longest for the first."""

    async def ask() -> list[Completion]:
        requests = [t.request(tokens + 3 * (n % 4), temperature) for n, t in enumerate(made)]
        return await asyncio.gather(*map(sampler.sample, requests))

    return asyncio.run(ask())


@torch.no_grad()
def scored(made: Sequence[Transcript], temperature: float) -> list[Tensor]:
    """The log-probabilities of each transcript's sampled tokens by a forward pass of its own."""
    found = []
    for transcript in made:
        batch = collate([transcript], [0.0], [0], [False], tiny().pad_id)
        outputs = forward(tiny().model, batch, temperature, tiny().suppressed_ids)
        found.append(outputs.logprobs[batch.response_mask])
    return found


def completions_are_well_formed(row: SamplerRow) -> None:
    reasons = set()
    for n, done in enumerate(sample_all(row.make(0), transcripts(6), 12)):
        limit = 12 + 3 * (n % 4)
        assert len(done.ids) == len(done.logprobs)
        assert 1 <= len(done.ids) <= limit
        assert tiny().suppressed_ids.isdisjoint(done.ids)
        assert tiny().end_of_turn_id not in done.ids[:-1]
        ended = done.ids[-1] == tiny().end_of_turn_id
        assert done.finish_reason is (FinishReason.END_OF_TURN if ended else FinishReason.LENGTH)
        assert ended or len(done.ids) == limit
        assert all(logprob <= 0.0 for logprob in done.logprobs)
        reasons.add(done.finish_reason)
    assert reasons == set(FinishReason)  # or else this checked half of it


def logprobs_are_those_of_a_forward_pass(row: SamplerRow) -> None:
    for temperature in (1.0, 0.7, 0.0):
        made = transcripts(2)
        for transcript, done in zip(
            made, sample_all(row.make(1), made, 20, temperature), strict=True
        ):
            transcript.append_completion(done)
        for transcript, found in zip(made, scored(made, temperature), strict=True):
            expanded = transcript.expanded()
            recorded = expanded.behavior_logprobs[expanded.response_mask]
            torch.testing.assert_close(recorded, found, rtol=0, atol=row.tolerance)


def greedy_takes_the_likeliest_token(row: SamplerRow) -> None:
    made = transcripts()
    for transcript, done in zip(made, sample_all(row.make(0), made, 3, 0.0), strict=True):
        assert done.logprobs[0] >= highest_logprob(transcript) - row.tolerance


@torch.no_grad()
def highest_logprob(transcript: Transcript) -> float:
    """The log-probability of the likeliest next token, from one row of logits."""
    row = transcript.expanded()
    has_pictures = len(row.image_grid_thw) > 0
    logits = (
        tiny()
        .model(
            input_ids=row.input_ids[None],
            position_ids=row.position_ids[:, None],
            pixel_values=row.pixel_values if has_pictures else None,
            image_grid_thw=row.image_grid_thw if has_pictures else None,
        )
        .logits[0, -1]
    )
    logits[sorted(tiny().suppressed_ids)] = -torch.inf
    return float(logits.log_softmax(-1).max())


def one_seed_gives_one_outcome(row: SamplerRow) -> None:
    made = transcripts(2)
    first, again, other = (sample_all(row.make(seed), made, 15) for seed in (5, 5, 6))
    assert [done.ids for done in first] == [done.ids for done in again]
    assert [done.ids for done in first] != [done.ids for done in other]


def repeated_requests_differ(row: SamplerRow) -> None:
    made = [transcript_of(tiny(), 1, turns=1, pictures=1) for _ in range(8)]
    assert len({done.ids for done in sample_all(row.make(0), made, 15)}) > 1


def a_message_begun_goes_on(row: SamplerRow) -> None:
    made = transcripts()
    for transcript in made:
        transcript.append_forced("<reason>I know")
    for transcript, done in zip(made, sample_all(row.make(2), made, 10), strict=True):
        assert transcript.append_completion(done).startswith("<reason>I know")
    for transcript, found in zip(made, scored(made, 1.0), strict=True):
        expanded = transcript.expanded()
        recorded = expanded.behavior_logprobs[expanded.response_mask]
        torch.testing.assert_close(recorded, found, rtol=0, atol=row.tolerance)


def pictures_are_seen(row: SamplerRow) -> None:
    """Two questions that differ in their picture alone have different likelihoods."""
    made = [
        Transcript(tiny(), (Message("user", (picture(number), "What?")),), 200)
        for number in (1, 100)
    ]
    one, other = sample_all(row.make(0), made, 1, 0.0)
    assert abs(one.logprobs[0] - other.logprobs[0]) > 10 * row.tolerance


def loaded_weights_are_used(row: SamplerRow) -> None:
    sampler = row.make(0)
    made = transcripts()
    before = sample_all(sampler, made, 8, 0.0)
    sampler.load_weights(iter(tiny(seed=9).model.state_dict().items()))
    changed = sample_all(sampler, made, 8, 0.0)
    sampler.load_weights(iter(tiny().model.state_dict().items()))
    restored = sample_all(sampler, made, 8, 0.0)
    assert [done.ids for done in before] != [done.ids for done in changed]
    assert [done.ids for done in before] == [done.ids for done in restored]


def a_resumed_sampler_goes_on_as_the_first_would_have(row: SamplerRow) -> None:
    first, second = row.make(1), row.make(2)
    made = transcripts()
    sample_all(first, made, 10)
    state = copy.deepcopy(first.state_dict())
    expected = sample_all(first, made, 10)
    second.load_state_dict(state)
    assert [done.ids for done in sample_all(second, made, 10)] == [done.ids for done in expected]


CHECKS = (
    completions_are_well_formed,
    logprobs_are_those_of_a_forward_pass,
    greedy_takes_the_likeliest_token,
    one_seed_gives_one_outcome,
    repeated_requests_differ,
    a_message_begun_goes_on,
    pictures_are_seen,
    loaded_weights_are_used,
    a_resumed_sampler_goes_on_as_the_first_would_have,
)
