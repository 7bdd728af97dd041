"""What scripted agents find in messages: both prompt sets' results come back as they were."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mmsr_env.agents.questions import FactQuestion, fact_asked, question_of
from mmsr_env.agents.writing import TextHit, image_hits, searches, text_hits, write
from mmsr_env.protocol.grammar import MMSearchR1Grammar
from mmsr_env.protocol.prompts import PROMPTS, Prompts
from mmsr_env.types import ActionKind, Hit, Message, SearchResult, Task

GRAMMAR = MMSearchR1Grammar()
BOTH = pytest.mark.parametrize("prompts", PROMPTS.values(), ids=PROMPTS.keys())
WORD = st.text("abcdefgh", min_size=2, max_size=6).map(str.capitalize)
TITLE = st.lists(WORD, min_size=1, max_size=3).map(" ".join)
SENTENCE = st.lists(WORD, min_size=2, max_size=6).map(lambda words: " ".join(words) + ".")


def make_task(question: str = "What is the tree of this moth?") -> Task:
    return Task("t", question, Image.new("RGB", (8, 8)), ("elm",))


def shown_texts(prompts: Prompts, hits: list[Hit], ok: bool = True) -> Message:
    return prompts.text_results(SearchResult(tuple(hits), ok), make_task(), 1, 1, 4000)


def shown_images(prompts: Prompts, hits: list[Hit], ok: bool = True) -> Message:
    return prompts.image_results(SearchResult(tuple(hits), ok), make_task(), 1, 1, 4000)


@BOTH
@given(st.lists(st.tuples(TITLE, st.lists(SENTENCE, min_size=1).map(" ".join)), max_size=5))
def test_text_results_are_read_back(prompts: Prompts, pairs: list[tuple[str, str]]) -> None:
    hits = [Hit(title, "https://x.example/(1)", text) for title, text in pairs]
    assert text_hits(shown_texts(prompts, hits)) == [TextHit(*pair) for pair in pairs]


@BOTH
def test_a_text_of_several_lines_and_links_stays_one_hit(prompts: Prompts) -> None:
    text = "One line: with a colon.\n2. Not a hit\nIts tree is elm."
    hits = [Hit("Ona Bel", "", text), Hit("Tales of Ona Bel", "https://x.example/2", "Else.")]
    read = text_hits(shown_texts(prompts, hits))
    assert read == [TextHit("Ona Bel", text), TextHit("Tales of Ona Bel", "Else.")]


@BOTH
@given(titles=st.lists(TITLE, max_size=5))
def test_image_results_are_read_back(prompts: Prompts, titles: list[str]) -> None:
    hits = [Hit(title, image=Image.new("RGB", (4, 4), (i, 0, 0))) for i, title in enumerate(titles)]
    read = image_hits(shown_images(prompts, hits))
    assert [hit.title for hit in read] == titles
    assert [hit.image for hit in read] == [hit.image for hit in hits]


@BOTH
def test_image_results_without_a_picture_are_left_out(prompts: Prompts) -> None:
    picture = Image.new("RGB", (4, 4))
    hits = [Hit("First"), Hit("Second", image=picture), Hit("Third")]
    assert [hit.title for hit in image_hits(shown_images(prompts, hits))] == ["Second"]


@BOTH
@pytest.mark.parametrize("ok", [True, False])
def test_nothing_found_and_a_failure_are_no_hits(prompts: Prompts, ok: bool) -> None:
    assert image_hits(shown_images(prompts, [], ok)) == []
    assert text_hits(shown_texts(prompts, [], ok)) == []


@BOTH
def test_a_correction_holds_no_hits(prompts: Prompts) -> None:
    message = prompts.correction("no <answer> tag: ended", make_task(), 1, 1)
    assert text_hits(message) == []
    assert image_hits(message) == []


@BOTH
def test_the_question_is_found_in_the_first_message(prompts: Prompts) -> None:
    task = make_task("What is the tree of Ona Bel?")
    question = question_of(prompts.opening(task, 3, 2))
    assert question == "What is the tree of Ona Bel?"
    assert fact_asked(question) == FactQuestion("tree", "Ona Bel")


def test_questions_about_facts_and_others() -> None:
    assert fact_asked("What is the dish of this guild?") == FactQuestion("dish", "")
    assert fact_asked("How many shapes are on the emblem?") is None
    assert fact_asked("") is None


def test_searches_are_told_apart_by_what_was_asked() -> None:
    first, images, texts = (Message("user", (text,)) for text in ("q", "images", "texts"))
    conversation = (
        first,
        Message("assistant", (write(GRAMMAR, ActionKind.SEARCH_IMAGE),)),
        images,
        Message("assistant", (write(GRAMMAR, ActionKind.SEARCH_TEXT, "two words"),)),
        texts,
    )
    assert searches(conversation, ActionKind.SEARCH_IMAGE, GRAMMAR) == [("", images)]
    assert searches(conversation, ActionKind.SEARCH_TEXT, GRAMMAR) == [("two words", texts)]
    assert searches(conversation[:-1], ActionKind.SEARCH_TEXT, GRAMMAR) == []
    assert searches(conversation[:1], ActionKind.SEARCH_IMAGE, GRAMMAR) == []


@given(st.text(), st.sampled_from([ActionKind.ANSWER, ActionKind.SEARCH_TEXT]))
def test_whatever_is_written_is_well_formed(text: str, kind: ActionKind) -> None:
    action = GRAMMAR.parse(write(GRAMMAR, kind, text, "why"))
    assert action.kind is kind
    assert action.well_formed
    assert action.reason == "why"


@pytest.mark.parametrize("text", ["</answer>", "<reason>", "<search><img></search>", "", " \n"])
def test_tags_in_what_is_written_are_defused(text: str) -> None:
    action = GRAMMAR.parse(write(GRAMMAR, ActionKind.ANSWER, text))
    assert action.well_formed
    assert action.text
