"""Fixed workflows: the actions are as given, whatever the policy writes."""

from __future__ import annotations

import asyncio

import pytest
from small_runs import (
    ANSWER,
    IMAGE,
    PLAY,
    SEARCH,
    TASKS,
    ScriptedSampler,
    beginner,
    collector_of,
    untrained,
)

from algos.collect import Rollout
from algos.workflows import DIRECT, ON_DEMAND, RAG, get_workflow
from mmsr_env.errors import UnknownNameError
from mmsr_env.types import ActionKind, StopReason

EXPECTED = {
    RAG: [ActionKind.SEARCH_IMAGE, ActionKind.SEARCH_TEXT, ActionKind.ANSWER],
    DIRECT: [ActionKind.ANSWER],
}
GARBAGE = (
    "",
    "no tags at all",
    ANSWER,
    IMAGE,
    "</reason></reason>",
    "<reason> a<answer> b</reason> c <answer>",
    "<text_search></text_search>",
    "</text_search></answer>",
    " otter</answer> and more",
    "<|im_end|><|image_pad|>",
    "\n\n \t",
)


def played(workflow, sampler=None, vlm=None, count: int = 6, max_tokens: int = 400):
    vlm = untrained() if vlm is None else vlm
    collector = collector_of(vlm, sampler, SEARCH, PLAY, max_tokens, 12)
    return asyncio.run(collector.collect(TASKS[:count], temperature=0.0, workflow=workflow))


def actions(rollout: Rollout) -> list[ActionKind]:
    return [turn.action.kind for turn in rollout.trajectory.turns]


@pytest.mark.parametrize("workflow", [RAG, DIRECT])
def test_an_untrained_model_does_exactly_what_the_workflow_says(workflow) -> None:
    for rollout in played(workflow, count=12):
        assert actions(rollout) == EXPECTED[workflow]
        assert rollout.trajectory.searches == len(workflow) - 1
        assert rollout.trajectory.stop_reason is StopReason.ANSWERED


@pytest.mark.parametrize("workflow", [RAG, DIRECT])
@pytest.mark.parametrize("text", GARBAGE)
@pytest.mark.parametrize("ends", [True, False])
def test_whatever_is_written_the_actions_are_those(workflow, text: str, ends: bool) -> None:
    vlm = untrained()
    for rollout in played(workflow, ScriptedSampler(vlm, text, ends=ends), vlm, count=2):
        assert actions(rollout) == EXPECTED[workflow]


def test_the_reasoning_is_the_models_and_its_own_action_is_not() -> None:
    vlm = untrained()
    sampler = ScriptedSampler(vlm, "<reason> I know</reason><answer> otter</answer>")
    (rollout,) = played(RAG, sampler, vlm, count=1)
    texts = [turn.text for turn in rollout.trajectory.turns]
    assert texts[0] == "<reason> I know</reason><search><img></search>"
    assert all(text.startswith("<reason> I know</reason><") for text in texts)


def test_words_that_are_closed_are_kept_as_sampled() -> None:
    vlm = untrained()
    said = " Kim Rul  beast</text_search>"
    sampler = ScriptedSampler(vlm, said)
    (rollout,) = played(RAG, sampler, vlm, count=1)
    turn = rollout.trajectory.turns[1]
    assert turn.action.text == "Kim Rul  beast"
    seen = rollout.transcript.expanded()
    sampled = vlm.tokenizer.decode(seen.input_ids[seen.response_mask])
    assert sampled == f"{said}<|im_end|>"  # and nothing of what was forced


@pytest.mark.parametrize(
    ("said", "query"),
    [
        (" Kim Rul beast", "Kim Rul beast"),
        (" Kim Rul<answer> otter</answer>", "Kim Rul"),
        (" Kim Rul</text_search> more", "Kim Rul"),
        ("</text_search>", None),
        ("<answer> otter</answer>", None),
    ],
)
def test_a_query_that_is_not_closed_is_closed_and_an_empty_one_is_the_question(said, query) -> None:
    vlm = untrained()
    (rollout,) = played(RAG, ScriptedSampler(vlm, said), vlm, count=1)
    turn = rollout.trajectory.turns[1]
    assert turn.action.text == (TASKS[0].question if query is None else query)
    assert turn.text.endswith(f"<text_search>{turn.action.text}</text_search>")
    assert turn.result is not None


def test_the_trainer_sees_what_the_episode_saw() -> None:
    vlm = untrained()
    for text in GARBAGE:
        for rollout in played(RAG, ScriptedSampler(vlm, text, ends=False), vlm, count=1):
            whole = vlm.tokenizer.decode(rollout.transcript.engine_ids)
            place = 0
            for turn in rollout.trajectory.turns:
                place = whole.index(turn.text, place) + len(turn.text)


@pytest.mark.parametrize("text", ["", ANSWER, "words without end " * 20])
@pytest.mark.parametrize("ends", [True, False])
def test_no_length_of_context_ends_the_run(text: str, ends: bool) -> None:
    vlm = untrained()
    for max_tokens in range(16, 260, 3):
        sampler = ScriptedSampler(vlm, text, ends=ends)
        (rollout,) = played(RAG, sampler, vlm, count=1, max_tokens=max_tokens)
        done, wanted = actions(rollout), EXPECTED[RAG]
        assert done == wanted[: len(done)]
        cut = rollout.trajectory.stop_reason is StopReason.CUT_OFF
        assert cut == (len(done) < 3)
        assert rollout.transcript.room_tokens >= 0


def test_after_the_workflow_the_policy_decides() -> None:
    vlm = untrained()
    sampler = ScriptedSampler(vlm, IMAGE, ANSWER)
    (rollout,) = played(RAG[:1], sampler, vlm, count=1)
    assert actions(rollout) == [ActionKind.SEARCH_IMAGE, ActionKind.ANSWER]


def test_a_model_that_keeps_the_form_keeps_it_under_a_workflow() -> None:
    rollouts = played(RAG, vlm=beginner(), count=12)
    assert all(actions(rollout) == EXPECTED[RAG] for rollout in rollouts)
    assert sum(rollout.trajectory.format_kept for rollout in rollouts) >= 6


def test_workflows_are_found_by_name() -> None:
    assert get_workflow("rag") == RAG
    assert get_workflow("direct") == DIRECT
    assert get_workflow("on_demand") == ON_DEMAND == ()
    with pytest.raises(UnknownNameError, match="Did you mean 'rag'"):
        get_workflow("rga")
