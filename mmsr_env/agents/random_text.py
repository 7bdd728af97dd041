"""An agent that writes anything: legal actions, broken ones, and text that is neither."""

from __future__ import annotations

import zlib

import numpy as np

from mmsr_env.protocol.grammar import Grammar
from mmsr_env.types import Action, ActionKind, Conversation, Task

_ACTIONS = (ActionKind.ANSWER, ActionKind.SEARCH_IMAGE, ActionKind.SEARCH_TEXT)
_UNICODE = 0x110000
_SURROGATES = range(0xD800, 0xE000)


class RandomText:
    """Draws each message: half are legal, a quarter are legal ones with a piece cut out of
    them or a tag put in, and a quarter are any characters of Unicode.

    Args:
        task: Its id, with the seed, decides what is drawn, so that other tasks and their order
            change nothing.
        grammar: How legal actions are written.
        seed: Another seed draws other messages.
    """

    def __init__(self, task: Task, grammar: Grammar, seed: int) -> None:
        self._grammar = grammar
        self._rng = np.random.default_rng([seed, zlib.crc32(task.id.encode())])

    async def respond(self, conversation: Conversation) -> str:
        """Some text; its words come from the last message."""
        sort = self._rng.integers(4)
        if sort == 0:
            return self._anything()
        text = self._grammar.render(self._action(conversation[-1].text))
        return self._broken(text) if sort == 1 else text

    def _action(self, text: str) -> Action:
        kind = _ACTIONS[int(self._rng.integers(len(_ACTIONS)))]
        words = [word for word in text.split() if word.isalnum()] or ["nothing"]
        reason = self._words(words)
        return Action(kind, "" if kind is ActionKind.SEARCH_IMAGE else self._words(words), reason)

    def _words(self, words: list[str]) -> str:
        return " ".join(words[i] for i in self._rng.integers(len(words), size=3))

    def _broken(self, text: str) -> str:
        start, end = sorted(int(i) for i in self._rng.integers(len(text) + 1, size=2))
        tags = ("", *self._grammar.tags)
        return text[:start] + tags[int(self._rng.integers(len(tags)))] + text[end:]

    def _anything(self) -> str:
        codes = self._rng.integers(_UNICODE, size=int(self._rng.integers(40)))
        return "".join(chr(code) for code in codes.tolist() if code not in _SURROGATES)
