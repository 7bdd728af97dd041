"""Agents with a fixed plan: the oracle, and the two that do not choose when to search."""

from __future__ import annotations

import re

from mmsr_env.agents.questions import fact_asked, question_of
from mmsr_env.agents.writing import UNKNOWN, TextHit, image_hits, searches, text_hits, write
from mmsr_env.protocol.grammar import Grammar
from mmsr_env.rules import Rules
from mmsr_env.types import ActionKind, Category, Conversation, Task

_NEEDS: dict[str, tuple[ActionKind, ...]] = {
    "picture_fact": (ActionKind.SEARCH_IMAGE, ActionKind.SEARCH_TEXT),
    "named_fact": (ActionKind.SEARCH_TEXT,),
    "visible": (),
    "familiar": (),
}
_BY_CATEGORY: dict[Category, tuple[ActionKind, ...]] = {
    Category.SEARCH_REQUIRED: (ActionKind.SEARCH_IMAGE, ActionKind.SEARCH_TEXT),
    Category.SEARCH_FREE: (),
    Category.UNKNOWN: (),
}
_WORD = re.compile(r"\w+")


class Oracle:
    """Makes the searches that the task's kind needs, then gives the answer, which it is told.

    A task of no known kind gets those of its category. Where the rules allow fewer searches,
    the last ones are left out.
    """

    def __init__(self, task: Task, grammar: Grammar, rules: Rules) -> None:
        self._task = task
        self._grammar = grammar
        needed = _NEEDS.get(task.kind, _BY_CATEGORY[task.category])
        self._searches = needed[: min(rules.max_searches, rules.max_turns - 1)]

    async def respond(self, conversation: Conversation) -> str:
        """The next step of the plan."""
        step = len(conversation) // 2
        if step >= len(self._searches):
            answer = self._task.answers[0]
            return write(self._grammar, ActionKind.ANSWER, answer, "Nothing more is needed.")
        kind = self._searches[step]
        query = "" if kind is ActionKind.SEARCH_IMAGE else self._query()
        return write(self._grammar, kind, query, "This has to be looked up.")

    def _query(self) -> str:
        asked = fact_asked(self._task.question)
        name = self._task.metadata.get("entity", asked.name if asked else "")
        return f"{name} {asked.attribute}" if asked and name else self._task.question


class NeverSearch:
    """Says at once that it does not know."""

    def __init__(self, grammar: Grammar) -> None:
        self._grammar = grammar

    async def respond(self, conversation: Conversation) -> str:  # noqa: ARG002
        """The answer "unknown", whatever is asked."""
        return write(self._grammar, ActionKind.ANSWER, UNKNOWN, "It will not be looked up.")


class AlwaysSearch:
    """Searches the picture, then the first title with the question, then takes a word.

    The answer is the last word of the sentence, in any text result, that shares most words
    of more than three letters with the question: a plain retrieval workflow, which looks at
    neither picture nor title.
    """

    def __init__(self, grammar: Grammar) -> None:
        self._grammar = grammar

    async def respond(self, conversation: Conversation) -> str:
        """The next step of the workflow."""
        if len(conversation) == 1:
            return write(self._grammar, ActionKind.SEARCH_IMAGE, reason="First the picture.")
        question = question_of(conversation[0])
        if len(conversation) == 3:
            query = " ".join([*self._titles(conversation)[:1], question])
            return write(self._grammar, ActionKind.SEARCH_TEXT, query, "Then the words.")
        made = searches(conversation, ActionKind.SEARCH_TEXT, self._grammar)
        hits = [hit for _, reply in made for hit in text_hits(reply)]
        return write(self._grammar, ActionKind.ANSWER, _last_word(hits, question), "Then a guess.")

    def _titles(self, conversation: Conversation) -> list[str]:
        made = searches(conversation, ActionKind.SEARCH_IMAGE, self._grammar)
        return [hit.title for _, reply in made for hit in image_hits(reply)]


def _last_word(hits: list[TextHit], question: str) -> str:
    """Of equal sentences the one of the better hit, and there the later one."""
    wanted = _long_words(question)
    best, most = "", 0
    for hit in hits:
        for sentence in reversed(re.split(r"(?<=[.!?])\s+", hit.text)):
            if (shared := len(wanted & _long_words(sentence))) > most:
                best, most = sentence, shared
    words = _WORD.findall(best)
    return words[-1] if words else UNKNOWN


def _long_words(text: str) -> set[str]:
    return {word for word in _WORD.findall(text.lower()) if len(word) > 3}
