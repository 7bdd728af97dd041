"""Nearest neighbours against comparing with all, written plainly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmsr_env.errors import SearchIndexError
from mmsr_env.search.local import picture_index
from mmsr_env.search.local.embedder import Vectors, unit_rows
from mmsr_env.search.local.picture_index import PictureIndex


def _vectors(count: int, dim: int = 16, seed: int = 0) -> Vectors:
    return unit_rows(np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32))


def _nearest(vectors: Vectors, query: Vectors, k: int) -> list[int]:
    similarity = [float(sum(a * b for a, b in zip(row, query, strict=True))) for row in vectors]
    return sorted(range(len(vectors)), key=lambda i: (-round(similarity[i], 5), i))[:k]


def test_small_sets_are_searched_exactly() -> None:
    vectors = _vectors(200)
    index = PictureIndex.build(vectors)
    for query in _vectors(10, seed=1):
        found = index.search(query, 7)
        assert [row for row, _ in found] == _nearest(vectors, query, 7)
        assert [score for _, score in found] == pytest.approx(
            [float(vectors[row] @ query) for row, _ in found], abs=1e-5
        )


def test_rows_that_tie_come_in_their_order() -> None:
    vectors = np.repeat(_vectors(3), 10, axis=0)
    found = PictureIndex.build(vectors).search(vectors[10], 6)
    assert [row for row, _ in found] == list(range(10, 16))


def test_a_graph_finds_nearly_all_of_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_index, "EXACT_UP_TO", 100)
    vectors, queries = _vectors(3000), _vectors(50, seed=1)
    graph = PictureIndex.build(vectors)
    monkeypatch.undo()
    exact = PictureIndex.build(vectors)
    shared = 0
    for query in queries:
        near, all_ = graph.search(query, 5), exact.search(query, 5)
        scores = [score for _, score in near]
        assert scores == sorted(scores, reverse=True)
        shared += len(set(near) & set(all_))
    assert shared / (5 * len(queries)) > 0.97


def test_building_twice_gives_the_same_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_index, "EXACT_UP_TO", 100)
    vectors = _vectors(2000)
    one, two = PictureIndex.build(vectors), PictureIndex.build(vectors)
    for query in _vectors(20, seed=1):
        assert one.search(query, 5) == two.search(query, 5)


@pytest.mark.parametrize("exact_up_to", [10_000, 100])
def test_a_saved_index_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exact_up_to: int
) -> None:
    monkeypatch.setattr(picture_index, "EXACT_UP_TO", exact_up_to)
    vectors = _vectors(500).astype(np.float16)  # what the file holds
    index = PictureIndex.build(vectors)
    index.save(tmp_path)
    opened = PictureIndex.open(tmp_path)
    assert len(opened) == 500
    assert (tmp_path / "graph.usearch").exists() == (exact_up_to == 100)
    for query in _vectors(10, seed=1):
        assert opened.search(query, 5) == index.search(query, 5)


@pytest.mark.parametrize(("count", "k", "found"), [(0, 5, 0), (3, 5, 3), (3, 0, 0), (3, -1, 0)])
def test_it_finds_at_most_what_there_is_and_what_is_wanted(count: int, k: int, found: int) -> None:
    index = PictureIndex.build(_vectors(count))
    assert len(index.search(_vectors(1)[0], k)) == found


def test_missing_and_damaged_files_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SearchIndexError, match="build it again"):
        PictureIndex.open(tmp_path)
    monkeypatch.setattr(picture_index, "EXACT_UP_TO", 10)
    PictureIndex.build(_vectors(50)).save(tmp_path)
    (tmp_path / "graph.usearch").write_bytes(b"nonsense")
    with pytest.raises(SearchIndexError, match="build it again"):
        PictureIndex.open(tmp_path)
