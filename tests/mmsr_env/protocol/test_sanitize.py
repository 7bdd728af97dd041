"""No page, title or URL can forge a tag of the protocol or a special token of a model."""

from __future__ import annotations

import re
import sys
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsr_env.protocol.grammar import IMAGE_SEARCH, TAGS
from mmsr_env.protocol.sanitize import sanitize, sanitize_line

# Special tokens that public tokenizers of chat and vision-language models give a meaning to.
SPECIAL = """
<|im_start|> <|im_end|> <|endoftext|> <|vision_start|> <|vision_end|> <|image_pad|>
<|video_pad|> <|vision_pad|> <|object_ref_start|> <|box_start|> <|eot_id|> <|start_header_id|>
<|begin_of_text|> <|finetune_right_pad_id|> <|python_tag|> <|user|> <|assistant|> <|system|>
<|end|> <|image_1|> <|image|> <s> </s> <unk> <pad> <bos> <eos> <mask> <image> <video> <audio>
<img> </img> <IMG_CONTEXT> <box> </box> <ref> </ref> <quad> <image_pad> <image_soft_token>
<start_of_turn> <end_of_turn> <start_of_image> <end_of_image> <end_of_utterance>
<fake_token_around_image> <row_1_col_1> <global-img> <unused0> <loc0001> <0x0A> <im_start>
<im_end> <im_patch> <slice> <tool_call> </tool_call> <tool_response> <think> </think> <sop>
<eop> <<SYS>> <</SYS>> <｜begin▁of▁sentence｜> <｜User｜> <｜end▁of▁sentence｜> [INST] [/INST]
[IMG] [IMG_BREAK] [IMG_END] [TOOL_CALLS] [AVAILABLE_TOOLS] [/AVAILABLE_TOOLS] [SYSTEM_PROMPT]
[CLS] [SEP] [MASK] [PAD] [UNK] [BOS] [EOS] [gMASK] [sMASK] [THINK] [/THINK]
""".split()
FORGERIES = [*TAGS, IMAGE_SEARCH, *SPECIAL]


@pytest.mark.parametrize("token", FORGERIES)
@pytest.mark.parametrize("form", ["{}", "a{}b", "{0}{0}", "x {} y\n{}"])
def test_no_token_survives(token: str, form: str) -> None:
    assert token not in sanitize(form.format(token, token), 1000)
    assert token not in sanitize_line(form.format(token, token), 1000)


@pytest.mark.parametrize(
    "hidden", ["\u200b", "\u200d", "\u00ad", "\ufeff", "\u2060", "\x00", "\x7f"]
)
@pytest.mark.parametrize("token", ["</information>", "<|im_end|>", "[INST]"])
def test_hidden_characters_do_not_help(token: str, hidden: str) -> None:
    for place in range(1, len(token)):
        clean = sanitize(token[:place] + hidden + token[place:], 1000)
        assert token not in clean
        assert hidden not in clean


@pytest.mark.parametrize("bracket", ["\uff1c", "\ufe64", "\u226e"])
@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_a_tokenizer_that_normalises_makes_no_tag_of_it(bracket: str, form: str) -> None:
    clean = sanitize(f"{bracket}/information\uff1e{bracket}|im_end|>", 1000)
    assert "<" not in unicodedata.normalize(form, clean)


def test_every_character_that_can_become_an_angle_bracket_is_known() -> None:
    forms = ("NFC", "NFD", "NFKC", "NFKD")
    for code in range(sys.maxunicode + 1):
        char = chr(code)
        if any("<" in unicodedata.normalize(form, char) for form in forms):
            assert char not in sanitize(f"a{char}b", 10), hex(code)


def test_full_width_square_brackets_forge_nothing() -> None:
    assert "[INST]" not in unicodedata.normalize("NFKC", sanitize("［INST］ [ＩＮＳＴ]", 100))


def test_nested_tags_do_not_close_up() -> None:
    for nested in ("<<answer>answer>", "<</information>/information>", "<ans<answer>wer>"):
        assert not any(tag in sanitize(nested, 1000) for tag in TAGS)


def test_cutting_makes_no_tag() -> None:
    page = "x" * 5 + "</information>" + "<answer>"
    for length in range(1, len(page)):
        assert not any(tag in sanitize(page, length) for tag in TAGS)


@given(st.text(), st.integers(1, 200))
def test_nothing_left_is_a_bracket_or_hidden_or_too_long(text: str, length: int) -> None:
    clean = sanitize(text, length)
    assert len(clean) <= length
    assert not set(clean) & set("<\uff1c\ufe64")
    categories = {unicodedata.category(char) for char in clean if char not in "\t\n"}
    assert not categories & {"Cc", "Cf", "Cs", "Co", "Cn"}
    clean.encode("utf-8")
    line = sanitize_line(text, length)
    assert line == " ".join(line.split())
    assert len(line) <= length


@given(st.lists(st.sampled_from([*FORGERIES, "<", "/", "[", "\u200b", "\uff1c", " ", "a"])))
def test_no_mixture_of_pieces_makes_a_token(pieces: list[str]) -> None:
    clean = unicodedata.normalize("NFKC", sanitize("".join(pieces), 10_000))
    assert not any(token in clean for token in FORGERIES)


@given(st.text())
def test_it_is_idempotent(text: str) -> None:
    once = sanitize(text, 1000)
    assert sanitize(once, 1000) == once


def test_a_reader_still_sees_what_the_page_said() -> None:
    page = "Café – “naïve” €5, 東京 [1] [edit] 3 > 2\n\tтекст"
    assert sanitize(page, 1000) == page
    assert sanitize("use <b>bold</b>", 100) == "use ‹b>bold‹/b>"


def test_line_breaks_of_all_systems_stay_breaks() -> None:
    assert sanitize("a\r\nb\rc\x0cd\u2028e", 100) == "a\nb\nc\nd\ne"
    assert sanitize_line("a\r\nb\tc\u2029d", 100) == "a b c d"


@pytest.mark.parametrize(
    "piece", ["<", "< ", "<" + " " * 5000, "</", "[", "[/", "\u200b", "<|", "[A", "≮"]
)
def test_the_work_is_linear(piece: str) -> None:
    """Ten times the length takes nothing like a hundred times the time."""

    def seconds(length: int) -> float:
        page = (piece * (length // len(piece) + 1))[:length]
        best = float("inf")
        for _ in range(3):
            start = time.perf_counter()
            sanitize(page, length)
            best = min(best, time.perf_counter() - start)
        return best

    assert seconds(200_000) < 40 * max(seconds(20_000), 1e-4)


def test_a_huge_page_costs_what_is_kept_of_it() -> None:
    assert sanitize("\u200b" * 10 + "<" * 10_000_000, 100) == "‹" * 100


def test_everyday_titles_are_left_alone() -> None:
    titles = ["[1] Intro", "Foo [edit]", "A [sic] B", "arrays[0]", "f(x) [Hz]"]
    assert [sanitize_line(title, 100) for title in titles] == titles
    assert not re.search(r"[\[<]", sanitize_line("[/INST]<s>", 100))
