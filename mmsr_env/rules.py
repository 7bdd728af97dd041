"""What an episode allows: its limits, and the order of actions that keeps the format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from mmsr_env.errors import InvalidSettingError
from mmsr_env.types import ActionKind


class OnMalformed(StrEnum):
    """What a turn that asks for nothing legal leads to."""

    END = "end"  # the episode ends, as in the published code
    FEEDBACK = "feedback"  # the model is told what was wrong and may try again


@dataclass(frozen=True, slots=True)
class Rules:
    """The limits of an episode; the defaults are MMSearch-R1's (arXiv 2506.20670).

    Attributes:
        max_turns: Model messages in one episode.
        max_searches: Searches in one episode.
        image_search_first_turn_only: Whether the picture may be searched in turn one alone.
        results: Hits wanted from each search.
        on_malformed: What follows a turn that asks for nothing legal: "end" or "feedback".
        max_result_chars: A hit's text is cut to so many characters.
    """

    max_turns: int = 3
    max_searches: int = 2
    image_search_first_turn_only: bool = True
    results: int = 5
    on_malformed: OnMalformed | str = OnMalformed.END
    max_result_chars: int = 4000

    def __post_init__(self) -> None:
        for name, least in (("max_turns", 1), ("max_searches", 0), ("results", 1)):
            if getattr(self, name) < least:
                raise InvalidSettingError(
                    f"rules.{name} must be {least} or more, got {getattr(self, name)!r}"
                )
        if self.max_result_chars < 1:
            raise InvalidSettingError(
                f"rules.max_result_chars must be 1 or more, got {self.max_result_chars!r}"
            )
        if self.on_malformed not in tuple(OnMalformed):
            raise InvalidSettingError(
                f"rules.on_malformed must be 'end' or 'feedback', got {self.on_malformed!r}"
            )

    @property
    def texts_in_order(self) -> int:
        """How many text searches keep the format: one of the searches is the picture's."""
        return max(1, self.max_searches - 1)

    def in_order(self, kinds: Sequence[ActionKind]) -> bool:
        """Whether a trajectory's actions come in an order that keeps the format.

        With the paper's limits that is one of four: answer; image, answer; text, answer; image,
        text, answer. Each search that the rules allow beyond the paper's two may be one more
        text search; the picture is searched at most once.

        Args:
            kinds: Every turn's action. That searches come when they are allowed is not looked
                at again: `Episode` has made those that did not malformed.
        """
        *before, last = kinds or (ActionKind.MALFORMED,)
        images, texts = map(before.count, (ActionKind.SEARCH_IMAGE, ActionKind.SEARCH_TEXT))
        searches_alone = images + texts == len(before)
        in_bounds = images <= 1 and texts <= self.texts_in_order
        return last is ActionKind.ANSWER and searches_alone and in_bounds
