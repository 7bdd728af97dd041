"""How an action is written: text to `Action` and back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

from mmsr_env.errors import InvalidSettingError
from mmsr_env.registry import look_up
from mmsr_env.types import Action, ActionKind


class Grammar(Protocol):
    """One way of writing actions. `parse` accepts any text and never raises."""

    @property
    def name(self) -> str: ...

    @property
    def tags(self) -> tuple[str, ...]:
        """Every literal that has a meaning of its own in this grammar."""
        ...

    def parse(self, text: str) -> Action: ...

    def render(self, action: Action) -> str: ...


REASON = ("<reason>", "</reason>")
TEXT_SEARCH = ("<text_search>", "</text_search>")
ANSWER = ("<answer>", "</answer>")
IMAGE_SEARCH = "<search><img></search>"
INFORMATION = ("<information>", "</information>")
TAGS = (*REASON, "<search>", "<img>", "</search>", *TEXT_SEARCH, *ANSWER, *INFORMATION)
_TAG = re.compile("|".join(map(re.escape, TAGS)))
_IMAGE_SEARCH_END = re.compile(r"<search>\s*<img>\s*</search>\Z")


class MMSearchR1Grammar:
    """The grammar of MMSearch-R1 (arXiv 2506.20670).

    A message is `<reason>...</reason>` and then one action, which is the last thing in it:
    `<search><img></search>`, `<text_search>query</text_search>` or `<answer>...</answer>`.
    White space around and inside them is accepted, line breaks too, and words between the
    reasoning and the action, as in the published check of the format. What ends the message
    decides the action; anything else about its form is a problem that costs the format score.
    """

    name = "mmsearch_r1"
    tags = TAGS

    def parse(self, text: str) -> Action:
        body = text.strip()
        if image_search := _IMAGE_SEARCH_END.search(body):
            return _with_reason(ActionKind.SEARCH_IMAGE, "", body[: image_search.start()])
        for kind, (start, end) in _ARGUMENT_TAGS.items():
            if body.endswith(end):
                head, found, argument = body[: -len(end)].rpartition(start)
                if not found:
                    return _malformed(f"{end} has no {start} before it")
                return _with_argument(kind, argument.strip(), head)
        return _malformed(
            f"the message must end with {IMAGE_SEARCH}, {TEXT_SEARCH[1]} or {ANSWER[1]}"
        )

    def render(self, action: Action) -> str:
        """The text of an action, which `parse` reads as that action, white space at its ends aside.

        Raises:
            InvalidSettingError: The action is malformed, lacks its query or answer, or contains
                tags, so that no text would be read as it.
        """
        wanted = Action(action.kind, action.text.strip(), action.reason.strip())
        start, end = _ARGUMENT_TAGS.get(action.kind, ("", IMAGE_SEARCH))
        text = f"{REASON[0]}{wanted.reason}{REASON[1]}{start}{wanted.text}{end}"
        if action.problem or self.parse(text) != wanted:
            raise InvalidSettingError(f"expected a well-formed action without tags, got {action}")
        return text


_ARGUMENT_TAGS = {ActionKind.SEARCH_TEXT: TEXT_SEARCH, ActionKind.ANSWER: ANSWER}


def _malformed(problem: str) -> Action:
    return Action(ActionKind.MALFORMED, problem=problem)


def _with_argument(kind: ActionKind, argument: str, head: str) -> Action:
    if kind is ActionKind.SEARCH_TEXT and not argument:
        return _malformed("the search query is empty")
    action = _with_reason(kind, argument, head)
    if action.problem:
        return action
    if not argument:
        return Action(kind, argument, action.reason, problem="the answer is empty")
    if tag := _TAG.search(argument):
        return Action(kind, argument, action.reason, problem=f"{tag[0]} is out of place")
    return action


def _with_reason(kind: ActionKind, argument: str, head: str) -> Action:
    """The action with the reasoning that `head`, the text before it, begins with."""
    head = head.strip()
    start, end = REASON
    inner, found, between = head.removeprefix(start).partition(end)
    if not head.startswith(start) or not found:
        return Action(kind, argument, problem=f"the message must begin with {start}...{end}")
    if tag := _TAG.search(inner + between):
        return Action(kind, argument, inner.strip(), problem=f"{tag[0]} is out of place")
    return Action(kind, argument, inner.strip())


GRAMMARS: Mapping[str, Grammar] = MappingProxyType({"mmsearch_r1": MMSearchR1Grammar()})


def get_grammar(name: str) -> Grammar:
    """The grammar of that name.

    Raises:
        UnknownNameError: There is none; the message names the nearest.
    """
    return look_up("grammar", name, GRAMMARS)
