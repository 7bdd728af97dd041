"""A small model, random conversations and plain-Python oracles that several tests share."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from hypothesis import strategies as st
from PIL import Image
from PIL.Image import Image as Picture

from algos.models import VisionLanguageModel
from algos.tiny import PROTOCOL_TAGS, make_tiny
from algos.tokens import Transcript
from mmsr_env.types import Conversation, Message

TEXTS = (
    "The lighthouse of Korveth was built in 1873 by Anna Teel.",
    "What is the harbour of this emblem? When was it founded?",
    "I know this one. It was founded in 1911. I should search for it.",
)

NUMBERED_TEMPLATE = (
    "{% set seen = namespace(count=0) %}"
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}"
    "{{ '<|im_start|>system\n' }}Be helpful.{{ '<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% for block in message['content'] %}{% if block['type'] == 'image' %}"
    "{% set seen.count = seen.count + 1 %}Picture {{ seen.count }}: "
    "<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ block['text'] }}{% endif %}{% endfor %}{{ '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""Says more than the tiny model's own: a default system prompt, and pictures are counted."""

BARE_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}{{ '<|im_start|>' }}{% else %}[{% endif %}"
    "{% for block in message['content'] %}{% if block['type'] == 'image' %}"
    "<|vision_start|><|image_pad|>{% else %}{{ block['text'] }}{% endif %}{% endfor %}"
    "{% if message['role'] == 'assistant' %}{{ '<|im_end|>' }}{% else %}]{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>' }}{% endif %}"
)
"""Nothing follows an end of turn, and only the assistant's messages have one."""


@cache
def tiny(seed: int = 0) -> VisionLanguageModel:
    """A small model whose end of turn is likely now and then. Do not change it."""
    vlm = make_tiny(TEXTS * 3, PROTOCOL_TAGS, vocab_size=320, seed=seed)
    with torch.no_grad():
        vlm.model.lm_head.weight[vlm.end_of_turn_id] *= 4.0
    return vlm


def picture(number: int, width: int = 56, height: int = 56) -> Picture:
    """A picture of its own for each number."""
    made = Image.new("RGB", (width, height), (number * 37 % 256, number * 91 % 256, number % 256))
    made.putpixel((0, 0), (255, number % 256, 0))
    return made


def hf_messages(conversation: Conversation) -> list[dict[str, object]]:
    """A conversation in the form that Hugging Face's templates take."""
    return [
        {
            "role": message.role,
            "content": [
                {"type": "text", "text": block} if isinstance(block, str) else {"type": "image"}
                for block in message.content
            ],
        }
        for message in conversation
    ]


def plain_positions(
    ids: Sequence[int], image_id: int, grids: Sequence[Sequence[int]]
) -> list[list[int]]:
    """Three-axis rotary positions of Qwen2-VL (arXiv 2409.12191, section 2.1), for pictures.

    A text token has one number on all axes. A picture's tokens share one time; its rows and
    columns count on from there; the text after it starts past the largest.
    """
    axes: list[list[int]] = [[], [], []]
    start, index, remaining = 0, 0, list(grids)
    while index < len(ids):
        if ids[index] != image_id:
            for axis in axes:
                axis.append(start)
            start, index = start + 1, index + 1
            continue
        _, rows, columns = (remaining[0][0], remaining[0][1] // 2, remaining[0][2] // 2)
        remaining.pop(0)
        for row in range(rows):
            for column in range(columns):
                for axis, offset in zip(axes, (0, row, column), strict=True):
                    axis.append(start + offset)
        start, index = start + max(rows, columns), index + rows * columns
    return axes


def transcript_of(
    vlm: VisionLanguageModel, number: int, *, turns: int, pictures: int, max_tokens: int = 400
) -> Transcript:
    """An episode's transcript that stands where the assistant is to write."""
    shown = [picture(number + index, 28 + 28 * (index % 2)) for index in range(pictures)]
    question = "When was it founded? " * (1 + number % 3)
    transcript = Transcript(vlm, (Message("user", (*shown, question)),), max_tokens)
    for turn in range(turns):
        transcript.append_forced(
            f"<reason>I should search {number}.</reason><search><img></search>"
        )
        found = ("<information>", *shown, f" Korveth {turn}</information>")
        assert transcript.append_reply(Message("user", found))
    return transcript


_words = st.text("aeKt 19.?\n<>|é日", max_size=12)
_blocks = st.one_of(
    _words, st.builds(picture, st.integers(0, 3), st.sampled_from([28, 56]), st.just(28))
)
_given = st.lists(_blocks, max_size=4).map(tuple)
_said = st.builds(lambda first, rest: first + rest, st.sampled_from(["<reason>", "I"]), _words)


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    """A user message, then assistant and user messages in turn, ending with an assistant's."""
    system = [Message("system", ("Be brief.",))] if draw(st.booleans()) else []
    messages = [*system, Message("user", draw(_given))]
    for _ in range(draw(st.integers(0, 2))):
        messages += [Message("assistant", (draw(_said),)), Message("user", draw(_given))]
    return (*messages, Message("assistant", (draw(_said),)))
