"""Reading a corpus from JSON lines, and what is said where it does not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mmsr_env.errors import TaskDataError
from mmsr_env.search.local.corpus import Page, read_pages, read_pictures


def _write(path: Path, *rows: Any) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_pages_are_read_row_by_row(tmp_path: Path) -> None:
    rows = [{"url": f"u{i}", "title": f"ti\u00e9{i}", "text": "x" * i} for i in range(5)]
    pages = read_pages(_write(tmp_path / "pages.jsonl", rows[0], "", *rows[1:], "  "))
    expected = [Page(f"u{i}", f"ti\u00e9{i}", "x" * i) for i in range(5)]
    assert list(pages) == expected
    assert pages[1:3] == expected[1:3]
    assert pages[-1] == expected[-1]
    with pytest.raises(IndexError):
        pages[5]


def test_pictures_are_opened_when_loaded_from_the_folder_of_the_lines(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    Image.new("RGB", (4, 3), "red").save(tmp_path / "images" / "a.png")
    row = {"image": "images/a.png", "title": "A", "url": "u"}
    picture, missing = read_pictures(
        _write(tmp_path / "images.jsonl", row, {**row, "image": "images/b.png"})
    )
    assert (picture.title, picture.url) == ("A", "u")
    assert picture.load().getpixel((0, 0)) == (255, 0, 0)
    with pytest.raises(TaskDataError, match=r"images\.jsonl, line 2, column 'image'.*b\.png"):
        missing.load()


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{not json", "line 3: not JSON"),
        ("[1]", "line 3: expected an object, got list"),
        ({"url": "u", "text": "x"}, "line 3: column 'title' is missing"),
        ({"url": "u", "title": 7, "text": "x"}, "line 3, column 'title': expected text, got int"),
    ],
)
def test_a_row_that_does_not_fit_is_named(tmp_path: Path, row: Any, said: str) -> None:
    good = {"url": "u", "title": "t", "text": "x"}
    pages = read_pages(_write(tmp_path / "pages.jsonl", good, "", row))
    assert pages[0] == Page("u", "t", "x")
    with pytest.raises(TaskDataError, match=rf"pages\.jsonl.*{said}"):
        pages[1]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TaskDataError, match=r"nothing\.jsonl cannot be read"):
        read_pages(tmp_path / "nothing.jsonl")
