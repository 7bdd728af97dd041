"""Reading and writing actions, checked against a slow reading of the protocol's text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsr_env.errors import InvalidSettingError, UnknownNameError
from mmsr_env.protocol.grammar import GRAMMARS, TAGS, MMSearchR1Grammar, get_grammar
from mmsr_env.types import Action, ActionKind

GRAMMAR = MMSearchR1Grammar()
ARGUMENT_KINDS = (ActionKind.ANSWER, ActionKind.SEARCH_TEXT)


def free_of_tags(text: str) -> bool:
    return not any(tag in text for tag in TAGS)


words = st.text().map(str.strip).filter(free_of_tags)
actions = st.one_of(
    st.builds(Action, st.just(ActionKind.SEARCH_IMAGE), st.just(""), words),
    st.builds(Action, st.sampled_from(ARGUMENT_KINDS), words.filter(bool), words),
)
soup = st.lists(st.one_of(st.sampled_from([*TAGS, " ", "\n", "<", ">", "/"]), st.text())).map(
    "".join
)


@given(actions)
def test_what_is_rendered_is_read_again(action: Action) -> None:
    assert GRAMMAR.parse(GRAMMAR.render(action)) == action


@given(actions, st.text(" \n\t\r"), st.text(" \n\t\r"))
def test_white_space_around_a_message_changes_nothing(
    action: Action, before: str, after: str
) -> None:
    assert GRAMMAR.parse(before + GRAMMAR.render(action) + after) == action


@given(soup)
def test_any_text_is_read_and_what_is_wrong_is_said(text: str) -> None:
    action = GRAMMAR.parse(text)
    assert action.well_formed == (action.problem == "")
    assert action.kind is not ActionKind.MALFORMED or action.problem
    if action.kind is ActionKind.SEARCH_TEXT:
        assert action.text.strip()
    if action.kind is ActionKind.SEARCH_IMAGE:
        assert action.text == ""


def slowly(text: str) -> tuple[ActionKind, str, bool]:
    """Kind, argument and form by scanning character by character for tags."""
    marks, plain, place = [], [""], 0
    while place < len(text):
        tag = next((tag for tag in TAGS if text.startswith(tag, place)), "")
        if tag:
            marks.append(tag)
            plain.append("")
        else:
            plain[-1] += text[place]
        place += len(tag) or 1
    ends_at_tag = bool(marks) and not plain[-1].strip()
    image_search = ["<search>", "<img>", "</search>"]
    if ends_at_tag and marks[-3:] == image_search and not (plain[-2] + plain[-3]).strip():
        return ActionKind.SEARCH_IMAGE, "", _form(marks[:-3], plain[0])
    for kind, name in ((ActionKind.ANSWER, "answer"), (ActionKind.SEARCH_TEXT, "text_search")):
        if ends_at_tag and marks[-1] == f"</{name}>" and f"<{name}>" in marks[:-1]:
            argument = text[text.rindex(f"<{name}>") + len(name) + 2 : text.rindex(f"</{name}>")]
            empty = not argument.strip()
            if empty and kind is ActionKind.SEARCH_TEXT:
                break
            alone = marks[-2] == f"<{name}>"
            kept = alone and not empty and _form(marks[:-2], plain[0])
            return kind, argument.strip(), kept
    return ActionKind.MALFORMED, "", False


def _form(tags_before: list[str], text_before: str) -> bool:
    return tags_before == ["<reason>", "</reason>"] and not text_before.strip()


@given(soup)
def test_a_slow_reading_agrees(text: str) -> None:
    action = GRAMMAR.parse(text)
    kind, argument, kept = slowly(text)
    assert (action.kind, action.well_formed) == (kind, kept)
    if kind is not ActionKind.MALFORMED:
        assert action.text == argument


@pytest.mark.parametrize(
    ("text", "kind", "argument"),
    [
        ("<reason>r</reason><search><img></search>", ActionKind.SEARCH_IMAGE, ""),
        ("<reason>r</reason>\n<search> <img>\n</search>\n", ActionKind.SEARCH_IMAGE, ""),
        ("<reason>r</reason><text_search>q</text_search>", ActionKind.SEARCH_TEXT, "q"),
        ("<reason>a\nb</reason>\n<text_search>\none\ntwo\n</text_search>  \n",
         ActionKind.SEARCH_TEXT, "one\ntwo"),
        ("<reason></reason><answer>x</answer>", ActionKind.ANSWER, "x"),
        ("<reason>r</reason> So: <answer> x </answer>", ActionKind.ANSWER, "x"),
    ],
)  # fmt: skip
def test_well_formed_messages(text: str, kind: ActionKind, argument: str) -> None:
    action = GRAMMAR.parse(text)
    assert (action.kind, action.text, action.problem) == (kind, argument, "")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("<answer>x</answer>", ActionKind.ANSWER),
        ("Well, <reason>r</reason><answer>x</answer>", ActionKind.ANSWER),
        ("<reason>r<answer>x</answer>", ActionKind.ANSWER),
        ("<reason>r</reason><answer></answer>", ActionKind.ANSWER),
        ("<reason>r</reason><answer>y</answer><answer>x</answer>", ActionKind.ANSWER),
        ("<reason>r</reason><answer><answer>x</answer>", ActionKind.ANSWER),
        ("<reason>r</reason><reason>r</reason><answer>x</answer>", ActionKind.ANSWER),
        ("<reason>r</reason><text_search>q</text_search><answer>x</answer>", ActionKind.ANSWER),
        ("<reason><information>I know</information></reason><answer>x</answer>",
         ActionKind.ANSWER),
        ("<answer>x</answer><reason>r</reason><search><img></search>", ActionKind.SEARCH_IMAGE),
        ("<search><img></search>", ActionKind.SEARCH_IMAGE),
        ("<text_search>q</text_search>", ActionKind.SEARCH_TEXT),
    ],
)  # fmt: skip
def test_messages_that_act_but_break_the_format(text: str, kind: ActionKind) -> None:
    action = GRAMMAR.parse(text)
    assert action.kind is kind
    assert action.problem


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Paris",
        "<reason>r</reason>",
        "<reason>r</reason><answer>x",
        "<reason>r</reason>x</answer>",
        "<reason>r</reason><answer>x</answer> is my answer",
        "<reason>r</reason><text_search></text_search>",
        "<reason>r</reason><text_search> \n </text_search>",
        "<reason>r</reason><search>words</search>",
        "<reason>r</reason><search></search>",
        "<reason>r</reason><ANSWER>x</ANSWER>",
        "<reason>r</reason><search><img></search> now",
    ],
)
def test_messages_that_ask_for_nothing(text: str) -> None:
    action = GRAMMAR.parse(text)
    assert action.kind is ActionKind.MALFORMED
    assert action.problem


def test_the_last_answer_counts() -> None:
    assert GRAMMAR.parse("<answer>a</answer> no <answer>b</answer>").text == "b"


@pytest.mark.parametrize("kind", [*ARGUMENT_KINDS, ActionKind.SEARCH_IMAGE])
@pytest.mark.parametrize("tag", TAGS)
def test_no_tag_can_be_written_inside_an_action(kind: ActionKind, tag: str) -> None:
    with pytest.raises(InvalidSettingError):
        GRAMMAR.render(Action(kind, "", f"a{tag}b"))
    with pytest.raises(InvalidSettingError):
        GRAMMAR.render(Action(kind, f"a{tag}b"))


@pytest.mark.parametrize(
    "action",
    [
        Action(ActionKind.MALFORMED),
        Action(ActionKind.SEARCH_TEXT, ""),
        Action(ActionKind.SEARCH_TEXT, " \n"),
        Action(ActionKind.ANSWER, ""),
        Action(ActionKind.SEARCH_IMAGE, "words"),
        Action(ActionKind.ANSWER, "x", "r", problem="something"),
    ],
)
def test_what_no_text_says_cannot_be_written(action: Action) -> None:
    with pytest.raises(InvalidSettingError):
        GRAMMAR.render(action)


def test_white_space_at_the_ends_is_no_reason_to_refuse() -> None:
    text = GRAMMAR.render(Action(ActionKind.ANSWER, " x\n", "\tr "))
    assert GRAMMAR.parse(text) == Action(ActionKind.ANSWER, "x", "r")


@pytest.mark.parametrize("piece", ["<answer>", "<search> ", "<search><img>", "<reason></reason>"])
def test_a_huge_message_is_read(piece: str) -> None:
    for end in ("", "</answer>", "<search><img></search>"):
        assert GRAMMAR.parse(piece * 100_000 + end).problem


def test_grammars_are_chosen_by_name() -> None:
    assert get_grammar("mmsearch_r1") is GRAMMARS["mmsearch_r1"]
    assert all(grammar.name == name for name, grammar in GRAMMARS.items())
    with pytest.raises(UnknownNameError, match="mmsearch_r1"):
        get_grammar("mmsearch_r2")
