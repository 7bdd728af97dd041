"""An agent that reads: rules that use only what the conversation shows."""

from __future__ import annotations

import re

from mmsr_env.agents.comparing import likest
from mmsr_env.agents.looking import look
from mmsr_env.agents.questions import FactQuestion, fact_asked, question_of
from mmsr_env.agents.writing import UNKNOWN, TextHit, image_hits, searches, text_hits, write
from mmsr_env.protocol.grammar import Grammar
from mmsr_env.types import ActionKind, Conversation, Message


class Reader:
    """Answers Atlas's questions by its rules; what it reaches can be reached in the world.

    What the picture shows it looks up by the picture, and takes the title of the result that
    looks most like it, since the first one may be another. What has a name it looks up by the
    name, and reads the page whose title is that name, since others speak of it too. What is
    visible it looks at. It knows nothing by heart, so it looks familiar things up as well.

    Args:
        grammar: How actions are written.
    """

    def __init__(self, grammar: Grammar) -> None:
        self._grammar = grammar

    async def respond(self, conversation: Conversation) -> str:
        """The next search that the question needs, or what was read."""
        question = question_of(conversation[0])
        asked = fact_asked(question)
        if asked is None:
            return self._answer(look(conversation[0].images[0], question))
        if read := searches(conversation, ActionKind.SEARCH_TEXT, self._grammar):
            return self._answer(_read(*read[-1], asked))
        if not asked.name:
            made = searches(conversation, ActionKind.SEARCH_IMAGE, self._grammar)
            if not made:
                return write(self._grammar, ActionKind.SEARCH_IMAGE, reason="What is this?")
            asked = asked._replace(name=_name_shown(conversation[0], made[-1][1]))
        if not asked.name:
            return self._answer(UNKNOWN)
        query = f"{asked.name} {asked.attribute}"
        return write(self._grammar, ActionKind.SEARCH_TEXT, query, "What is written of it?")

    def _answer(self, text: str) -> str:
        return write(self._grammar, ActionKind.ANSWER, text, "That is all that can be found.")


def _name_shown(opening: Message, reply: Message) -> str:
    """The title of the result that looks most like the picture; "" where there is none."""
    hits = image_hits(reply)
    if not hits:
        return ""
    return hits[likest(opening.images[0], [hit.image for hit in hits])].title


def _read(query: str, reply: Message, asked: FactQuestion) -> str:
    """The fact that was looked up, by a query of name and attribute; or "unknown"."""
    name = query.removesuffix(f" {asked.attribute}")
    return stated_fact(text_hits(reply), FactQuestion(asked.attribute, name)) or UNKNOWN


def stated_fact(hits: list[TextHit], asked: FactQuestion) -> str:
    """The value that the page of that very title states; "" where none does."""
    stated = re.compile(rf"\bIts {re.escape(asked.attribute)} is ([^.\n]+)\.")
    for hit in hits:
        if hit.title == asked.name and (found := stated.search(hit.text)):
            return found[1]
    return ""
