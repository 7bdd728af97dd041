"""`mmsr index` from the command line, on files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_corpus import draw, pages, things

from mmsr_env.cli import main


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    rows = []
    for thing in things(6):
        file = f"images/{thing.number}.png"
        draw(thing).save(tmp_path / file)
        rows.append({"image": file, "title": f"Emblem of {thing.name}", "url": thing.url})
    texts = [{"url": page.url, "title": page.title, "text": page.text} for page in pages(6)]
    for name, lines in (("pages", texts), ("images", rows)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines))
    return tmp_path


def _run(*arguments: object) -> int:
    return main(["index", *map(str, arguments)])


def test_build_then_search_by_words_and_by_picture(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = corpus / "index"
    assert _run("build", corpus / "pages.jsonl", corpus / "images.jsonl", out) == 0
    assert "6 pages, 6 pictures" in capsys.readouterr().out
    assert _run("search", out, "fruit of thing3", "-k", 2) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("1. Thing3  (")
    assert lines[1].strip() == "things://3"
    assert "Its fruit is damson." in lines[2]
    assert [line[:2] for line in lines if line[0] != " "] == ["1.", "2."]
    assert _run("search", out, "--image", corpus / "images" / "4.png") == 0
    assert capsys.readouterr().out.startswith("1. Emblem of Thing4  (1.000)  [112 x 112 picture]")
    assert _run("search", out, "xyzzy") == 0
    assert capsys.readouterr().out.strip() == "nothing found"


def test_wrong_use_is_told_in_one_line(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pages_file, images_file, out = corpus / "pages.jsonl", corpus / "images.jsonl", corpus / "out"
    assert _run("build", pages_file, images_file, out) == 0
    (corpus / "bad.jsonl").write_text('{"url": "u"}\n')
    capsys.readouterr()
    for arguments, said in (
        (("build", pages_file, images_file, out), "exists already"),
        (("build", corpus / "none.jsonl", images_file, corpus / "new"), "cannot be read"),
        (("build", corpus / "bad.jsonl", images_file, corpus / "new"), "line 1: column 'title'"),
        (("search", corpus / "nowhere", "words"), "is no search index"),
        (("search", out), "give either words"),
        (("search", out, "words", "--image", images_file), "give either words"),
        (("search", out, "--image", images_file), "no readable picture"),
    ):
        assert _run(*arguments) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    assert not (corpus / "new").exists()
