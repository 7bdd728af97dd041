"""Conversations as token ids by a model's own chat template, safe from what is written in them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import chain, groupby
from typing import Any

from PIL import Image

from mmsr_env.errors import InvalidSettingError
from mmsr_env.types import Block, Conversation, Message

# In place of what is written and shown, where only the template's own tokens matter.
_TEXT = "x"
_PICTURE = Image.new("RGB", (1, 1))

ASSISTANT = Message("assistant", (_TEXT,))
"""In place of any assistant message, to get at what the template puts after it."""


def special_token_ids(tokenizer: Any) -> dict[str, int]:
    """Every token that only the chat template or the engine may place, by its string."""
    added = tokenizer.added_tokens_decoder
    special = {token.content: index for index, token in added.items() if token.special}
    named = zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True)
    return special | dict(named)


def neutralise(text: str, specials: Collection[str]) -> str:
    """The text with a space after the first character of every special token's string.

    So "<|im_end|>" in a web page reads "< |im_end|>" and is encoded as ordinary text. One of a
    single character becomes a space.
    """
    for special in specials:
        broken = f"{special[0]} {special[1:]}" if special[1:] else " "
        while special in text:  # a replacement may leave an overlapping one behind
            text = text.replace(special, broken)
    return text


class ChatTemplate:
    """Renders and encodes conversations with a tokenizer's chat template.

    Args:
        tokenizer: A Hugging Face tokenizer whose template takes content blocks.
        image_id: The id of the pad that the template places for a picture.

    Raises:
        InvalidSettingError: If the template does not place one pad for a picture, or closes an
            assistant message with no special token.
    """

    def __init__(self, tokenizer: Any, image_id: int) -> None:
        self._tokenizer = tokenizer
        self._image_id = image_id
        self.special_ids = special_token_ids(tokenizer)
        self._ids = frozenset(self.special_ids.values())
        self._skeletons: dict[tuple[Any, ...], list[int]] = {}
        self.end_of_turn_id = self._find_end_of_turn()
        self._check_picture_pad()

    def encode(self, text: str) -> list[int]:
        """The ids of a text, nothing added; strings of special tokens become those."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids

    def encode_plain(self, text: str) -> list[int]:
        """The ids of a text in which strings of special tokens are neutralised."""
        return self.encode(neutralise(text, self.special_ids))

    def render(self, conversation: Conversation, prompt: bool) -> str:
        """The conversation's text.

        Args:
            conversation: Its messages.
            prompt: Whether the opening of an assistant message is added.
        """
        messages = [self._message(message) for message in conversation]
        text: str = self._tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=prompt
        )
        return text

    def opening_ids(self, conversation: Conversation) -> list[int]:
        """The ids of a conversation up to where the assistant writes, one pad per picture."""
        ids = self._opening(conversation)
        self._check(ids, self._opening, conversation)
        return ids

    def reply_ids(self, before: Conversation, message: Message) -> list[int]:
        """The ids from after an assistant's end-of-turn up to where it writes again.

        Args:
            before: The messages before, the last of them `ASSISTANT`.
            message: The message that follows it.
        """
        ids = self._reply((*before, message))
        self._check(ids, self._reply, (*before, message))
        return ids

    def _opening(self, conversation: Conversation) -> list[int]:
        return self.encode(self.render(conversation, prompt=True))

    def _reply(self, conversation: Conversation) -> list[int]:
        whole = self.render(conversation, prompt=True)
        base = self.render(conversation[:-1], prompt=False)
        end_of_turn = self._tokenizer.convert_ids_to_tokens(self.end_of_turn_id)
        shared = base[: base.rindex(end_of_turn) + len(end_of_turn)]
        if not whole.startswith(shared):
            raise InvalidSettingError(
                "the chat template writes earlier turns anew when a message is added, so tokens "
                f"cannot be appended: expected {shared[-80:]!r} to be kept"
            )
        return self.encode(whole[len(shared) :])

    def _message(self, message: Message) -> dict[str, Any]:
        content: list[dict[str, str]] = []
        # Texts that stand side by side are joined first: a special string may be split over two.
        for is_text, blocks in groupby(message.content, key=lambda block: isinstance(block, str)):
            if is_text:
                text = neutralise("".join(map(str, blocks)), self.special_ids)
                content.append({"type": "text", "text": text})
            else:
                content.extend({"type": "image"} for _ in blocks)
        return {"role": message.role, "content": content}

    def _check(
        self, ids: list[int], encode: Callable[[Conversation], list[int]], of: Conversation
    ) -> None:
        """Makes sure that no text in the messages became a special token.

        The special ids must be those of the same messages with nothing written in them.
        """
        form = (encode.__name__, *((message.role, _kinds(message)) for message in of))
        if form not in self._skeletons:
            bare = tuple(Message(message.role, _bare(message)) for message in of)
            self._skeletons[form] = self._special(encode(bare))
        if self._special(ids) != self._skeletons[form]:
            raise InvalidSettingError(
                "the tokenizer makes special tokens out of a message's text although their strings "
                f"were broken up: expected {self._skeletons[form]}, got {self._special(ids)}"
            )

    def _special(self, ids: list[int]) -> list[int]:
        return [index for index in ids if index in self._ids]

    def _find_end_of_turn(self) -> int:
        """The first special id after an assistant's text, which is what the policy stops with."""
        closed = self.render((Message("user", (_TEXT,)), ASSISTANT), prompt=False)
        after = self.encode(closed[closed.rindex(_TEXT) :])
        ends = [index for index in after if index in self._ids]
        if not ends:
            raise InvalidSettingError(
                f"expected a special token after an assistant's text, the template gave {closed!r}"
            )
        return ends[0]

    def _check_picture_pad(self) -> None:
        found = self._opening((Message("user", (_PICTURE, _TEXT)),)).count(self._image_id)
        if found != 1:
            raise InvalidSettingError(
                f"expected the chat template to place one picture pad ({self._image_id}) for a "
                f"picture, it placed {found}"
            )


def _kinds(message: Message) -> tuple[bool, ...]:
    """Which blocks are text, texts that stand side by side counted once."""
    blocks = groupby(message.content, key=lambda block: isinstance(block, str))
    kinds = ([True] if is_text else [False for _ in run] for is_text, run in blocks)
    return tuple(chain.from_iterable(kinds))


def _bare(message: Message) -> tuple[Block, ...]:
    return tuple(_TEXT if is_text else _PICTURE for is_text in _kinds(message))
