"""Many byte strings in one piece, in memory or mapped: an index's pages and pictures."""

from __future__ import annotations

import io
import json
import mmap
from array import array
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from mmsr_env.search.local.corpus import Page


class Records:
    """Byte strings by number; immutable, and safe to read from any thread or process.

    Args:
        data: All of them, one after the other.
        ends: [n] int64: where each one ends.
    """

    def __init__(self, data: bytes | mmap.mmap, ends: NDArray[np.int64]) -> None:
        self._data = data
        self._ends = ends

    @classmethod
    def open(cls, folder: Path, name: str) -> Records:
        """Map what a `RecordWriter` left in a folder."""
        ends = np.load(folder / f"{name}.ends.npy", mmap_mode="r")
        if not len(ends) or not ends[-1]:
            return cls(b"", ends)
        with (folder / f"{name}.bin").open("rb") as file:
            return cls(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), ends)

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, number: int) -> bytes:
        if not 0 <= number < len(self._ends):
            raise IndexError(f"record {number} of {len(self._ends)}")
        start = int(self._ends[number - 1]) if number else 0
        return self._data[start : int(self._ends[number])]

    def __getstate__(self) -> dict[str, object]:
        return {"_data": bytes(self._data), "_ends": np.array(self._ends)}


class RecordWriter:
    """Takes byte strings in order; into a folder's files, or into memory.

    It is a context manager, which closes the file whatever happens.
    """

    def __init__(self, folder: Path | None = None, name: str = "") -> None:
        self._folder = folder
        self._name = name
        self._file: BinaryIO = (folder / f"{name}.bin").open("wb") if folder else io.BytesIO()
        self._ends = array("q")
        self._size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, record: bytes) -> None:
        self._file.write(record)
        self._size += len(record)
        self._ends.append(self._size)

    def finish(self) -> Records:
        """Close the files, and give what was written."""
        ends = np.array(self._ends, dtype=np.int64)
        if self._folder is not None:
            self._file.close()
            np.save(self._folder / f"{self._name}.ends.npy", ends)
            return Records.open(self._folder, self._name)
        assert isinstance(self._file, io.BytesIO)
        return Records(self._file.getvalue(), ends)


def pack_page(page: Page) -> bytes:
    """A page as one record."""
    return json.dumps([page.url, page.title, page.text]).encode("ascii")


def unpack_page(record: bytes) -> Page:
    return Page(*json.loads(record))


def pack_picture(title: str, url: str, thumbnail: bytes) -> bytes:
    """A picture's words, a line break, and its thumbnail's file."""
    return json.dumps([title, url]).encode("ascii") + b"\n" + thumbnail


def unpack_picture(record: bytes) -> tuple[str, str, bytes]:
    """(title, url, the thumbnail's file)."""
    head, _, thumbnail = record.partition(b"\n")
    title, url = json.loads(head)
    return title, url, thumbnail
