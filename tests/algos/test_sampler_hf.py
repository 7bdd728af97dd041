"""The sampler in this process: the shared suite, and how it batches, repeats and fails."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from sampler_conformance import CHECKS, SamplerRow, sample_all, transcripts
from tiny_models import picture, tiny, transcript_of

from algos.samplers.base import Completion, Sampler
from algos.samplers.decoding import Decoding, Row
from algos.samplers.hf import HFSampler
from algos.tokens import Transcript
from mmsr_env.errors import InvalidSettingError, UnknownNameError
from mmsr_env.types import Message


def hf_sampler(seed: int, **options: Any) -> HFSampler:
    return HFSampler(replace(tiny(), model=copy.deepcopy(tiny().model)), seed=seed, **options)


def watched_rows(sampler: HFSampler) -> list[int]:
    """A list that grows by the number of rows of each forward pass."""
    rows: list[int] = []
    sampler._vlm.model.model.language_model.register_forward_hook(
        lambda module, args, output: rows.append(output.last_hidden_state.shape[0])
    )
    return rows


ROWS = (
    SamplerRow("hf", hf_sampler),
    SamplerRow("hf, one at a time", lambda seed: hf_sampler(seed, max_batch=1)),
    SamplerRow("hf, small batches", lambda seed: hf_sampler(seed, max_batch=5)),
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_keeps_to_the_seam(check: Callable[[SamplerRow], None], row: SamplerRow) -> None:
    check(row)


def test_is_a_sampler() -> None:
    sampler: Sampler = hf_sampler(0)
    assert sampler


def test_what_shares_a_batch_does_not_matter() -> None:
    made = transcripts(3)
    whole, alone = (sample_all(hf_sampler(0, max_batch=n), made, 15) for n in (64, 1))
    assert [done.ids for done in whole] == [done.ids for done in alone]
    for one, other in zip(whole, alone, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)


def test_greedy_requests_draw_no_random_numbers() -> None:
    one, other = hf_sampler(1), hf_sampler(1)
    sample_all(one, transcripts(), 5, temperature=0.0)
    assert sample_all(one, transcripts(), 10) == sample_all(other, transcripts(), 10)


def test_tokens_come_as_often_as_their_probabilities_say() -> None:
    """A chi-squared test over the likeliest tokens; the seed is fixed, so it is no gamble."""
    transcript, count = transcript_of(tiny(), 1, turns=0, pictures=1), 20_000
    request = transcript.request(1, 0.5)

    async def ask() -> list[Completion]:
        sampler = hf_sampler(0, max_batch=5000)
        return await asyncio.gather(*(sampler.sample(request) for _ in range(count)))

    done = asyncio.run(ask())
    chances = {
        c.ids[0]: torch.tensor(c.logprobs[0], dtype=torch.float64).exp().item() for c in done
    }
    common = [index for index, chance in chances.items() if chance * count > 20]
    drawn = [sum(c.ids[0] == index for c in done) for index in common]
    expected = [chances[index] * count for index in common]
    drawn.append(count - sum(drawn))
    expected.append(count - sum(expected))
    statistic = sum((a - b) ** 2 / b for a, b in zip(drawn, expected, strict=True))
    freedom = len(expected) - 1
    assert freedom > 20
    assert statistic < freedom + 4 * (2 * freedom) ** 0.5  # four deviations


def test_global_randomness_is_left_alone() -> None:
    state = torch.random.get_rng_state()
    sample_all(hf_sampler(0), transcripts(), 5)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_waiting_requests_share_batches_and_equal_prompts_are_read_once() -> None:
    sampler = hf_sampler(0)
    rows = watched_rows(sampler)
    group = [transcript_of(tiny(), 1, turns=1, pictures=2) for _ in range(8)]
    single = transcript_of(tiny(), 2, turns=1, pictures=2)
    sample_all(sampler, [*group, single], 6)
    assert rows[0] == 2  # two prompts are read
    assert rows[1] > 2  # nine completions go on
    assert rows == [2, *sorted(rows[1:], reverse=True)]
    assert rows[-1] < rows[1]  # finished rows leave the batch


def test_requests_that_come_a_little_later_share_a_batch() -> None:
    sampler = hf_sampler(0)
    rows = watched_rows(sampler)

    async def later(number: int) -> Completion:
        for _ in range(3 * number):  # an episode takes some turns of the loop for itself
            await asyncio.sleep(0)
        request = transcript_of(tiny(), number, turns=0, pictures=1).request(1)
        return await sampler.sample(request)

    async def play() -> None:
        await asyncio.gather(*(later(number) for number in range(5)))

    asyncio.run(play())
    assert rows == [5]


@pytest.mark.parametrize("uniform", [0.0, 1.0 - 2.0**-53])
@torch.no_grad()
def test_the_ends_of_the_distribution_are_not_suppressed(uniform: float) -> None:
    """The least and the greatest random numbers fall beside suppressed ids at both ends."""
    vocabulary = tiny().model.lm_head.weight.shape[0]
    suppressed = {*range(5), *range(vocabulary - 5, vocabulary)}
    request = transcript_of(tiny(), 1, turns=0, pictures=0).request(4)
    row = Row(request, [], torch.full((4,), uniform, dtype=torch.float64))
    done = Decoding(tiny(), torch.tensor(sorted(suppressed)), [row]).run()[0]
    assert done.ids == ((5,) * 4 if uniform == 0.0 else (vocabulary - 6,) * 4)


def test_prompts_that_differ_in_a_picture_are_told_apart() -> None:
    made = [
        Transcript(tiny(), (Message("user", (picture(number), "What?")),), 200)
        for number in (1, 100, 1)
    ]
    together = sample_all(hf_sampler(0), made, 2, 0.0)
    alone = [sample_all(hf_sampler(0), [transcript], 2, 0.0)[0] for transcript in made]
    for one, other in zip(together, alone, strict=True):
        assert one.logprobs[0] == pytest.approx(other.logprobs[0], abs=1e-4)


def test_requests_that_come_while_a_batch_runs_are_answered() -> None:
    async def episode(sampler: HFSampler, number: int) -> int:
        transcript = transcript_of(tiny(), number, turns=0, pictures=1)
        for _ in range(3):
            done = await sampler.sample(transcript.request(4 + number))
            transcript.append_completion(done)
            await asyncio.sleep(0.001 * number)  # as long as a search takes
            assert transcript.append_reply(Message("user", ("Go on.",)))
        return len(transcript.engine_ids)

    async def play() -> list[int]:
        sampler = hf_sampler(0, max_batch=3)
        return await asyncio.gather(*(episode(sampler, number) for number in range(7)))

    assert min(asyncio.run(play())) > 30


def test_training_mode_comes_back() -> None:
    sampler = hf_sampler(0)
    model = sampler._vlm.model
    model.train()
    model.activation_checkpointing_enable()
    sample_all(sampler, transcripts(), 3)
    assert model.training
    assert all(weight.grad is None for weight in model.parameters())


def test_a_cancelled_request_does_not_stop_the_others() -> None:
    async def play() -> Completion:
        sampler = hf_sampler(0)
        rows = watched_rows(sampler)
        request = transcript_of(tiny(), 1, turns=0, pictures=1).request(5)
        waits = [asyncio.create_task(sampler.sample(request)) for _ in range(3)]
        await asyncio.sleep(0)
        waits[1].cancel()
        done = await asyncio.gather(*waits, return_exceptions=True)
        assert isinstance(done[1], asyncio.CancelledError)
        assert isinstance(done[0], Completion)
        assert isinstance(done[2], Completion)
        assert max(rows) == 2  # nothing is sampled for who is gone
        return await sampler.sample(request)

    assert asyncio.run(play()).ids


def test_a_failure_reaches_everyone_who_waits() -> None:
    async def play() -> list[Any]:
        sampler = hf_sampler(0, max_batch=2)
        request = transcript_of(tiny(), 1, turns=0, pictures=1).request(5)
        broken = replace(request, input_ids=(*request.input_ids, 10**6))
        requests = [request, broken, request, request]
        waits = (sampler.sample(r) for r in requests)
        done = await asyncio.gather(*waits, return_exceptions=True)
        return [*done, await sampler.sample(request)]

    done = asyncio.run(play())
    failed = [isinstance(outcome, IndexError) for outcome in done]
    assert failed[1]
    assert not all(failed)
    assert not failed[-1]


def test_a_stopped_event_loop_leaves_the_sampler_usable() -> None:
    sampler = hf_sampler(0)
    request = transcript_of(tiny(), 1, turns=0, pictures=1).request(5)

    async def stop_early() -> None:
        waiting = asyncio.create_task(sampler.sample(request))
        await asyncio.sleep(0)
        assert not waiting.done()

    asyncio.run(stop_early())
    assert asyncio.run(sampler.sample(request)).ids


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens"),
        ({"temperature": -1.0}, "temperature"),
        ({"images": ()}, "pad"),
    ],
)
def test_requests_without_sense_are_refused(change: dict[str, Any], match: str) -> None:
    request = replace(transcript_of(tiny(), 1, turns=0, pictures=1).request(5), **change)
    with pytest.raises(InvalidSettingError, match=match):
        asyncio.run(hf_sampler(0).sample(request))


def test_settings_without_sense_are_refused() -> None:
    with pytest.raises(InvalidSettingError, match="max_batch"):
        HFSampler(tiny(), max_batch=0)


def test_a_weight_that_the_model_does_not_have_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="lm_haed"):
        hf_sampler(0).load_weights(iter([("lm_haed.weight", torch.zeros(1))]))
