"""Passages: few sentences, in their order, those that matter."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mmsr_env.search.local.passage import MAX_SENTENCE, best_passage, sentences

PAGE = (
    "Zed is a town. It lies by a river. Its capital hall is old. Many people fish there. "
    "Rain is common. The mayor is called Ada. Trade is slow. Winters are mild."
)


def test_a_short_page_stays_whole() -> None:
    assert best_passage(PAGE, (), (), 8) == PAGE


def test_sentences_with_wanted_words_are_kept_in_the_order_of_the_page() -> None:
    assert best_passage(PAGE, ["winters", "mayor"], [], 2) == (
        "The mayor is called Ada. Winters are mild."
    )
    assert best_passage(PAGE, ["winters", "mayor", "town"], [], 3) == (
        "Zed is a town. The mayor is called Ada. Winters are mild."
    )


def test_a_word_that_few_sentences_have_weighs_more_than_one_of_many() -> None:
    assert best_passage(PAGE, ["is", "fish"], [], 1) == "Many people fish there."


def test_the_query_weighs_more_than_the_question_and_that_more_than_nothing() -> None:
    assert best_passage(PAGE, ["fish"], ["mayor"], 1) == "Many people fish there."
    assert best_passage(PAGE, [], ["mayor"], 1) == "The mayor is called Ada."


def test_the_small_words_of_a_question_say_nothing() -> None:
    assert best_passage(PAGE, [], ["what", "by", "does", "mayor"], 1) == "The mayor is called Ada."
    assert best_passage(PAGE, [], ["by"], 1) == "Zed is a town."


def test_where_nothing_matters_the_page_is_shown_from_its_beginning() -> None:
    assert best_passage(PAGE, (), (), 2) == "Zed is a town. It lies by a river."


def test_where_sentences_end() -> None:
    assert sentences(
        "St. John's is the capital. It rains! “Why?” she asked.\nA line\n\nAnother"
    ) == [
        "St. John's is the capital.",
        "It rains!",
        "“Why?”",
        "she asked.",
        "A line",
        "Another",
    ]
    assert sentences("今日は。明日は！") == ["今日は。", "明日は！"]


def test_a_page_without_full_stops_is_cut_between_words() -> None:
    text = " ".join(f"word{i}" for i in range(2000))
    cut = sentences(text)
    assert " ".join(cut) == text
    assert max(map(len, cut)) <= MAX_SENTENCE
    assert len(best_passage(text, ["word777"], [], 2)) <= 2 * MAX_SENTENCE + 1
    assert "word777" in best_passage(text, ["word777"], [], 2).split()


@given(st.text(), st.integers(1, 5))
def test_any_text_gives_a_passage_within_its_limit(text: str, limit: int) -> None:
    passage = best_passage(text, ["a"], ["b"], limit)
    assert len(passage) <= limit * (MAX_SENTENCE + 1)
    kept = "".join(passage.split())
    if len(sentences(text)) <= limit:
        assert kept == "".join(text.split())


@given(st.text("abc .!?\n", max_size=3000))
def test_sentences_lose_nothing_but_white_space(text: str) -> None:
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())
