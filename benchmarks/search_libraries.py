"""Libraries for local search side by side, on the pages and pictures of Atlas.

`python -m benchmarks.search_libraries [--size N]` gives each library the same words and the same
picture vectors, in a process of its own: how long building takes, how much memory and disk, how
long opening takes, the median search, and how often the right one is among the first five (text:
the page of the entity that the query names; pictures: of the exact five nearest). A library that
is not installed is left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import record
from benchmarks.search_contenders import PICTURES, TEXT, K
from mmsr_env.atlas.corpus import AtlasPages, AtlasPictures
from mmsr_env.atlas.drawing import photograph
from mmsr_env.atlas.facts import ATTRIBUTES
from mmsr_env.atlas.world import World
from mmsr_env.search.local.perceptual import PerceptualEmbedder
from mmsr_env.search.local.words import words

QUERIES, SEED = 500, 0


def main() -> None:
    """Measure every contender that is installed, and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=100_000, help="how many pages and pictures")
    size = parser.parse_args().size
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _prepare(World(size=size, seed=SEED), folder)
        for kind, contenders in (("text", TEXT), ("image", PICTURES)):
            for name, contender in contenders.items():
                if importlib.util.find_spec(contender.library) is None:
                    print(f"{name}: {contender.library} is not installed, left out")
                    continue
                measured = _apart(_measure, kind, name, folder)
                figures |= {f"{kind}_{name}_{key}": value for key, value in measured.items()}
    libraries = {c.library for c in (*TEXT.values(), *PICTURES.values())}
    settings = {"documents": size, "queries": QUERIES, "k": K, "seed": SEED}
    record("search_libraries", figures, settings, packages=tuple(sorted(libraries)))


def _apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a fresh process, so that one library's memory is not another's."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def _prepare(world: World, folder: Path) -> None:
    """Write what all contenders are given: words of pages, vectors of pictures, queries."""
    rng = np.random.default_rng(SEED)
    pages, pictures = AtlasPages(world), AtlasPictures(world)
    every = [pages[i] for i in range(world.size)]
    texts = np.array([" ".join(words(f"{p.title} {p.title} {p.text}")) for p in every])
    np.save(folder / "texts.npy", texts)
    embedder, starts = PerceptualEmbedder(), range(0, world.size, 512)
    blocks = [embedder.embed([p.load() for p in pictures[i : i + 512]]) for i in starts]
    np.save(folder / "vectors.npy", np.concatenate(blocks))
    asked = rng.integers(0, world.size, QUERIES)
    facts = rng.choice(list(ATTRIBUTES), QUERIES)
    queries = [
        f"what is the {fact} of {every[i].title}" for i, fact in zip(asked, facts, strict=True)
    ]
    np.save(folder / "asked.npy", asked)
    np.save(folder / "queries.npy", np.array([" ".join(words(query)) for query in queries]))
    seen = [photograph(pictures[int(i)].load(), rng) for i in asked]
    np.save(folder / "seen.npy", embedder.embed(seen))


def _measure(kind: str, name: str, folder: Path) -> dict[str, float]:
    contender = (TEXT if kind == "text" else PICTURES)[name]
    data, queries, right = _text_data(folder) if kind == "text" else _picture_data(folder)
    place = folder / f"{kind}_{name}"
    place.mkdir()
    before = _forget_peak()
    started = time.perf_counter()
    contender.build(data, place)
    build_s = time.perf_counter() - started
    started = time.perf_counter()
    search = contender.open(place)
    search(queries[0])
    open_ms = (time.perf_counter() - started) * 1e3
    took, found = [], []
    for query in queries:
        started = time.perf_counter()
        found.append(search(query))
        took.append((time.perf_counter() - started) * 1e3)
    hits = [len({*map(int, f[:K])} & r) / len(r) for f, r in zip(found, right, strict=True)]
    return {
        "build_s": build_s,
        "memory_mib": _peak_mib() - before,
        "disk_mib": sum(f.stat().st_size for f in place.rglob("*") if f.is_file()) / 2**20,
        "open_ms": open_ms,
        "p50_ms": float(np.median(took)),
        "p99_ms": float(np.percentile(took, 99)),
        "recall_at_5": float(np.mean(hits)),
    }


def _forget_peak() -> float:
    """Let the kernel measure the peak anew (Linux); MiB in use now."""
    Path("/proc/self/clear_refs").write_text("5")
    return _peak_mib()


def _peak_mib() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def _text_data(folder: Path) -> tuple[Any, list[str], list[set[int]]]:
    right = [{int(i)} for i in np.load(folder / "asked.npy")]
    return np.load(folder / "texts.npy").tolist(), np.load(folder / "queries.npy").tolist(), right


def _picture_data(folder: Path) -> tuple[Any, list[Any], list[set[int]]]:
    vectors, seen = np.load(folder / "vectors.npy"), np.load(folder / "seen.npy")
    nearest = [np.argpartition(-(vectors @ vector), K)[:K] for vector in seen]
    return vectors, list(seen), [{*map(int, rows)} for rows in nearest]


if __name__ == "__main__":
    main()
