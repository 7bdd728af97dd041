"""How fast local search is, and how often it finds the right thing, over Atlas on disk.

`python -m benchmarks.local_search [--size N]` builds an index of a world's pages and pictures,
opens it, and asks about entities: by a photograph of the emblem, by the name and an attribute,
and by the name alone. Times are those of whole searches through `LocalSearch`, embedding,
passages and thumbnails included, one after the other.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.record import record
from mmsr_env.atlas.corpus import AtlasPages, AtlasPictures
from mmsr_env.atlas.drawing import photograph
from mmsr_env.atlas.facts import ATTRIBUTES
from mmsr_env.atlas.world import World
from mmsr_env.search.local.backend import LocalSearch
from mmsr_env.search.local.build import build_index
from mmsr_env.search.local.perceptual import PerceptualEmbedder
from mmsr_env.types import ImageQuery, SearchResult

K, SEED = 5, 0


@dataclass(slots=True)
class Tally:
    """What searches of one kind took, and where the right thing came."""

    took_ms: list[float] = field(default_factory=list)
    places: list[float] = field(default_factory=list)

    async def add(self, search: Awaitable[SearchResult], url: str) -> None:
        started = time.perf_counter()
        result = await search
        self.took_ms.append((time.perf_counter() - started) * 1e3)
        urls = [hit.url for hit in result.hits]
        self.places.append(float(urls.index(url)) if url in urls else float("inf"))

    def figures(self, kind: str) -> Iterator[tuple[str, float]]:
        yield f"{kind}_p50_ms", float(np.median(self.took_ms))
        yield f"{kind}_p99_ms", float(np.percentile(self.took_ms, 99))
        for n in (1, K):
            yield f"{kind}_recall_at_{n}", float((np.array(self.places) < n).mean())


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=100_000, help="how many entities")
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2, help="processes that build")
    options = parser.parse_args()
    world = World(size=options.size, seed=SEED)
    pages, pictures = AtlasPages(world), AtlasPictures(world)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "index"
        started = time.perf_counter()
        build_index(pages, pictures, folder, PerceptualEmbedder(), workers=options.workers)
        build_s = time.perf_counter() - started
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        started = time.perf_counter()
        index = LocalSearch.open(folder)
        open_ms = (time.perf_counter() - started) * 1e3
        searched = asyncio.run(ask(index, world, pictures, options.queries))
    figures = {"build_s": build_s, "open_ms": open_ms, "disk_mib": size / 2**20, **searched}
    counts = {"pages": len(pages), "pictures": len(pictures)}
    settings = {**counts, "queries": options.queries, "workers": options.workers, "seed": SEED}
    record("local_search", figures, settings, packages=("tantivy", "usearch"))


async def ask(
    index: LocalSearch, world: World, pictures: AtlasPictures, queries: int
) -> dict[str, float]:
    """Search for random entities in three ways."""
    rng = np.random.default_rng(SEED)
    tallies = {kind: Tally() for kind in ("text", "name", "image")}
    for number in rng.integers(0, world.size, queries):
        entity = world.entity(int(number))
        fact = str(rng.choice(list(ATTRIBUTES)))
        question = f"What is the {fact} of the thing in the picture?"
        picture = ImageQuery(photograph(pictures[int(number)].load(), rng))
        asked = f"{entity.name} {fact}"
        await tallies["text"].add(index.search_text(asked, K, question), entity.url)
        await tallies["name"].add(index.search_text(entity.name, K, question), entity.url)
        await tallies["image"].add(index.search_image(picture, K), entity.url)
    return {name: value for kind, tally in tallies.items() for name, value in tally.figures(kind)}


if __name__ == "__main__":
    main()
