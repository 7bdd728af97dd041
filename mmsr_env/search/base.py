"""The seam that every search implements, and how a driver calls it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from mmsr_env.types import ImageQuery, SearchResult


class SearchBackend(Protocol):
    """Where search results come from.

    A failure is a `SearchResult` with `ok=False`, never an exception. Implementations may be
    called concurrently from one event loop.
    """

    async def search_image(self, image: ImageQuery, k: int) -> SearchResult:
        """Up to `k` hits for a picture, best first, each with a title and, if any, a picture."""
        ...

    async def search_text(self, query: str, k: int, question: str) -> SearchResult:
        """Up to `k` hits for a query, best first; `question` may steer what their text says."""
        ...


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A search that an episode wants.

    Attributes:
        k: How many hits are wanted.
        question: The task's question.
        image: The picture to search with; None for a text search.
        query: The words to search with; "" for an image search.
    """

    k: int
    question: str
    image: ImageQuery | None = None
    query: str = ""


async def perform(backend: SearchBackend, request: SearchRequest) -> SearchResult:
    """Carry a request out; whatever a backend raises becomes a failed result.

    Backends promise not to raise. This is the last line of defence, so that a defect in one
    of them costs a search and not a run.
    """
    try:
        if request.image is not None:
            return await backend.search_image(request.image, request.k)
        return await backend.search_text(request.query, request.k, request.question)
    except Exception as error:  # noqa: BLE001
        return SearchResult.failed("backend_error", f"{type(error).__name__}: {error}")
