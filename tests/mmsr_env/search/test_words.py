"""Words: the same for pages and queries, whatever the text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsr_env.search.local.words import MAX_WORD_BYTES, words

ANY_TEXT = st.text(st.characters(exclude_categories=()))  # lone surrogates included


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("St. John's, 77,006 (AED)", ["st", "john", "s", "77", "006", "aed"]),
        ("São Tomé ÅNGSTRÖM Straße", ["sao", "tome", "angstrom", "strasse"]),
        ("e\u0301te\u0301", ["ete"]),
        ("ΑΘΗΝΑ Москва", ["αθηνα", "москва"]),
        ("東京タワーへ go", ["東", "京", "タ", "ワ", "ー", "へ", "go"]),
        ("a \ud800 b", ["a", "b"]),
        ("ﬁne ２０", ["fine", "20"]),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@given(ANY_TEXT)
def test_any_text_has_words_that_an_index_can_hold(text: str) -> None:
    for word in words(text):
        assert word
        assert not any(character.isspace() for character in word)
        assert len(word.encode("utf-8")) < 2 * MAX_WORD_BYTES


@given(st.text(st.characters(codec="ascii")))
def test_case_does_not_matter(text: str) -> None:
    assert words(text.upper()) == words(text.lower())
