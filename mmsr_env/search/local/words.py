"""Words of a text, the same for pages and for queries."""

from __future__ import annotations

import re
import unicodedata

from tantivy import Filter, TextAnalyzer, TextAnalyzerBuilder, Tokenizer

MAX_WORD_BYTES = 80
_UNSPACED = re.compile("([\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff])")
"""Thai, Japanese and Chinese: scripts without spaces, in which each character is a word."""

ANALYZER: TextAnalyzer = (
    TextAnalyzerBuilder(Tokenizer.simple())
    .filter(Filter.remove_long(MAX_WORD_BYTES))
    .filter(Filter.lowercase())
    .filter(Filter.ascii_fold())
    .build()
)
"""Runs of letters and digits in lower case, accents of Latin letters taken off."""


def plain(text: str) -> str:
    """The text ready for ANALYZER: normalised, unspaced scripts spaced, lone surrogates gone."""
    if text.isascii():
        return text
    valid = text.encode("utf-8", "replace").decode("utf-8")
    return _UNSPACED.sub(r" \1 ", unicodedata.normalize("NFKC", valid))


def words(text: str) -> list[str]:
    """The words of a text, in order, with repeats."""
    found: list[str] = ANALYZER.analyze(plain(text))
    return found
