"""What a text hit shows of its page: the few sentences that have most to do with the search."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection

from mmsr_env.search.local.words import words

MAX_SENTENCE = 400
"""Characters after which a sentence is cut at a space, for pages without full stops."""

# A full stop after three letters or more, so that "St. John's" stays whole.
_ENDS = re.compile(r"(?<=\w{3}[.!?])\s+|(?<=[.!?][\"'”’)])\s+|(?<=[。！？])|\s*\n\s*")
_PIECES = re.compile(rf"\S.{{0,{MAX_SENTENCE - 1}}}(?=\s|$)|\S{{{MAX_SENTENCE}}}", re.DOTALL)


_FUNCTION_WORDS = frozenset(
    "a an and are as at be by did do does for from had has have he how in is it its of on or she "
    "that the their they this to was were what when where which who why with".split()
)


def best_passage(text: str, query: Collection[str], question: Collection[str], limit: int) -> str:
    """At most `limit` sentences of a text, in their order; a short text stays whole.

    A word counts the more, the fewer sentences of the text have it (their inverse frequency
    here; in the whole corpus the very word that is asked for may be on every page), and twice
    where the query has it, since a question says more than what is looked for.

    Args:
        text: The page's text.
        query: The words searched with, without those that name the page.
        question: The words of the question, likewise.
        limit: How many sentences to keep.
    """
    every = sentences(text)
    if len(every) <= limit:
        return " ".join(every)
    held = [{*words(sentence)} for sentence in every]
    counts = Counter(word for some in held for word in some)
    weights = {
        word: (2.0 if word in query else 1.0) * math.log1p((len(every) - n) / n)
        for word, n in counts.items()
        if word in query or (word in question and word not in _FUNCTION_WORDS)
    }
    # Exact sums, since the order of a set differs from process to process.
    scores = [math.fsum(weights.get(word, 0.0) for word in some) for some in held]
    # Equal scores: the earlier sentence, since pages say first what matters most.
    best = sorted(range(len(every)), key=lambda i: (-scores[i], i))[:limit]
    return " ".join(every[i] for i in sorted(best))


def sentences(text: str) -> list[str]:
    """The sentences of a text, none of them empty or longer than MAX_SENTENCE."""
    return [piece for part in _ENDS.split(text) if part for piece in _cut(part.strip())]


def _cut(sentence: str) -> list[str]:
    if len(sentence) <= MAX_SENTENCE:
        return [sentence] if sentence else []
    return _PIECES.findall(sentence)
