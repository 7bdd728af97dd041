"""What every `SearchBackend` must do, whatever is behind it; for the tests of each of them."""

from __future__ import annotations

from PIL import Image

from mmsr_env.search.base import SearchBackend
from mmsr_env.types import ImageQuery, SearchResult

QUERIES = (
    "",
    " \n\t",
    "plain words",
    '+must -not "phrase" field:value (group) AND OR NOT * ? ~ ^2 [a TO b] {x} \\ /re/',
    "lone \ud800 surrogate \udfff",
    "\x00 control \x1b[31m",
    "東京タワー São Tomé हिन्दी",
    "word " * 20_000,
    "x" * 100_000,
)
MODES = ("RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "I;16", "F")


async def check_search_backend(backend: SearchBackend) -> None:
    """Assert what holds for every backend: no exception, at most k hits, the same again."""
    for query in QUERIES:
        for k in (0, 1, 3):
            await _check_text(backend, query, k)
    for mode in MODES:
        picture = ImageQuery(Image.new(mode, (31, 17)))
        found = await backend.search_image(picture, 3)
        _check(found, 3)
        assert await backend.search_image(picture, 3) == found


async def _check_text(backend: SearchBackend, query: str, k: int) -> None:
    found = await backend.search_text(query, k, query)
    _check(found, k)
    assert await backend.search_text(query, k, query) == found


def _check(result: SearchResult, k: int) -> None:
    if not result.ok:
        assert result.cause
        assert not result.hits
    assert len(result.hits) <= k
    scores = [hit.score for hit in result.hits]
    assert scores == sorted(scores, reverse=True)
