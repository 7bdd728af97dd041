"""Local search as a whole: built, opened, searched, copied, and refused where it does not fit."""

from __future__ import annotations

import copy
import io
import json
import os
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from backend_conformance import check_search_backend
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from small_corpus import FRUITS, SIZE, draw, pages, pictures, things

from mmsr_env.errors import InvalidSettingError, SearchIndexError, TaskDataError
from mmsr_env.search.blocking import run_blocking
from mmsr_env.search.local import build
from mmsr_env.search.local.backend import LocalSearch
from mmsr_env.search.local.build import build_index
from mmsr_env.search.local.corpus import IndexedPicture, Page
from mmsr_env.search.local.perceptual import PerceptualEmbedder
from mmsr_env.types import Hit, ImageQuery, SearchResult

ANY_TEXT = st.text(st.characters(exclude_categories=()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("local") / "index"
    build_index(pages(), pictures(), path, PerceptualEmbedder())
    return path


@pytest.fixture(scope="module")
def on_disk(folder: Path) -> LocalSearch:
    return LocalSearch.open(folder)


@pytest.fixture(scope="module")
def in_memory() -> LocalSearch:
    return LocalSearch.in_memory(pages(), pictures())


@pytest.fixture(params=["on_disk", "in_memory"])
def search(request: pytest.FixtureRequest) -> LocalSearch:
    backend: LocalSearch = request.getfixturevalue(request.param)
    return backend


def _text(backend: LocalSearch, query: str, k: int = 5) -> SearchResult:
    return run_blocking(backend.search_text(query, k, "What is its fruit?"))


def _image(backend: LocalSearch, picture: Image.Image, k: int = 5) -> SearchResult:
    return run_blocking(backend.search_image(ImageQuery(picture), k))


def _all_hits(backend: LocalSearch) -> list[Hit]:
    """The hits of a few searches of both kinds."""
    texts = [_text(backend, query) for query in ("Thing7", "cherry thing", "number 12")]
    images = [_image(backend, draw(things()[number], 90)) for number in (0, 17, 39)]
    return [hit for result in (*texts, *images) for hit in result.hits]


async def test_it_is_a_search_backend(search: LocalSearch) -> None:
    await check_search_backend(search)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=ANY_TEXT, question=ANY_TEXT)
def test_any_query_and_question_give_a_result(
    search: LocalSearch, query: str, question: str
) -> None:
    assert run_blocking(search.search_text(query, 3, question)).ok


def test_every_page_is_found_by_its_name(search: LocalSearch) -> None:
    for thing, page in zip(things(), pages(), strict=True):
        best = _text(search, f"the fruit of {thing.name.upper()}?").hits[0]
        assert (best.title, best.url, best.text) == (page.title, page.url, page.text)
        assert best.image is None
        assert best.score > 0


def test_every_picture_is_found_at_another_size(search: LocalSearch) -> None:
    for thing in things():
        best = _image(search, draw(thing, 77)).hits[0]
        assert (best.title, best.url, best.text) == (thing.name, thing.url, "")
        assert best.score > 0.9


def test_an_empty_query_works_and_finds_nothing(search: LocalSearch) -> None:
    assert _text(search, "") == SearchResult()
    assert _text(search, " ?! ") == SearchResult()


def test_a_thumbnail_shows_the_picture_and_belongs_to_who_asked(search: LocalSearch) -> None:
    thumbnail = _image(search, draw(things()[5])).hits[0].image
    assert thumbnail is not None
    assert (thumbnail.size, thumbnail.mode) == ((112, 112), "RGB")
    shown = np.asarray(thumbnail, dtype=float)
    wanted = np.asarray(draw(things()[5]).resize((112, 112)), dtype=float)
    assert np.abs(shown - wanted).mean() < 6
    thumbnail.paste("red", (0, 0, 112, 112))
    again = _image(search, draw(things()[5])).hits[0].image
    assert again is not None
    assert np.array_equal(np.asarray(again, dtype=float), shown)


def test_thumbnails_keep_their_shape_and_are_never_enlarged() -> None:
    def picture(width: int, height: int) -> IndexedPicture:
        return IndexedPicture("p", "u", lambda: Image.effect_noise((width, height), 50))

    shapes = [(100, 50), (20, 30)]
    backend = LocalSearch.in_memory([], [picture(*shape) for shape in shapes], thumbnail=50)
    hits = _image(backend, Image.new("RGB", (9, 9))).hits
    assert sorted(hit.image.size for hit in hits if hit.image) == [(20, 30), (50, 25)]


def test_a_text_hit_shows_the_sentences_that_answer() -> None:
    text = "It is old. It is far. Its fruit is fig. It is big. Its king is Alf. Its hue is red."
    backend = LocalSearch.in_memory([Page("u", "Zed", text)], [], max_sentences=2)
    shown = run_blocking(backend.search_text("zed king", 1, "What is the fruit of its king?"))
    assert shown.hits[0].text == "Its fruit is fig. Its king is Alf."


def test_disk_and_memory_give_the_same_hits(on_disk: LocalSearch, in_memory: LocalSearch) -> None:
    assert _all_hits(on_disk) == _all_hits(in_memory)
    assert (
        (on_disk.pages, on_disk.pictures) == (in_memory.pages, in_memory.pictures) == (SIZE, SIZE)
    )


def test_copies_and_pickles_give_the_same_hits(search: LocalSearch) -> None:
    expected = _all_hits(search)
    for again in (copy.copy(search), copy.deepcopy(search), pickle.loads(pickle.dumps(search))):
        assert _all_hits(again) == expected


def _hits_elsewhere(folder: Path) -> list[Hit]:
    return _all_hits(LocalSearch.open(folder))


def test_several_processes_read_one_index_at_once(folder: Path, on_disk: LocalSearch) -> None:
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        for hits in pool.map(_hits_elsewhere, [folder] * 4):
            assert hits == _all_hits(on_disk)


_SCRIPT = """
from test_local_search import LocalSearch, _all_hits, pages, pictures
for hit in _all_hits(LocalSearch.in_memory(pages(), pictures())):
    print(hit.url, hit.score, hit.text, hit.image and hit.image.tobytes()[:999])
"""


def test_another_process_gets_the_same_hits_whatever_its_hash_seed() -> None:
    outputs = set()
    for seed in ("1", "2"):
        run = subprocess.run(
            [sys.executable, "-c", _SCRIPT],
            cwd=Path(__file__).parent,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
        outputs.add(run.stdout)
    assert len(outputs) == 1
    assert outputs.pop().count("\n") > 20


def test_building_with_more_processes_gives_the_same_index(
    tmp_path: Path, on_disk: LocalSearch
) -> None:
    build_index(pages(), pictures(), tmp_path / "index", PerceptualEmbedder(), workers=2)
    assert _all_hits(LocalSearch.open(tmp_path / "index")) == _all_hits(on_disk)


def test_nothing_but_the_folder_is_left_behind(tmp_path: Path) -> None:
    build_index(pages(), pictures(), tmp_path / "index", PerceptualEmbedder())
    assert os.listdir(tmp_path) == ["index"]


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Image.Image:
        raise TaskDataError("no such picture")

    corpus = [*pictures(), IndexedPicture("t", "u", broken)]
    with pytest.raises(TaskDataError, match="no such picture"):
        build_index(pages(), corpus, tmp_path / "index", PerceptualEmbedder())
    assert os.listdir(tmp_path) == []


def test_an_index_is_not_written_over(folder: Path) -> None:
    with pytest.raises(SearchIndexError, match="exists already; remove it"):
        build_index([], [], folder, PerceptualEmbedder())
    assert LocalSearch.open(folder).pages == SIZE


def test_an_empty_corpus_can_be_indexed(tmp_path: Path) -> None:
    build_index([], [], tmp_path / "index", PerceptualEmbedder())
    for backend in (LocalSearch.open(tmp_path / "index"), LocalSearch.in_memory([], [])):
        assert _text(backend, "anything") == SearchResult()
        assert _image(backend, draw(things()[0])) == SearchResult()


def test_a_folder_that_is_no_index_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(SearchIndexError, match="build one with 'mmsr index build'"):
            LocalSearch.open(folder)


def _changed(folder: Path, to: Path, **fields: object) -> Path:
    build_index(pages(3), pictures(3), to, PerceptualEmbedder())
    meta = json.loads((folder / build.META).read_text())
    (to / build.META).write_text(json.dumps({**meta, **fields}))
    return to


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"format": 999}, "format 999, this version reads 1; build it again"),
        ({"embedder": "other-7"}, "built with the embedder 'other-7'.*or build it again"),
        ({"dim": 3}, r"\(3 numbers a picture\)"),
    ],
)
def test_an_index_of_another_kind_is_refused(
    folder: Path, tmp_path: Path, fields: dict[str, object], said: str
) -> None:
    with pytest.raises(SearchIndexError, match=said):
        LocalSearch.open(_changed(folder, tmp_path / "index", **fields))


@pytest.mark.parametrize("missing", ["pages.bin", "pictures.ends.npy", "vectors.npy"])
def test_an_index_with_a_missing_file_is_refused(
    folder: Path, tmp_path: Path, missing: str
) -> None:
    damaged = _changed(folder, tmp_path / "index")
    (damaged / missing).unlink()
    with pytest.raises(SearchIndexError, match="build it again"):
        LocalSearch.open(damaged)


def _truncated() -> Image.Image:
    buffer = io.BytesIO()
    draw(things()[0]).save(buffer, "JPEG")
    return Image.open(io.BytesIO(buffer.getvalue()[:700]))


def test_a_picture_that_cannot_be_searched_with_is_a_failed_result(search: LocalSearch) -> None:
    found = _image(search, _truncated())
    assert not found.ok
    assert found.cause == "local_search"
    assert found.detail


@pytest.mark.parametrize("setting", ["max_sentences", "thumbnail"])
def test_settings_below_one_are_refused(setting: str) -> None:
    with pytest.raises(InvalidSettingError, match=setting):
        LocalSearch.in_memory([], [], **{setting: 0})


def test_the_corpus_tells_its_things_apart() -> None:
    assert len({draw(thing).tobytes() for thing in things(72)}) == 72
    assert len(FRUITS) < SIZE  # so that a fruit alone does not name a page
