"""What a local index is built from: pages and pictures, and reading them from JSON lines.

A corpus is any two sequences of these. They may be lazy: an index asks for each item when it
needs it and keeps none, so a world may write its pages and draw its pictures on demand.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, overload

from PIL import Image

from mmsr_env.errors import TaskDataError
from mmsr_env.types import Picture

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Page:
    """A page of text.

    Attributes:
        url: Where it is.
        title: Its title; words in it count more than words in the text.
        text: What it says.
    """

    url: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class IndexedPicture:
    """A picture that can be found.

    Attributes:
        title: What it is called.
        url: The page that it belongs to.
        load: Gives the picture; called while an index is built, and by an index in memory
            whenever the picture is shown.
    """

    title: str
    url: str
    load: Callable[[], Picture]


class JsonLines(Sequence[_Item]):
    """A file of JSON objects, one a line, read row by row when asked for.

    Args:
        path: The file; only the place of each line is held in memory.
        read_row: Makes an item of a row and of the words that say where it is.

    Raises:
        TaskDataError: The file cannot be read; or, when a row is asked for, that row does not
            have the form it should have.
    """

    def __init__(self, path: Path, read_row: Callable[[Mapping[str, Any], str], _Item]) -> None:
        self.path = path
        self._read_row = read_row
        self._places = array("q")  # where each row begins, in bytes
        self._numbers = array("q")  # and which line of the file it is, from 1
        try:
            self._find_rows()
        except OSError as error:
            raise TaskDataError(f"{path} cannot be read: {error}") from error

    def _find_rows(self) -> None:
        with self.path.open("rb") as file:
            place = 0
            for number, line in enumerate(file, start=1):
                if line.strip():
                    self._places.append(place)
                    self._numbers.append(number)
                place += len(line)

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> _Item: ...
    @overload
    def __getitem__(self, index: slice) -> list[_Item]: ...
    def __getitem__(self, index: int | slice) -> _Item | list[_Item]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        with self.path.open("rb") as file:
            file.seek(self._places[index])
            line = file.readline()
        where = f"{self.path}, line {self._numbers[index]}"
        try:
            row = json.loads(line)
        except ValueError as error:
            raise TaskDataError(f"{where}: not JSON: {error}") from error
        if not isinstance(row, dict):
            raise TaskDataError(f"{where}: expected an object, got {type(row).__name__}")
        return self._read_row(row, where)


def read_pages(path: str | Path) -> JsonLines[Page]:
    """Pages from JSON lines with the columns url, title and text."""
    return JsonLines(Path(path), _page)


def read_pictures(path: str | Path) -> JsonLines[IndexedPicture]:
    """Pictures from JSON lines with the columns image, title and url.

    `image` is a file; a relative one is looked for from the folder of the JSON lines.
    """
    path = Path(path)
    return JsonLines(path, partial(_picture, path.parent))


def _page(row: Mapping[str, Any], where: str) -> Page:
    return Page(*(_text(row, column, where) for column in ("url", "title", "text")))


def _picture(folder: Path, row: Mapping[str, Any], where: str) -> IndexedPicture:
    file, title, url = (_text(row, column, where) for column in ("image", "title", "url"))
    return IndexedPicture(title, url, partial(_open_picture, folder / file, where))


def _text(row: Mapping[str, Any], column: str, where: str) -> str:
    if column not in row:
        raise TaskDataError(f"{where}: column {column!r} is missing; there are {sorted(row)}")
    value = row[column]
    if not isinstance(value, str):
        raise TaskDataError(
            f"{where}, column {column!r}: expected text, got {type(value).__name__}"
        )
    return value


def _open_picture(file: Path, where: str) -> Picture:
    try:
        with Image.open(file) as picture:
            return picture.convert("RGB")
    except OSError as error:
        raise TaskDataError(
            f"{where}, column 'image': {file} is no readable picture: {error}"
        ) from error
