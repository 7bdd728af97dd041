"""The text half of a local index: BM25 by tantivy, in memory or mapped from a folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import tantivy

from mmsr_env.errors import SearchIndexError
from mmsr_env.search.local.corpus import Page
from mmsr_env.search.local.words import ANALYZER, plain

TITLE_REPEATS = 2
"""How often a title counts as part of its page. A field of its own would make "of" and "the",
rare in titles, look like telling words."""
MAX_WORDS = 64
"""Distinct words of a query that count; a query is model-written and may be a whole page."""
COMMON_PAGES, COMMON_SHARE = 20_000, 0.1
"""A word in more pages than both allow says little and costs most of a search's time."""

_HEAP_BYTES = 128_000_000
_TIES = 16  # hits fetched beyond k, so that pages of equal score come in the corpus's order
_Hits = list[tuple[int, float]]


class TextIndex:
    """Pages ranked by BM25 over title and text.

    Args:
        index: A tantivy index with the fields of `_schema`.
    """

    def __init__(self, index: tantivy.Index) -> None:
        self._searcher = index.searcher()
        self._schema = index.schema
        self._pages: int = self._searcher.num_docs

    @classmethod
    def build(cls, pages: Iterable[Page], folder: Path | None = None) -> TextIndex:
        """Index pages in their order; into `folder`, which must exist, or in memory."""
        index = tantivy.Index(_schema(), str(folder) if folder else None)
        index.register_tokenizer("words", ANALYZER)
        # One thread, so that the same pages always give the same index.
        writer = index.writer(_HEAP_BYTES, 1)
        for number, page in enumerate(pages):
            text = plain(f"{(page.title + ' ') * TITLE_REPEATS}{page.text}")
            writer.add_document(tantivy.Document(page=number, text=text))
        writer.commit()
        writer.wait_merging_threads()
        index.reload()
        return cls(index)

    @classmethod
    def open(cls, folder: Path) -> TextIndex:
        """Open what `build` wrote; its files are mapped, not read.

        Raises:
            SearchIndexError: The folder holds no readable index.
        """
        try:
            index = tantivy.Index.open(str(folder))
            # The index never changes, so nothing has to watch its folder.
            index.config_reader("manual")
            return cls(index)
        except (ValueError, OSError) as error:
            raise SearchIndexError(
                f"{folder} holds no readable text index ({error}); build it again"
            ) from error

    def __len__(self) -> int:
        return self._pages

    def pages_with(self, word: str) -> int:
        """How many pages have this word in title or text."""
        count: int = self._searcher.doc_freq("text", word)
        return count

    def search(self, wanted: list[str], k: int) -> _Hits:
        """The best pages for words: (page number, score), best first, ties in corpus order."""
        chosen = self._telling(list(dict.fromkeys(wanted))[:MAX_WORDS])
        if not chosen or k < 1:
            return []
        found = self._searcher.search(self._query(chosen), k + _TIES, count=False).hits
        numbers = self._searcher.fast_field_values("page", [place for _, place in found])
        scores = [float(score) for score, _ in found]
        ranked = sorted((-score, int(n or 0)) for score, n in zip(scores, numbers, strict=True))
        return [(number, -score) for score, number in ranked[:k]]

    def _telling(self, distinct: list[str]) -> list[str]:
        """The words without the common ones, unless there are only common ones."""
        limit = max(COMMON_PAGES, COMMON_SHARE * self._pages)
        telling = [word for word in distinct if self.pages_with(word) <= limit]
        return telling or distinct

    def _query(self, distinct: list[str]) -> tantivy.Query:
        # Built term by term: a query parser would read operators into what a model wrote.
        terms = (tantivy.Query.term_query(self._schema, "text", word, "freq") for word in distinct)
        return tantivy.Query.boolean_query([(tantivy.Occur.Should, term) for term in terms])


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("text", tokenizer_name="words", index_option="freq")
    builder.add_integer_field("page", fast=True)
    return builder.build()
