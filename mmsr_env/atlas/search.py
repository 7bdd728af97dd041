"""Searching Atlas: a local index of its pages and pictures, with the world's own noise."""

from __future__ import annotations

import zlib
from functools import lru_cache

from mmsr_env.atlas.chance import chance, draw
from mmsr_env.atlas.corpus import AtlasPages, AtlasPictures
from mmsr_env.atlas.world import World
from mmsr_env.search.local.backend import LocalSearch
from mmsr_env.types import Hit, ImageQuery, SearchResult


class AtlasSearch:
    """Search over a world; in a share of the searches the best hit does not come first.

    What is misranked follows from the query alone, so the same search always gives the same
    result. The index is built at the first search, kept once a process for equal worlds, and
    not carried by pickles and copies.

    Args:
        world: What is searched.
        max_sentences: How long a text hit's passage may be.
        thumbnail: The longest side of a hit's picture, in pixels.
    """

    def __init__(self, world: World, max_sentences: int = 5, thumbnail: int = 112) -> None:
        self.world = world
        self.max_sentences = max_sentences
        self.thumbnail = thumbnail

    async def search_image(self, image: ImageQuery, k: int) -> SearchResult:
        found = await self._local().search_image(image, k)
        if not found.ok:
            return found  # the picture may be one that cannot be read
        return self._misrank(found, zlib.crc32(image.image.tobytes()))

    async def search_text(self, query: str, k: int, question: str) -> SearchResult:
        found = await self._local().search_text(query, k, question)
        return self._misrank(found, zlib.crc32(query.encode("utf-8", "replace")))

    def prepare(self) -> None:
        """Build the index now; otherwise the first search does."""
        self._local()

    def _local(self) -> LocalSearch:
        return _index(self.world, self.max_sentences, self.thumbnail)

    def _misrank(self, result: SearchResult, key: int) -> SearchResult:
        """Move the best hit to a later place, in a share of the searches."""
        seed = self.world.seed
        if len(result.hits) < 2 or chance(seed, 21, key) >= self.world.difficulty.misranked:
            return result
        hits: list[Hit] = list(result.hits)
        place = 1 + draw(seed, 22, key) % (len(hits) - 1)
        hits.insert(place, hits.pop(0))
        return SearchResult(tuple(hits))


@lru_cache(maxsize=4)
def _index(world: World, max_sentences: int, thumbnail: int) -> LocalSearch:
    return LocalSearch.in_memory(
        AtlasPages(world),
        AtlasPictures(world),
        max_sentences=max_sentences,
        thumbnail=thumbnail,
    )
