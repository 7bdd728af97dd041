"""How a scripted agent writes its messages, and what it finds in those that it is shown."""

from __future__ import annotations

import re
from typing import NamedTuple

from PIL.Image import Image as Picture

from mmsr_env.protocol.grammar import INFORMATION, Grammar
from mmsr_env.protocol.sanitize import sanitize_line
from mmsr_env.types import Action, ActionKind, Conversation, Message

UNKNOWN = "unknown"
"""What an agent answers that found nothing."""
_LONGEST = 300
_RANK = re.compile(r"\d+\. ")
_NUMBERED = re.compile(r"\n(?=\d+\. [^\n]* \(\S*\)(?:\n|\Z))")
_HEADED = re.compile(r"\n(?= [^\n]*: )")


class ImageHit(NamedTuple):
    """An image result as a message shows it."""

    title: str
    image: Picture


class TextHit(NamedTuple):
    """A text result as a message shows it."""

    title: str
    text: str


def write(grammar: Grammar, kind: ActionKind, text: str = "", reason: str = "") -> str:
    """A well-formed message; tags inside the text are defused, and no text is "unknown"."""
    if kind is not ActionKind.SEARCH_IMAGE:
        text = sanitize_line(text, _LONGEST) or UNKNOWN
    return grammar.render(Action(kind, text, reason))


def searches(
    conversation: Conversation, kind: ActionKind, grammar: Grammar
) -> list[tuple[str, Message]]:
    """The agent's own searches of that kind: the words of each, and the reply to it."""
    pairs = zip(conversation[1::2], conversation[2::2], strict=False)
    asked = [(grammar.parse(message.text), reply) for message, reply in pairs]
    return [(action.text, reply) for action, reply in asked if action.kind is kind]


def image_hits(message: Message) -> list[ImageHit]:
    """The image results in a message, best first; none where it brings none.

    A title is the line that follows a picture, without the rank that some prompts give it.
    """
    hits: list[ImageHit] = []
    picture: Picture | None = None
    for block in message.content:
        if not isinstance(block, str):
            picture = block
        elif picture is not None:
            shown = block.partition(INFORMATION[1])[0].strip()
            hits.append(ImageHit(_RANK.sub("", shown.partition("\n")[0], count=1), picture))
            picture = None
    return hits


def text_hits(message: Message) -> list[TextHit]:
    """The text results in a message, best first; none where it brings none.

    Two layouts are understood: a numbered line with title and link above the text, and a line
    that begins with the title and a colon.
    """
    _, found, rest = message.text.partition(INFORMATION[0])
    body = rest.partition(INFORMATION[1])[0]
    if not found:
        return []
    if body.startswith("\n1. "):
        return [_numbered(part) for part in _NUMBERED.split(body) if part]
    if not body.startswith(" "):  # the search brought nothing, and says so
        return []
    return [TextHit(*_headed(part)) for part in _HEADED.split(body) if ": " in part]


def _numbered(part: str) -> TextHit:
    head, _, text = part.partition("\n")
    title = _RANK.sub("", head, count=1).rpartition(" (")[0]
    return TextHit(title, text.strip())


def _headed(part: str) -> tuple[str, str]:
    title, _, text = part.partition(": ")
    return title.strip(), text.strip()
