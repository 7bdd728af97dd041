"""Whether an answer is right: the comparison after normalising, and its variants by name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from mmsr_env.registry import look_up

_ARTICLES = frozenset({"a", "an", "the"})
# A letter that cannot be the end of a longer word: scripts that put no space between words
# (Thai to Khmer, kana, Han) are left out, and Hangul, whose particles follow without one.
_SPACED = r"[^\W\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]"


def normalize_answer(text: str) -> str:
    """Lower case, no punctuation, no articles, single spaces (MMSearch-R1, as SQuAD does).

    For ASCII this is SQuAD's published rule to the letter: punctuation vanishes without
    leaving a space ("U.S." -> "us", "well-known" -> "wellknown", "1,000" -> "1000",
    "$5" -> "5"), and articles go where they are words of their own.

    Beyond ASCII the rule is carried on, where SQuAD's stops: any Unicode punctuation or symbol
    vanishes too ("€5" -> "5", curly quotes, full-width commas), as do invisible format marks;
    compatibility forms become plain (NFKC: "Ｐａｒｉｓ" -> "paris", "10²" -> "102",
    "½" -> "12" like "1/2"). Accents stay.
    """
    return _without_articles(_plain(text))


def exact_match(answer: str, golds: Iterable[str]) -> float:
    """1.0 where the answer equals a gold answer after normalising, else 0.0.

    Where normalising leaves nothing ("A", "&"), as much of it as leaves something is done, so
    that such a gold answer can be given, and an empty answer is never right.
    """
    given = _comparable(answer)
    return float(bool(given) and any(given == _comparable(gold) for gold in golds))


def containment(answer: str, golds: Iterable[str]) -> float:
    """1.0 where the answer contains a gold answer as whole words after normalising, else 0.0.

    In scripts without spaces between words, any place counts.
    """
    given = normalize_answer(answer)
    return float(
        any(_holds(given, normalize_answer(gold)) for gold in golds) or exact_match(answer, golds)
    )


def _holds(text: str, words: str) -> bool:
    pattern = rf"(?<!{_SPACED}){re.escape(words)}(?!{_SPACED})"
    return bool(words) and bool(re.search(pattern, text))


def _comparable(text: str) -> str:
    plain = _plain(text)
    return _without_articles(plain) or plain or " ".join(text.lower().split())


def _plain(text: str) -> str:
    # Accents that stand alone, used as apostrophes, would become a space and a mark by NFKC.
    text = "".join(char for char in text if not _is_mark(char, ("P", "Sk", "Cf")))
    folded = unicodedata.normalize("NFKC", text).lower()
    return " ".join("".join(char for char in folded if not _is_mark(char, ("P", "S"))).split())


def _is_mark(char: str, categories: tuple[str, ...]) -> bool:
    return unicodedata.category(char).startswith(categories)


def _without_articles(text: str) -> str:
    return " ".join(word for word in text.split() if word not in _ARTICLES)


Scorer = Callable[[str, Iterable[str]], float]
SCORERS: Mapping[str, Scorer] = MappingProxyType({"exact": exact_match, "contains": containment})


def get_scorer(name: str) -> Scorer:
    """The comparison of that name.

    Raises:
        UnknownNameError: There is none; the message names the nearest.
    """
    return look_up("scorer", name, SCORERS)
