"""How often local search finds the right page of the question set "flags".

`python -m benchmarks.flags_recall [--path FOLDER]` indexes its pages and pictures, searches with
every picture of its test questions and with every country's name, and counts how often the right
page comes first, or among the first five.
"""

from __future__ import annotations

import argparse
import asyncio
import io
from collections.abc import Awaitable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.record import record
from mmsr_env.search.local.backend import LocalSearch
from mmsr_env.search.local.corpus import read_pages, read_pictures
from mmsr_env.types import ImageQuery, SearchResult

DEFAULT = Path(__file__).parents[1].parent / "shared" / "data" / "flags"
K = 5


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--path", type=Path, default=DEFAULT, help="the folder of the set")
    parser.add_argument("--split", default="test", choices=("test", "train"))
    options = parser.parse_args()
    if not (options.path / "pages.jsonl").is_file():
        print(f"{options.path.name}: no pages.jsonl there; name the set's folder with --path")
        return
    figures = asyncio.run(measure(options.path, options.split))
    if options.split == "test":
        record("flags_recall", figures, {"split": options.split, "k": K}, packages=("tantivy",))
    else:
        print(figures)


async def measure(folder: Path, split: str) -> dict[str, float]:
    """Recall by picture, on the pictures of a split, and by name, on all pages."""
    pages = read_pages(folder / "pages.jsonl")
    index = LocalSearch.in_memory(pages, read_pictures(folder / "images.jsonl"))
    queries = _queries(folder / f"flags_{split}.parquet")
    by_picture = [_place(index.search_image(ImageQuery(p), K), url) for p, url in queries]
    by_name = [_place(index.search_text(page.title, K, ""), page.url) for page in pages]
    return {
        **_recalls("image", await asyncio.gather(*by_picture)),
        **_recalls("text", await asyncio.gather(*by_name)),
    }


def _queries(file: Path) -> list[tuple[Image.Image, str]]:
    """Each question's picture and the page of the country that it shows."""
    import pyarrow.parquet  # type: ignore[import-untyped]

    rows = pyarrow.parquet.read_table(file, columns=["images", "entity"]).to_pylist()
    return [
        (Image.open(io.BytesIO(row["images"][0]["bytes"])), f"flags://{row['entity'].lower()}")
        for row in rows
    ]


async def _place(search: Awaitable[SearchResult], url: str) -> float:
    """Where the right page came, from 0; infinite where it did not come."""
    found = [hit.url for hit in (await search).hits]
    return float(found.index(url)) if url in found else float("inf")


def _recalls(kind: str, places: Iterable[float]) -> dict[str, float]:
    found = np.array(list(places))
    return {f"{kind}_recall_at_{n}": float((found < n).mean()) for n in (1, K)}


if __name__ == "__main__":
    main()
