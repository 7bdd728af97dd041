"""The text index against BM25 written from its formula, and its order, and its limits."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsr_env.errors import SearchIndexError
from mmsr_env.search.local import text_index
from mmsr_env.search.local.corpus import Page
from mmsr_env.search.local.text_index import TextIndex

VOCABULARY = ("ant", "bee", "cat", "dog", "eel")


def bm25(
    documents: list[list[str]], query: set[str], k1: float = 1.2, b: float = 0.75
) -> list[float]:
    """Robertson and Zaragoza 2009, equation 3.15, with the idf that is never negative."""
    mean = sum(map(len, documents)) / len(documents)
    scores = []
    for document in documents:
        counts, score = Counter(document), 0.0
        for word in query:
            having = sum(word in other for other in documents)
            idf = math.log(1 + (len(documents) - having + 0.5) / (having + 0.5))
            saturation = k1 * (1 - b + b * len(document) / mean)
            score += idf * counts[word] * (k1 + 1) / (counts[word] + saturation)
        scores.append(score)
    return scores


# Up to 40 words a page, its title twice among them: longer ones' lengths are stored rounded.
_DOCUMENTS = st.lists(st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=30), min_size=1)


@settings(max_examples=40)
@given(_DOCUMENTS, st.sets(st.sampled_from(VOCABULARY), min_size=1))
def test_scores_are_those_of_the_formula(documents: list[list[str]], query: set[str]) -> None:
    index = TextIndex.build(
        Page(f"u{i}", document[0], " ".join(document)) for i, document in enumerate(documents)
    )
    expected = bm25([[words[0], words[0], *words] for words in documents], query)
    found = dict(index.search(sorted(query), len(documents)))
    assert {number for number, score in enumerate(expected) if score > 0} == set(found)
    for number, score in found.items():
        assert score == pytest.approx(expected[number], rel=1e-4)


def test_a_word_of_the_title_counts_more_than_one_of_the_text() -> None:
    index = TextIndex.build([Page("a", "x", "owl y z"), Page("b", "owl", "x y z")])
    assert [number for number, _ in index.search(["owl"], 5)] == [1, 0]


def test_pages_that_tie_come_in_the_order_of_the_corpus() -> None:
    index = TextIndex.build([Page(str(i), "same", "same words") for i in range(30)])
    assert [number for number, _ in index.search(["same"], 7)] == list(range(7))


def test_searching_for_nothing_or_for_no_pages_finds_nothing() -> None:
    index = TextIndex.build([Page("a", "a", "a")])
    assert index.search([], 5) == index.search(["a"], 0) == index.search(["b"], 5) == []
    assert TextIndex.build([]).search(["a"], 5) == []


def test_common_words_are_left_out_unless_there_are_no_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pages = [Page(str(i), f"n{i}", "common " * (i + 1)) for i in range(20)]
    index = TextIndex.build(pages)
    both = index.search(["n7", "common"], 20)
    assert len(both) == 20
    monkeypatch.setattr(text_index, "COMMON_PAGES", 5)
    assert [number for number, _ in index.search(["n7", "common"], 20)] == [7]
    assert len(index.search(["common"], 20)) == 20


def test_only_so_many_distinct_words_of_a_query_count() -> None:
    index = TextIndex.build([Page("a", "needle", "")])
    hay = [f"hay{i}" for i in range(text_index.MAX_WORDS - 1)]
    assert index.search([*hay, *hay, "needle"], 1)
    assert not index.search([*hay, "straw", "needle"], 1)


def test_an_index_on_disk_is_the_one_in_memory(tmp_path: Path) -> None:
    pages = [Page(str(i), f"title{i % 3}", f"{i % 5} ant") for i in range(50)]
    memory = TextIndex.build(pages)
    TextIndex.build(pages, tmp_path)
    disk = TextIndex.open(tmp_path)
    for query in (["ant"], ["title1", "4"], ["3", "0", "title2"]):
        assert disk.search(query, 9) == memory.search(query, 9)
    assert len(disk) == 50
    assert disk.pages_with("title0") == 17


def test_a_folder_without_an_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SearchIndexError, match="build it again"):
        TextIndex.open(tmp_path)
