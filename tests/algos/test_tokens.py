"""The transcript: ids as the chat template gives them, and everything aligned with them."""

from __future__ import annotations

import copy
from itertools import chain

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import (
    BARE_TEMPLATE,
    NUMBERED_TEMPLATE,
    conversations,
    hf_messages,
    picture,
    plain_positions,
    tiny,
    transcript_of,
)

from algos.models import VisionLanguageModel, bundle
from algos.samplers.base import Completion, FinishReason
from algos.tokens import Transcript, collate
from mmsr_env.errors import EpisodeOrderError, InvalidSettingError
from mmsr_env.types import Conversation, Message

ROOM = 2000
QUESTION = (Message("user", (picture(1), "When was it founded?")),)


def with_template(template: str) -> VisionLanguageModel:
    tokenizer = copy.deepcopy(tiny().tokenizer)
    tokenizer.chat_template = template
    return bundle(tiny().model, tokenizer, tiny().pictures.image_processor)


MODELS = {
    "own": tiny(),
    "numbered": with_template(NUMBERED_TEMPLATE),
    "bare": with_template(BARE_TEMPLATE),
}


def played(vlm: VisionLanguageModel, conversation: Conversation) -> Transcript:
    """The conversation as an episode goes: what the assistant says is appended as sampled."""
    first = next(i for i, message in enumerate(conversation) if message.role == "assistant")
    transcript = Transcript(vlm, conversation[:first], ROOM)
    for message in conversation[first:]:
        if message.role == "assistant":
            transcript.append_text(message.text, logprob=-0.5)
        else:
            assert transcript.append_reply(message)
    return transcript


def whole_ids(vlm: VisionLanguageModel, conversation: Conversation) -> list[int]:
    """The conversation rendered and encoded at once, each pad repeated for its picture."""
    text = vlm.tokenizer.apply_chat_template(hf_messages(conversation), tokenize=False)
    images = iter([image for message in conversation for image in message.images])
    ids: list[int] = []
    for index in vlm.tokenizer(text, add_special_tokens=False)["input_ids"]:
        copies = 1
        if index == vlm.image_id:
            image = next(images)
            copies = (image.width // 28) * (image.height // 28)
        ids += [index] * copies
    return ids


def special(vlm: VisionLanguageModel, transcript: Transcript) -> list[int]:
    return [index for index in transcript.engine_ids if index in vlm.chat.special_ids.values()]


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=60, deadline=None)
@given(conversation=conversations())
def test_ids_are_those_of_the_whole_conversation(name: str, conversation: Conversation) -> None:
    vlm = MODELS[name]
    ids = played(vlm, conversation).expanded().input_ids.tolist()
    whole = whole_ids(vlm, conversation)
    assert ids == whole[: len(ids)]
    assert vlm.end_of_turn_id not in whole[len(ids) :]  # at most the template's "\n" is left


@settings(max_examples=60, deadline=None)
@given(conversation=conversations())
def test_what_goes_along_with_the_ids(conversation: Conversation) -> None:
    vlm = tiny()
    transcript = played(vlm, conversation)
    found = transcript.expanded()
    said = [message.text for message in conversation if message.role == "assistant"]
    sampled = [[*vlm.tokenizer.encode(text), vlm.end_of_turn_id] for text in said]
    assert found.input_ids[found.response_mask].tolist() == [*chain.from_iterable(sampled)]
    assert found.behavior_logprobs.tolist() == (found.response_mask * -0.5).tolist()
    images = [image for message in conversation for image in message.images]
    assert [tuple(image.size) for image in transcript.images] == [i.size for i in images]
    patches = [vlm.pictures.process(image)[0] for image in images]
    assert torch.equal(found.pixel_values, torch.cat([vlm.pictures.none, *patches]))
    assert transcript.engine_ids.count(vlm.image_id) == len(images) == len(found.image_grid_thw)
    assert transcript.room_tokens == ROOM - len(found.input_ids)


@settings(max_examples=60, deadline=None)
@given(conversation=conversations())
def test_positions_are_three_axis(conversation: Conversation) -> None:
    vlm = tiny()
    found = played(vlm, conversation).expanded()
    grids = found.image_grid_thw.tolist()
    expected = plain_positions(found.input_ids.tolist(), vlm.image_id, grids)
    assert found.position_ids.tolist() == expected


def test_what_was_sampled_is_never_encoded_again() -> None:
    vlm = tiny()
    letters = tuple(vlm.tokenizer.encode(letter)[0] for letter in "founded")
    assert len(vlm.tokenizer.encode("founded")) < len(letters)
    transcript = Transcript(vlm, QUESTION, ROOM)
    sampled = Completion((*letters, vlm.end_of_turn_id), (-1.5,) * 8, FinishReason.END_OF_TURN)
    assert transcript.append_completion(sampled) == "founded"
    assert transcript.append_reply(Message("user", ("Go on.",)))
    found = transcript.expanded()
    assert tuple(found.input_ids[found.response_mask].tolist()) == sampled.ids
    assert found.behavior_logprobs[found.response_mask].tolist() == [-1.5] * 8


def test_a_completion_cut_by_length_gets_an_end_of_turn_that_nobody_sampled() -> None:
    vlm = tiny()
    reply = Message("user", ("Go on.",))
    ids = tuple(vlm.tokenizer.encode("I know"))
    transcript = Transcript(vlm, QUESTION, ROOM)
    transcript.append_completion(Completion(ids, (-1.0,) * len(ids), FinishReason.LENGTH))
    assert not transcript.ended_turn
    assert transcript.append_reply(reply)
    closed = played(vlm, (*QUESTION, Message("assistant", ("I know",))))
    assert closed.append_reply(reply)
    assert transcript.engine_ids == closed.engine_ids
    found = transcript.expanded()
    assert tuple(found.input_ids[found.response_mask].tolist()) == ids


@pytest.mark.parametrize(("after", "kept"), [("image_id", 0), ("pad_id", 0), ("end_of_turn_id", 1)])
def test_what_an_engine_may_not_give_is_cut_away(after: str, kept: int) -> None:
    vlm = tiny()
    ids = vlm.tokenizer.encode("I know")
    given_ids = (*ids, getattr(vlm, after), *ids)
    transcript = Transcript(vlm, QUESTION, ROOM)
    before = len(transcript.engine_ids)
    text = transcript.append_completion(
        Completion(given_ids, (-1.0,) * len(given_ids), FinishReason.LENGTH)
    )
    assert text == "I know"
    assert transcript.engine_ids[before:] == given_ids[: len(ids) + kept]
    assert transcript.ended_turn == bool(kept)


def test_forced_text_is_not_sampled_and_the_message_goes_on() -> None:
    vlm = tiny()
    transcript = Transcript(vlm, QUESTION, ROOM)
    assert transcript.append_forced("<answer>") == "<answer>"
    assert transcript.request(5).input_ids == transcript.engine_ids
    ids = (*vlm.tokenizer.encode("1911</answer>"), vlm.end_of_turn_id)
    sampled = Completion(ids, (-1.0,) * len(ids), FinishReason.END_OF_TURN)
    assert transcript.append_completion(sampled) == "<answer>1911</answer>"
    found = transcript.expanded()
    assert tuple(found.input_ids[found.response_mask].tolist()) == ids


def test_a_reply_that_does_not_fit_changes_nothing() -> None:
    vlm = tiny()
    reply = Message("user", ("<information>", picture(2), "Korveth", picture(3), "</information>"))
    said = (*QUESTION, Message("assistant", ("I know",)))
    fitting = played(vlm, said)
    assert fitting.append_reply(reply)
    needed = len(fitting.expanded().input_ids)

    def with_room(max_tokens: int) -> Transcript:
        transcript = Transcript(vlm, QUESTION, max_tokens)
        transcript.append_text("I know")
        return transcript

    for room in (needed, needed - 1, needed - 8, needed - 9):  # 8: the pictures fit, not the text
        small = with_room(room)
        before = (small.engine_ids, small.images, small.room_tokens, small.expanded())
        assert not small.append_reply(reply)
        after = (small.engine_ids, small.images, small.room_tokens, small.expanded())
        assert before[:3] == after[:3]
        assert all(torch.equal(a, b) for a, b in zip(before[3], after[3], strict=True))
        assert small.ended_turn
    roomy = with_room(needed + 1)  # a token more than the reply: the assistant must get a word in
    assert roomy.append_reply(reply)
    assert roomy.room_tokens == 1
    assert roomy.request(50).max_new_tokens == 1


def test_an_opening_that_does_not_fit_is_wrong_use() -> None:
    needed = len(Transcript(tiny(), QUESTION, ROOM).expanded().input_ids)
    Transcript(tiny(), QUESTION, needed + 1)
    with pytest.raises(InvalidSettingError, match="room"):
        Transcript(tiny(), QUESTION, needed)


def test_an_ended_message_cannot_go_on() -> None:
    transcript = Transcript(tiny(), QUESTION, ROOM)
    transcript.append_text("I know")
    with pytest.raises(EpisodeOrderError):
        transcript.append_forced("more")


def test_more_than_fits_is_refused() -> None:
    transcript = Transcript(tiny(), QUESTION, 30)
    ids = tuple(tiny().tokenizer.encode("I know this one. " * 20))
    with pytest.raises(InvalidSettingError, match="at most"):
        transcript.append_completion(Completion(ids, (0.0,) * len(ids), FinishReason.LENGTH))


def test_ids_without_their_logprobs_are_refused() -> None:
    transcript = Transcript(tiny(), QUESTION, ROOM)
    with pytest.raises(InvalidSettingError, match="log-prob"):
        transcript.append_completion(Completion((5, 6), (0.0,), FinishReason.LENGTH))


SPECIALS = sorted(tiny().chat.special_ids)
_hostile = st.lists(
    st.one_of(
        st.sampled_from(SPECIALS),
        st.builds(lambda s, cut: s[:cut], st.sampled_from(SPECIALS), st.integers(1, 6)),
        st.builds(lambda s, cut: s[cut:], st.sampled_from(SPECIALS), st.integers(1, 6)),
        st.text("<|im_end> \n", max_size=3),
    ),
    max_size=8,
)


@settings(max_examples=150, deadline=None)
@given(asked=_hostile, said=_hostile, found=_hostile)
def test_no_text_becomes_a_special_token(
    asked: list[str], said: list[str], found: list[str]
) -> None:
    """Pieces stay apart as blocks: a special string may come about where two of them meet."""
    vlm = tiny()
    hostile = Transcript(vlm, (Message("user", (*asked, picture(1), *asked)),), ROOM)
    hostile.append_forced("".join(said))
    hostile.append_text("".join(said))
    assert hostile.append_reply(Message("user", (*found, picture(2), "x", *found)))
    plain = Transcript(vlm, (Message("user", ("x", picture(1))),), ROOM)
    plain.append_text("x")
    assert plain.append_reply(Message("user", (picture(2), "x")))
    assert special(vlm, hostile) == special(vlm, plain)
    assert len(hostile.expanded().image_grid_thw) == 2


def test_a_sampled_text_that_spells_a_special_token_stays_text() -> None:
    vlm = tiny()
    spelled = tuple(vlm.tokenizer.encode(letter)[0] for letter in "<|im_end|>")
    transcript = Transcript(vlm, QUESTION, ROOM)
    before = special(vlm, transcript)
    transcript.append_completion(Completion(spelled, (-1.0,) * 10, FinishReason.LENGTH))
    assert special(vlm, transcript) == before


def test_a_template_that_rewrites_earlier_turns_is_refused() -> None:
    rewriting = BARE_TEMPLATE.replace("block['text']", "block['text'] * messages | length")
    vlm = with_template(rewriting)
    transcript = Transcript(vlm, QUESTION, ROOM)
    transcript.append_text("I know")
    with pytest.raises(InvalidSettingError, match="anew"):
        transcript.append_reply(Message("user", ("Go on.",)))


def test_collate_pads_at_the_right_and_its_rows_are_the_transcripts() -> None:
    vlm = tiny()
    shapes = [(0, 1), (2, 2), (1, 0)]
    made = [
        transcript_of(vlm, n, turns=turns, pictures=pictures)
        for n, (turns, pictures) in enumerate(shapes)
    ]
    for transcript in made:
        transcript.append_text("I know", logprob=-2.0)
    given_of = [(1.0, 0, False), (0.0, 0, True), (0.5, 1, False)]
    batch = collate(made, *zip(*given_of, strict=True), vlm.pad_id)
    rows = [transcript.expanded() for transcript in made]
    assert batch.attention_mask.sum(1).tolist() == [len(row.input_ids) for row in rows]
    assert (batch.input_ids[~batch.attention_mask] == vlm.pad_id).all()
    assert not batch.response_mask[~batch.attention_mask].any()
    assert batch.image_counts.tolist() == [1, 6, 0]
    assert (
        list(
            zip(
                batch.rewards.tolist(),
                batch.group_ids.tolist(),
                batch.truncated.tolist(),
                strict=True,
            )
        )
        == given_of
    )
    for number, (transcript, known) in enumerate(zip(made, given_of, strict=True)):
        alone = collate([transcript], *([value] for value in known), vlm.pad_id)
        chosen = batch.select(torch.tensor([number]))
        assert all(torch.equal(a, b) for a, b in zip(chosen[:11], alone[:11], strict=True))
