"""Scripted demonstrations of Atlas episodes: what a warm start imitates.

The teacher knows what a question needs, and still searches too often on purpose, so that a
model trained on it has every action in hand and reinforcement has something to remove. It never
states what the conversation does not hold: an episode whose searches did not bring what the
answer needs is not used.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mmsr_env.atlas.facts import ATTRIBUTES
from mmsr_env.atlas.questions import QuestionKind
from mmsr_env.episode import Episode
from mmsr_env.search.base import SearchBackend, SearchRequest, perform
from mmsr_env.types import Action, ActionKind, Conversation, Message, SearchResult, Task

_IMAGE, _TEXT = ActionKind.SEARCH_IMAGE, ActionKind.SEARCH_TEXT
_DIAGNOSES = {
    QuestionKind.PICTURE_FACT: "unknown picture",
    QuestionKind.NAMED_FACT: "unknown name",
    QuestionKind.VISIBLE: "plainly visible",
    QuestionKind.FAMILIAR: "well known",
}
_NEEDED = {
    QuestionKind.PICTURE_FACT: (_IMAGE, _TEXT),
    QuestionKind.NAMED_FACT: (_TEXT,),
    QuestionKind.VISIBLE: (),
    QuestionKind.FAMILIAR: (),
}
_EXCESSIVE: dict[QuestionKind, tuple[tuple[ActionKind, ...], ...]] = {
    QuestionKind.PICTURE_FACT: ((_IMAGE, _TEXT),),
    QuestionKind.NAMED_FACT: ((_IMAGE, _TEXT),),
    # Words alone cannot say which emblem is meant.
    QuestionKind.VISIBLE: ((_IMAGE, _TEXT), (_IMAGE, _TEXT), (_IMAGE,)),
    QuestionKind.FAMILIAR: ((_IMAGE, _TEXT), (_IMAGE, _TEXT), (_IMAGE,), (_TEXT,)),
}
_PICTURE_FOUND, _PAGE_FOUND = "picture found", "page found"
REASONS = (*_DIAGNOSES.values(), _PICTURE_FOUND, _PAGE_FOUND)
"""Every reason that the teacher gives."""
_OPENING_TAG = re.compile(r"(<reason>|<text_search>|<answer>)")


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A conversation to imitate.

    Attributes:
        opening: The messages before the assistant's first.
        turns: Each assistant message's text, and the reply to it; None after the last.
    """

    opening: Conversation
    turns: tuple[tuple[str, Message | None], ...]


@dataclass(frozen=True, slots=True)
class Teacher:
    """Plays episodes of Atlas tasks from a script.

    Attributes:
        search: Where its searches go.
        episode: Makes the episode of a task.
        overuse: How often it searches more than the question needs, in [0, 1].
    """

    search: SearchBackend
    episode: Callable[[Task], Episode]
    overuse: float = 0.6

    async def demonstrate(self, task: Task, rng: np.random.Generator) -> Dialogue | None:
        """One demonstration, or None where the searches did not bring what it needs."""
        episode, kind = self.episode(task), QuestionKind(task.kind)
        plans = _EXCESSIVE[kind] if rng.random() < self.overuse else (_NEEDED[kind],)
        turns: list[tuple[str, Message | None]] = []
        result, shown, reason = SearchResult(), episode.opening, _DIAGNOSES[kind]
        for action in plans[rng.integers(len(plans))]:
            query = _query(task, result) if action is _TEXT else ""
            if query is None:
                return None
            written = write(episode, Action(action, query, reason))
            wanted = episode.submit(written)
            if not isinstance(wanted, SearchRequest):
                return None  # the episode's rules leave no room for this plan
            result = await perform(self.search, wanted)
            shown = episode.deliver(result)
            turns.append((written, shown))
            reason = _found(kind, action, reason)
        if not _supported(task, kind, result, shown):
            return None
        answer = Action(ActionKind.ANSWER, task.answers[0], reason)
        return Dialogue((episode.opening,), (*turns, (write(episode, answer), None)))


def write(episode: Episode, action: Action) -> str:
    """An action in the episode's grammar, words set off from tags by a space.

    A byte-level tokenizer writes a word after a space otherwise than a word after a tag; with
    the space a name has the same tokens wherever it stands, which makes it easy to copy.
    """
    return _OPENING_TAG.sub(r"\1 ", episode.grammar.render(action))


def _query(task: Task, result: SearchResult) -> str | None:
    """Words to search with: what is meant, and what is asked of it; None where unknown."""
    asked = next((name for name in ATTRIBUTES if f" {name} " in task.question), "emblem")
    entity, titles = task.metadata["entity"], [hit.title for hit in result.hits]
    if entity in task.question or entity in titles:
        return f"{entity} {asked}"
    if asked == "emblem" and titles:
        return f"{titles[0]} {asked}"
    return None


def _found(kind: QuestionKind, action: ActionKind, reason: str) -> str:
    """The reason after a search: facts come from what was found, the rest stays as it was."""
    if kind is QuestionKind.PICTURE_FACT and action is _IMAGE:
        return _PICTURE_FOUND
    if kind in (QuestionKind.PICTURE_FACT, QuestionKind.NAMED_FACT) and action is _TEXT:
        return _PAGE_FOUND
    return reason


def _supported(task: Task, kind: QuestionKind, result: SearchResult, shown: Message) -> bool:
    """Whether the last result holds the answer and shows it, where a search is to bring it."""
    if not _NEEDED[kind]:
        return True
    entity, answer = task.metadata["entity"], task.answers[0]
    found = any(hit.title == entity and answer in hit.text for hit in result.hits)
    return found and answer in shown.text  # the rules may cut off what was found
