"""The spaces that Gymnasium lacks: any text up to a length, and pictures of any size."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from gymnasium.spaces import Space

from mmsr_env.errors import InvalidSettingError
from mmsr_env.pictures import Pixels
from mmsr_env.protocol.grammar import get_grammar
from mmsr_env.types import Action, ActionKind

MAX_CHARS = 1_000_000
MAX_SIDE = 1 << 20
_WORDS = "the a of which what river ship red star elm 1889 Ōsaka Zürich 東京 где 🙂".split()
_ODD = ("", " ", "\n", "\t", "\x00", "\ud800", "\u202e", "e\u0301", "<", "</", "<|im_end|>")
_SAMPLED_SIDE = 32
_LEGAL = (ActionKind.ANSWER, ActionKind.SEARCH_IMAGE, ActionKind.SEARCH_TEXT)


class Utterance(Space[str]):
    """Any text up to a length: empty, in any language, lone surrogates included.

    Gymnasium's `Text` admits listed characters only, and listing all of Unicode takes seconds
    and megabytes. Samples are what models write: about half are legal messages, the others
    break the form in some way, down to noise.

    Args:
        max_length: The greatest length, in characters.
        grammar: The name of the grammar that samples are written in.
        seed: Seeds the samples.
    """

    def __init__(
        self,
        max_length: int = MAX_CHARS,
        grammar: str = "mmsearch_r1",
        seed: int | np.random.Generator | None = None,
    ) -> None:
        if max_length < 0:
            raise InvalidSettingError(f"max_length must be 0 or more, got {max_length!r}")
        get_grammar(grammar)
        self.max_length = max_length
        self.grammar = grammar
        super().__init__(None, None, seed)

    @property
    def is_np_flattenable(self) -> bool:
        return False

    def contains(self, x: Any) -> bool:
        return isinstance(x, str) and len(x) <= self.max_length

    def sample(self, mask: Any | None = None, probability: Any | None = None) -> str:
        """A message; the same seed gives the same ones.

        Raises:
            InvalidSettingError: A mask or probability is given; neither means anything here.
        """
        _refuse_masks(mask, probability)
        rng = self.np_random
        text = self._legal(rng) if rng.random() < 0.5 else self._noise(rng)
        return text[: self.max_length]

    def __repr__(self) -> str:
        return f"Utterance(max_length={self.max_length}, grammar={self.grammar!r})"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Utterance)
            and self.max_length == other.max_length
            and self.grammar == other.grammar
        )

    def _legal(self, rng: np.random.Generator) -> str:
        kind = _LEGAL[int(rng.integers(len(_LEGAL)))]
        text = "" if kind is ActionKind.SEARCH_IMAGE else _phrase(rng)
        return get_grammar(self.grammar).render(Action(kind, text, reason=_phrase(rng)))

    def _noise(self, rng: np.random.Generator) -> str:
        """Words, tags and odd characters in any order; often nothing that could be an action."""
        pieces = (*_WORDS, *_ODD, *get_grammar(self.grammar).tags)
        count = int(rng.integers(0, 12))
        return " ".join(pieces[int(i)] for i in rng.integers(len(pieces), size=count))


class Picture(Space[Pixels]):
    """RGB pictures of any height and width, as uint8 arrays [H, W, 3].

    Args:
        max_side: The greatest height and width, in pixels.
        seed: Seeds the samples, which are small pictures of noise.
    """

    def __init__(
        self, max_side: int = MAX_SIDE, seed: int | np.random.Generator | None = None
    ) -> None:
        if max_side < 1:
            raise InvalidSettingError(f"max_side must be 1 or more, got {max_side!r}")
        self.max_side = max_side
        super().__init__(None, np.uint8, seed)

    @property
    def is_np_flattenable(self) -> bool:
        return False

    def contains(self, x: Any) -> bool:
        if not isinstance(x, np.ndarray) or x.dtype != np.uint8 or x.ndim != 3:
            return False
        height, width, channels = x.shape
        return bool(
            channels == 3 and 1 <= min(height, width) <= max(height, width) <= self.max_side
        )

    def sample(self, mask: Any | None = None, probability: Any | None = None) -> Pixels:
        """A small picture of noise; the same seed gives the same ones.

        Raises:
            InvalidSettingError: A mask or probability is given; neither means anything here.
        """
        _refuse_masks(mask, probability)
        most = min(_SAMPLED_SIDE, self.max_side)
        height, width = self.np_random.integers(1, most + 1, size=2)
        return self.np_random.integers(0, 256, size=(height, width, 3), dtype=np.uint8)

    def to_jsonable(self, sample_n: Iterable[Pixels]) -> list[Any]:
        return [sample.tolist() for sample in sample_n]

    def from_jsonable(self, sample_n: list[Any]) -> list[Pixels]:
        return [np.array(sample, dtype=np.uint8) for sample in sample_n]

    def __repr__(self) -> str:
        return f"Picture(max_side={self.max_side})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Picture) and self.max_side == other.max_side


def _phrase(rng: np.random.Generator) -> str:
    return " ".join(_WORDS[int(i)] for i in rng.integers(len(_WORDS), size=rng.integers(1, 7)))


def _refuse_masks(mask: Any | None, probability: Any | None) -> None:
    if mask is not None or probability is not None:
        raise InvalidSettingError("expected no mask and no probability: samples take neither")
