"""The state machine of one episode. It does no I/O, reads no clock and draws no random number.

episode = Episode(task)
message = episode.opening                  # what the model sees first
match episode.submit(model(message)):
    case SearchRequest() as wanted:        # carry it out, then
        message = episode.deliver(result)  # what the model sees next
    case Message() as message: ...         # told what was wrong, it may try again
    case Trajectory() as ended: ...        # with its reward
"""

from __future__ import annotations

from typing import TypeAlias

from mmsr_env.errors import EpisodeOrderError
from mmsr_env.protocol.grammar import Grammar, MMSearchR1Grammar
from mmsr_env.protocol.prompts import MMSEARCH_R1, Prompts
from mmsr_env.reward import RewardRule
from mmsr_env.rules import OnMalformed, Rules
from mmsr_env.search.base import SearchRequest
from mmsr_env.types import (
    Action,
    ActionKind,
    Conversation,
    ImageQuery,
    Message,
    SearchResult,
    StopReason,
    Task,
    Trajectory,
    Turn,
)

__all__ = ["Episode", "OnMalformed", "Outcome", "Rules"]

Outcome: TypeAlias = SearchRequest | Message | Trajectory


class Episode:
    """One task being worked on, from the opening message to the reward.

    A trajectory keeps the format where every turn is well formed and the order is one of four:
    answer; image, answer; text, answer; image, text, answer (arXiv 2506.20670). `Rules.in_order`
    says what that comes to under rules that allow more than the paper's.

    Args:
        task: The question.
        rules: Limits.
        grammar: How actions are written.
        prompts: What the model is told.
        reward: What a trajectory is worth.
        step: The training step, for the reward's warm-up; None outside training.
    """

    def __init__(
        self,
        task: Task,
        rules: Rules | None = None,
        grammar: Grammar | None = None,
        prompts: Prompts = MMSEARCH_R1,
        reward: RewardRule | None = None,
        step: int | None = None,
    ) -> None:
        self.task = task
        self.rules = rules or Rules()
        self.grammar = grammar or MMSearchR1Grammar()
        self.prompts = prompts
        self.reward = reward or RewardRule()
        self.step = step
        searches = min(self.rules.max_searches, self.rules.max_turns - 1)
        self.opening = prompts.opening(task, self.rules.max_turns, searches)
        self.trajectory: Trajectory | None = None
        self._turns: list[Turn] = []
        self._searches = 0
        self._pending: tuple[str, Action] | None = None

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The turns that are over."""
        return tuple(self._turns)

    @property
    def turns_left(self) -> int:
        return self.rules.max_turns - len(self._turns) - (self._pending is not None)

    @property
    def searches_left(self) -> int:
        return self.rules.max_searches - self._searches

    @property
    def image_search_allowed(self) -> bool:
        """Whether the next turn may search with the picture."""
        first = not self._turns and self._pending is None
        in_time = first or not self.rules.image_search_first_turn_only
        return in_time and self.searches_left > 0 and self.turns_left > 1

    @property
    def conversation(self) -> Conversation:
        """Every message so far, the model's own included."""
        messages = [self.opening]
        for turn in self._turns:
            messages.append(Message("assistant", (turn.text,)))
            if turn.reply is not None:
                messages.append(turn.reply)
        if self._pending is not None:
            messages.append(Message("assistant", (self._pending[0],)))
        return tuple(messages)

    def submit(self, text: str) -> Outcome:
        """Take the model's message; say what it leads to.

        Raises:
            EpisodeOrderError: The episode has ended, or a search result is awaited.
        """
        self._expect(pending=False, doing="submit")
        action = self._judged(self.grammar.parse(text))
        if action.kind is ActionKind.ANSWER:
            return self._end(text, action, StopReason.ANSWERED)
        if action.kind is ActionKind.MALFORMED:
            return self._malformed(text, action)
        self._pending = (text, action)
        self._searches += 1
        if action.kind is ActionKind.SEARCH_IMAGE:
            query = ImageQuery(self.task.image, self.task.id)
            return SearchRequest(self.rules.results, self.task.question, image=query)
        return SearchRequest(self.rules.results, self.task.question, query=action.text)

    def deliver(self, result: SearchResult) -> Message:
        """Take the result of the search that `submit` asked for; say what the model sees next.

        Raises:
            EpisodeOrderError: No search is awaited.
        """
        self._expect(pending=True, doing="deliver")
        assert self._pending is not None
        text, action = self._pending
        image = action.kind is ActionKind.SEARCH_IMAGE
        template = self.prompts.image_results if image else self.prompts.text_results
        shown = SearchResult(result.hits[: self.rules.results] if result.ok else (), result.ok)
        left = (self.turns_left, self._texts_left(), self.rules.max_result_chars)
        reply = template(shown, self.task, *left)
        self._pending = None
        self._turns.append(Turn(text, action, result, reply))
        return reply

    def cut_off(self) -> Trajectory:
        """End the episode for a reason outside the task, such as a context that is full.

        Raises:
            EpisodeOrderError: It has ended already.
        """
        if self.trajectory is not None:
            raise EpisodeOrderError("cut_off: the episode has ended already")
        if self._pending is not None:
            self._turns.append(Turn(*self._pending))
            self._pending = None
            self._searches -= 1  # its result never came, so it was not made
        return self._close(StopReason.CUT_OFF)

    def _kinds(self) -> list[ActionKind]:
        kinds = [turn.action.kind for turn in self._turns]
        return kinds if self._pending is None else [*kinds, self._pending[1].kind]

    def _texts_left(self) -> int:
        """How many text searches may still follow without breaking the order."""
        texts = self.rules.texts_in_order - self._kinds().count(ActionKind.SEARCH_TEXT)
        return max(0, min(texts, self.searches_left, self.turns_left - 1))

    def _judged(self, action: Action) -> Action:
        """The action, or a malformed one in its place if the rules do not allow it now."""
        if action.kind not in (ActionKind.SEARCH_IMAGE, ActionKind.SEARCH_TEXT):
            return action
        if self.turns_left <= 1:
            problem = "this is the last turn, so it must be an answer"
        elif self.searches_left <= 0:
            problem = "no searches are left"
        elif action.kind is ActionKind.SEARCH_IMAGE and not self.image_search_allowed:
            problem = "the picture can be searched in the first turn only"
        else:
            return action
        return Action(ActionKind.MALFORMED, action.text, action.reason, problem)

    def _malformed(self, text: str, action: Action) -> Message | Trajectory:
        if self.turns_left <= 1:
            return self._end(text, action, StopReason.TURNS_EXHAUSTED)
        if self.rules.on_malformed == OnMalformed.END:
            return self._end(text, action, StopReason.MALFORMED)
        turns = self.turns_left - 1
        searches = min(self.searches_left, turns - 1)
        reply = self.prompts.correction(action.problem, self.task, turns, searches)
        self._turns.append(Turn(text, action, reply=reply))
        return reply

    def _end(self, text: str, action: Action, reason: StopReason) -> Trajectory:
        self._turns.append(Turn(text, action))
        return self._close(reason)

    def _close(self, reason: StopReason) -> Trajectory:
        answered = reason is StopReason.ANSWERED
        reward = self.reward(
            answer=self._turns[-1].action.text if answered else "",
            golds=self.task.answers,
            searches=self._searches,
            format_kept=answered
            and self.rules.in_order(self._kinds())
            and all(turn.action.well_formed for turn in self._turns),
            step=self.step,
        )
        self.trajectory = Trajectory(
            self.task, self.opening, tuple(self._turns), reward.value, reward.parts, reason
        )
        return self.trajectory

    def _expect(self, pending: bool, doing: str) -> None:
        if self.trajectory is not None:
            raise EpisodeOrderError(f"{doing}: the episode has ended; start a new one")
        if pending != (self._pending is not None):
            wanted = "a search result (deliver)" if self._pending else "a message (submit)"
            raise EpisodeOrderError(f"{doing}: the episode waits for {wanted}")
