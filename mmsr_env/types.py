"""The values that everything else passes around: frozen, and free of behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

from PIL.Image import Image

Picture: TypeAlias = Image

Block: TypeAlias = "str | Picture"
"""One piece of a message: text, or a picture in its place between texts."""


class Category(StrEnum):
    """FVQA's label of a question: whether it can be answered without a search."""

    SEARCH_REQUIRED = "search_required"
    SEARCH_FREE = "search_free"
    UNKNOWN = "unknown"


class ActionKind(StrEnum):
    """What a model's message asks for."""

    ANSWER = "answer"
    SEARCH_IMAGE = "search_image"
    SEARCH_TEXT = "search_text"
    MALFORMED = "malformed"


class StopReason(StrEnum):
    """Why an episode ended."""

    ANSWERED = "answered"
    MALFORMED = "malformed"  # a turn that asks for nothing legal, under the rule "end"
    TURNS_EXHAUSTED = "turns_exhausted"  # the last turn brought no answer
    CUT_OFF = "cut_off"  # something outside the task stopped it, such as a full context


@dataclass(frozen=True, slots=True)
class Task:
    """One question with its picture and its accepted answers.

    Attributes:
        id: Unique within its task set.
        question: The question as the user asks it.
        image: The picture that the question is about, at full size.
        answers: The gold answer first, then its other accepted forms; at least one.
        category: FVQA's label, where it is known.
        kind: A finer label, such as Atlas's four kinds of question; "" where there is none.
        source: Which data set it comes from.
        metadata: Whatever else the source says of it. The environment never reads it.
    """

    id: str
    question: str
    image: Picture
    answers: tuple[str, ...]
    category: Category = Category.UNKNOWN
    kind: str = ""
    source: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Action:
    """A model's message, understood.

    Attributes:
        kind: What it asks for.
        text: The query or the answer; "" for an image search.
        reason: The reasoning before the action; "" where there is none.
        problem: What is wrong with its form, in words for the model; "" where nothing is.
    """

    kind: ActionKind
    text: str = ""
    reason: str = ""
    problem: str = ""

    @property
    def well_formed(self) -> bool:
        return not self.problem


@dataclass(frozen=True, slots=True)
class ImageQuery:
    """A picture to search with.

    Attributes:
        image: The picture itself.
        task_id: The task it belongs to; recorded results may be found by it.
    """

    image: Picture
    task_id: str = ""


@dataclass(frozen=True, slots=True)
class Hit:
    """One search result.

    Attributes:
        title: The title of the page or picture.
        url: Where it was found.
        text: What it says, or a summary; "" for an image result without text.
        image: A picture to show; None where there is none.
        score: The engine's own measure, higher is better; comparable within one result only.
    """

    title: str
    url: str = ""
    text: str = ""
    image: Picture | None = None
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search gave: hits, best first, or a failure with its cause.

    Attributes:
        hits: The results; may be empty although the search worked.
        ok: False where the search failed.
        cause: A short name of the failure for counting, such as "timeout"; "" where ok.
        detail: One sentence about the failure for people; never shown to the model.
    """

    hits: tuple[Hit, ...] = ()
    ok: bool = True
    cause: str = ""
    detail: str = ""

    @classmethod
    def failed(cls, cause: str, detail: str = "") -> SearchResult:
        return cls(ok=False, cause=cause, detail=detail)


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation: a role and its blocks, in order."""

    role: str
    content: tuple[Block, ...]

    @property
    def text(self) -> str:
        """Its text, without its pictures."""
        return "".join(block for block in self.content if isinstance(block, str))

    @property
    def images(self) -> tuple[Picture, ...]:
        return tuple(block for block in self.content if not isinstance(block, str))


Conversation: TypeAlias = tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Turn:
    """One model message and the reply to it.

    Attributes:
        text: What the model wrote, unchanged.
        action: How it was understood.
        result: The search's result, where one was made.
        reply: What the model saw next; None where the episode ended.
    """

    text: str
    action: Action
    result: SearchResult | None = None
    reply: Message | None = None


@dataclass(frozen=True, slots=True)
class Trajectory:
    """A whole episode, ended.

    Attributes:
        task: The task it is of.
        opening: The first message that the model saw.
        turns: Its turns, in order.
        reward: The reward of the whole episode; it falls due on the last turn.
        reward_parts: What the reward was made of: "score", "penalty", "format".
        stop_reason: Why it ended.
        timings: Seconds by name, such as "search_s"; never part of reward or observation.
    """

    task: Task
    opening: Message
    turns: tuple[Turn, ...]
    reward: float
    reward_parts: Mapping[str, float]
    stop_reason: StopReason
    timings: Mapping[str, float] = field(default_factory=dict)

    @property
    def answer(self) -> str:
        """The last turn's answer; "" where it gave none."""
        last = self.turns[-1].action if self.turns else None
        return last.text if last is not None and last.kind is ActionKind.ANSWER else ""

    @property
    def correct(self) -> bool:
        return self.reward_parts.get("score", 0.0) > 0.0

    @property
    def format_kept(self) -> bool:
        return self.reward_parts.get("format", 0.0) > 0.0

    @property
    def searches(self) -> int:
        return sum(turn.result is not None for turn in self.turns)

    @property
    def failed_searches(self) -> int:
        return sum(turn.result is not None and not turn.result.ok for turn in self.turns)

    @property
    def truncated(self) -> bool:
        """Whether something outside the task stopped it, in Gymnasium's sense of the word."""
        return self.stop_reason is StopReason.CUT_OFF
