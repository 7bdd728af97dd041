"""The reward of a trajectory: a penalised outcome and a share for the format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from mmsr_env.errors import InvalidSettingError
from mmsr_env.scoring import get_scorer


class Reward(NamedTuple):
    """A reward and the parts it was made of."""

    value: float
    parts: dict[str, float]


@dataclass(frozen=True, slots=True)
class RewardRule:
    """reward = (1 - a) * score * penalty + a * format (MMSearch-R1, arXiv 2506.20670).

    Attributes:
        format_weight: a, the share of the format; in [0, 1].
        search_penalty: p; a right answer that took a search counts 1 - p of one that took
            none; in [0, 1].
        per_search: Whether p falls due for every search, (1 - p) ** searches, or once.
        match: The comparison of answers: "exact" or "contains".
        warmup_steps: Over so many training steps p moves linearly from -p (searching is
            rewarded) to p; 0 leaves it at p throughout.
    """

    format_weight: float = 0.1
    search_penalty: float = 0.1
    per_search: bool = False
    match: str = "exact"
    warmup_steps: int = 0

    def __post_init__(self) -> None:
        get_scorer(self.match)
        for name in ("format_weight", "search_penalty"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise InvalidSettingError(
                    f"reward.{name} must lie in [0, 1], got {getattr(self, name)!r}"
                )
        if self.warmup_steps < 0:
            raise InvalidSettingError(
                f"reward.warmup_steps must be 0 or more, got {self.warmup_steps!r}"
            )

    def penalty_at(self, step: int | None) -> float:
        """p at a training step; at its full value where the step is None."""
        if step is None or step >= self.warmup_steps:
            return self.search_penalty
        return self.search_penalty * (2.0 * max(step, 0) / self.warmup_steps - 1.0)

    def __call__(
        self,
        answer: str,
        golds: tuple[str, ...],
        searches: int,
        format_kept: bool,
        step: int | None = None,
    ) -> Reward:
        """The reward of one trajectory.

        Args:
            answer: The last turn's answer; "" where it gave none.
            golds: The gold answer and its other accepted forms.
            searches: How many searches were made, failed ones among them.
            format_kept: Whether every turn was well formed and in a legal order.
            step: The training step, for the warm-up of the penalty.
        """
        score = get_scorer(self.match)(answer, golds)
        due = searches if self.per_search else min(searches, 1)
        penalty = (1.0 - self.penalty_at(step)) ** due
        kept = float(format_kept)
        value = (1.0 - self.format_weight) * score * penalty + self.format_weight * kept
        return Reward(value, {"score": score, "penalty": penalty, "format": kept})
