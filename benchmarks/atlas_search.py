"""How often a search of Atlas finds what it should, first or among five, at each difficulty.

`python -m benchmarks.atlas_search` asks questions of the training split: it searches with each
question's photograph for the entity that it shows, and with the entity's name and the attribute
for the entity's own page.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from benchmarks.record import RESULTS, record
from mmsr_env.atlas import AtlasSearch, AtlasTasks, QuestionKind, World, get_difficulty
from mmsr_env.atlas.world import DIFFICULTIES
from mmsr_env.types import ImageQuery, SearchResult

_K = 5


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1000, help="entities in the world")
    parser.add_argument("--tasks", type=int, default=500)
    parser.add_argument("--results", type=Path, default=RESULTS)
    chosen = parser.parse_args()
    figures: dict[str, float] = {}
    for name in DIFFICULTIES:
        world = World(chosen.size, difficulty=get_difficulty(name))
        measured = asyncio.run(measure(world, chosen.tasks))
        figures |= {f"{name}_{figure}": value for figure, value in measured.items()}
    settings = {"size": chosen.size, "seed": 0, "tasks": chosen.tasks, "k": _K}
    record("atlas_search", figures, settings, packages=("tantivy",), results=chosen.results)


async def measure(world: World, count: int) -> dict[str, float]:
    """Shares of the searches whose right hit is first, and among the first five."""
    search = AtlasSearch(world)
    places: dict[str, list[int]] = {"picture": [], "page": []}
    for task in AtlasTasks(world, count=count, mix={QuestionKind.PICTURE_FACT: 1.0}):
        name, attribute = task.metadata["entity"], task.question.split()[3]
        seen = await search.search_image(ImageQuery(task.image, task.id), _K)
        read = await search.search_text(f"{name} {attribute}", _K, task.question)
        places["picture"].append(_place(seen, name))
        places["page"].append(_place(read, name))
    return {
        f"{what}_{where}_share": sum(place < limit for place in found) / count
        for what, found in places.items()
        for where, limit in (("first", 1), ("in_five", _K))
    }


def _place(result: SearchResult, title: str) -> int:
    """Where the hit with that title stands, from 0; `_K` where it is missing."""
    titles = [hit.title for hit in result.hits]
    return titles.index(title) if title in titles else _K


if __name__ == "__main__":
    main()
