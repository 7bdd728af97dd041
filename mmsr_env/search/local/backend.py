"""Search over pages and pictures on this machine: a text index, a picture index, what hits show."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from mmsr_env.errors import InvalidSettingError, SearchIndexError
from mmsr_env.search.local.build import FORMAT, META, THUMBNAIL, Parts, build_parts
from mmsr_env.search.local.corpus import IndexedPicture, Page
from mmsr_env.search.local.embedder import PictureEmbedder
from mmsr_env.search.local.passage import best_passage
from mmsr_env.search.local.perceptual import PerceptualEmbedder
from mmsr_env.search.local.picture_index import PictureIndex
from mmsr_env.search.local.pixels import decode
from mmsr_env.search.local.records import Records, unpack_page, unpack_picture
from mmsr_env.search.local.remembering import QueryEmbedder
from mmsr_env.search.local.text_index import TextIndex
from mmsr_env.search.local.words import words
from mmsr_env.types import Hit, ImageQuery, SearchResult

MAX_SENTENCES = 5
_KEPT_THUMBNAILS = 1024  # decoded, about 40 MB at the default size


class LocalSearch:
    """A `SearchBackend` over an index on disk (`open`) or in memory (`in_memory`).

    It never changes, so copies share it, and any number of threads and processes may search.
    The same search always gives the same result. A pickle holds the folder of an index on disk,
    and all the data of one in memory.

    Args:
        parts: The index.
        embedder: The one that the picture index was built with.
        max_sentences: How many sentences of its page a text hit shows at most.
        folder: Where the index is; None for one in memory.
    """

    def __init__(
        self,
        parts: Parts,
        embedder: PictureEmbedder,
        max_sentences: int = MAX_SENTENCES,
        folder: Path | None = None,
    ) -> None:
        if max_sentences < 1:
            raise InvalidSettingError(f"max_sentences must be 1 or more, got {max_sentences!r}")
        self._parts = parts
        self._embedder = embedder
        self._query_vector = QueryEmbedder(embedder)
        self._max_sentences = max_sentences
        self._folder = folder
        self._thumbnail = lru_cache(_KEPT_THUMBNAILS)(decode)

    @classmethod
    def open(
        cls,
        folder: str | Path,
        embedder: PictureEmbedder | None = None,
        max_sentences: int = MAX_SENTENCES,
    ) -> LocalSearch:
        """Open an index that `build_index` made; its files are mapped, not read.

        Args:
            folder: The index.
            embedder: The one that it was built with; None for the built-in one.
            max_sentences: How many sentences of its page a text hit shows at most.

        Raises:
            SearchIndexError: There is no index, or one of another format or embedder.
        """
        folder = Path(folder)
        embedder = PerceptualEmbedder() if embedder is None else embedder
        _check(_read_meta(folder), embedder, folder)
        try:
            pages, pictures = (Records.open(folder, name) for name in ("pages", "pictures"))
        except (OSError, ValueError) as error:
            raise SearchIndexError(f"{folder} is damaged ({error}); build it again") from error
        text, neighbours = TextIndex.open(folder / "text"), PictureIndex.open(folder)
        parts = Parts(text, pages, neighbours, pictures)
        return cls(parts, embedder, max_sentences, folder)

    @classmethod
    def in_memory(
        cls,
        pages: Sequence[Page],
        pictures: Sequence[IndexedPicture],
        embedder: PictureEmbedder | None = None,
        max_sentences: int = MAX_SENTENCES,
        thumbnail: int = THUMBNAIL,
    ) -> LocalSearch:
        """Build an index of a small corpus in memory; the arguments are those of `build_index`."""
        embedder = PerceptualEmbedder() if embedder is None else embedder
        return cls(build_parts(pages, pictures, embedder, thumbnail), embedder, max_sentences)

    @property
    def pages(self) -> int:
        """How many pages there are."""
        return len(self._parts.pages)

    @property
    def pictures(self) -> int:
        """How many pictures there are."""
        return len(self._parts.pictures)

    async def search_image(self, image: ImageQuery, k: int) -> SearchResult:
        """The k pictures most like this one: title, url, thumbnail and similarity."""
        try:
            vector = self._query_vector(image.image)
            near = self._parts.neighbours.search(vector, k)
            return SearchResult(tuple(self._picture_hit(*found) for found in near))
        except Exception as error:  # noqa: BLE001 - a search that fails is a result
            return SearchResult.failed("local_search", f"{type(error).__name__}: {error}")

    async def search_text(self, query: str, k: int, question: str) -> SearchResult:
        """The k pages that match best: title, url, the passage about the query, and BM25 score."""
        try:
            wanted = words(query)
            found = self._parts.text.search(wanted, k)
            asked = words(question) if found else []
            return SearchResult(tuple(self._page_hit(*page, wanted, asked) for page in found))
        except Exception as error:  # noqa: BLE001 - a search that fails is a result
            return SearchResult.failed("local_search", f"{type(error).__name__}: {error}")

    def _picture_hit(self, number: int, score: float) -> Hit:
        title, url, thumbnail = unpack_picture(self._parts.pictures[number])
        # A copy, since who gets the hit may draw on it.
        return Hit(title, url, image=self._thumbnail(thumbnail).copy(), score=score)

    def _page_hit(
        self, number: int, score: float, query: Sequence[str], question: Sequence[str]
    ) -> Hit:
        page = unpack_page(self._parts.pages[number])
        named = {*words(page.title)}  # on every sentence that names the page, so of no help
        passage = best_passage(
            page.text, {*query} - named, {*question} - named, self._max_sentences
        )
        return Hit(page.title, page.url, text=passage, score=score)

    def __deepcopy__(self, memo: object) -> LocalSearch:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        if self._folder is not None:
            return LocalSearch.open, (self._folder, self._embedder, self._max_sentences)
        parts = self._parts
        state = (parts.pages, parts.neighbours.vectors, parts.pictures)
        return _restore, (*state, self._embedder, self._max_sentences)


def _restore(
    pages: Records,
    vectors: Any,
    pictures: Records,
    embedder: PictureEmbedder,
    max_sentences: int,
) -> LocalSearch:
    """An index in memory out of a pickle: what can be made again quickly was not in it."""
    text = TextIndex.build(unpack_page(pages[number]) for number in range(len(pages)))
    parts = Parts(text, pages, PictureIndex.build(vectors), pictures)
    return LocalSearch(parts, embedder, max_sentences)


def _read_meta(folder: Path) -> Mapping[str, Any]:
    path = folder / META
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SearchIndexError(
            f"{folder} is no search index: it has no {META}; build one with 'mmsr index build'"
        ) from error
    except (OSError, ValueError) as error:
        raise SearchIndexError(f"{path} cannot be read ({error}); build the index again") from error
    if not isinstance(meta, dict):
        raise SearchIndexError(f"{path} is damaged; build the index again")
    return meta


def _check(meta: Mapping[str, Any], embedder: PictureEmbedder, folder: Path) -> None:
    if meta.get("format") != FORMAT:
        raise SearchIndexError(
            f"{folder} has index format {meta.get('format')!r}, this version reads {FORMAT}; "
            "build it again with 'mmsr index build'"
        )
    built, given = (meta.get("embedder"), meta.get("dim")), (embedder.name, embedder.dim)
    if built != given:
        raise SearchIndexError(
            f"{folder} was built with the embedder {built[0]!r} ({built[1]} numbers a picture) and "
            f"cannot be searched with {given[0]!r} ({given[1]}); open it with that one, "
            "or build it again"
        )
