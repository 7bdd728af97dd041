"""Building a local index: one pass over the pages, one over the pictures, nothing held."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from mmsr_env.errors import InvalidSettingError, SearchIndexError
from mmsr_env.search.local.corpus import IndexedPicture, Page
from mmsr_env.search.local.embedder import PictureEmbedder
from mmsr_env.search.local.picture_index import PictureIndex
from mmsr_env.search.local.pixels import as_rgb, encode, shrink
from mmsr_env.search.local.records import Records, RecordWriter, pack_page, pack_picture
from mmsr_env.search.local.text_index import TextIndex

FORMAT = 1
META = "meta.json"
THUMBNAIL = 112
"""Longest side of a hit's picture, in pixels."""
_BATCH = 64
_Batch = tuple[np.ndarray[Any, np.dtype[np.float16]], list[bytes]]


@dataclass(frozen=True, slots=True)
class Parts:
    """What an index consists of.

    Attributes:
        text: Finds pages.
        pages: What their hits show.
        neighbours: Finds pictures.
        pictures: What their hits show.
    """

    text: TextIndex
    pages: Records
    neighbours: PictureIndex
    pictures: Records


def build_index(
    pages: Sequence[Page],
    pictures: Sequence[IndexedPicture],
    folder: str | Path,
    embedder: PictureEmbedder,
    thumbnail: int = THUMBNAIL,
    workers: int = 1,
) -> None:
    """Build an index on disk. It appears in `folder` whole, or not at all.

    Args:
        pages: What text searches find.
        pictures: What picture searches find.
        folder: Where to put the index; must not exist.
        embedder: Makes a vector of each picture.
        thumbnail: Longest side of the pictures that are kept to be shown, in pixels.
        workers: Processes that draw, embed and shrink pictures. With more than one, `pictures`
            and `embedder` must be picklable, and the main module importable.

    Raises:
        SearchIndexError: The folder exists already.
        TaskDataError: The corpus has a row that does not fit.
    """
    folder = Path(folder)
    if folder.exists():
        raise SearchIndexError(f"{folder} exists already; remove it or name another folder")
    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}")
    unfinished.mkdir(parents=True)
    try:
        parts = build_parts(pages, pictures, embedder, thumbnail, workers, unfinished)
        parts.neighbours.save(unfinished)
        meta = {
            "format": FORMAT,
            "pages": len(parts.pages),
            "pictures": len(parts.pictures),
            "embedder": embedder.name,
            "dim": embedder.dim,
            "thumbnail": thumbnail,
        }
        (unfinished / META).write_text(json.dumps(meta, indent=2) + "\n", encoding="utf-8")
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def build_parts(
    pages: Sequence[Page],
    pictures: Sequence[IndexedPicture],
    embedder: PictureEmbedder,
    thumbnail: int = THUMBNAIL,
    workers: int = 1,
    folder: Path | None = None,
) -> Parts:
    """Build an index's parts into an existing folder, or in memory."""
    if thumbnail < 1:
        raise InvalidSettingError(f"thumbnail must be 1 pixel or more, got {thumbnail!r}")
    if workers < 1:
        raise InvalidSettingError(f"workers must be 1 or more, got {workers!r}")
    text_folder = folder / "text" if folder else None
    if text_folder is not None:
        text_folder.mkdir()
    with RecordWriter(folder, "pages") as writer:
        text = TextIndex.build(_written(pages, writer), text_folder)
        page_records = writer.finish()
    vectors = np.zeros((len(pictures), embedder.dim), np.float16)
    done = 0
    with RecordWriter(folder, "pictures") as writer:
        for rows, records in _batches(pictures, embedder, thumbnail, workers):
            vectors[done : done + len(rows)] = rows
            done += len(rows)
            for record in records:
                writer.add(record)
        picture_records = writer.finish()
    return Parts(text, page_records, PictureIndex.build(vectors, workers), picture_records)


def _written(pages: Sequence[Page], writer: RecordWriter) -> Iterator[Page]:
    for page in pages:
        writer.add(pack_page(page))
        yield page


def _batches(
    pictures: Sequence[IndexedPicture], embedder: PictureEmbedder, thumbnail: int, workers: int
) -> Iterator[_Batch]:
    starts = range(0, len(pictures), _BATCH)
    if workers == 1:
        for start in starts:
            yield _batch(pictures, embedder, thumbnail, start)
        return
    # Spawned, not forked: the text index's library has threads, which a fork would lose.
    with ProcessPoolExecutor(
        workers, get_context("spawn"), _start_worker, (pictures, embedder, thumbnail)
    ) as pool:
        yield from pool.map(_worker_batch, starts)


def _batch(
    pictures: Sequence[IndexedPicture], embedder: PictureEmbedder, thumbnail: int, start: int
) -> _Batch:
    items = pictures[start : start + _BATCH]
    images = [as_rgb(item.load()) for item in items]
    records = [
        pack_picture(item.title, item.url, encode(shrink(image, thumbnail)))
        for item, image in zip(items, images, strict=True)
    ]
    return embedder.embed(images).astype(np.float16), records


_worker: tuple[Sequence[IndexedPicture], PictureEmbedder, int]  # set once in each worker process


def _start_worker(
    pictures: Sequence[IndexedPicture], embedder: PictureEmbedder, thumbnail: int
) -> None:
    global _worker
    _worker = (pictures, embedder, thumbnail)


def _worker_batch(start: int) -> _Batch:
    return _batch(*_worker, start)
