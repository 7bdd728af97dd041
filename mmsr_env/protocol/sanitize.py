"""What a web page may not smuggle into a prompt: protocol tags, special tokens, hidden text.

Search results are written by strangers. Their text is shown to the model between tags, and is
turned into tokens by a tokenizer that gives some strings a special meaning. All of those begin
with a "<" or are a word in square brackets, and every model has others; so no list of them is
kept. Every bracket that could begin one is changed for one that looks like it and means
nothing, so that a reader still sees what the page said.
"""

from __future__ import annotations

import re
import unicodedata

_HARMLESS = "‹"
# "<" and what a tokenizer that normalises (NFKC, or NFD) makes it of; then the like for "[".
_BRACKETS = "<\uff1c\ufe64\u226e\uff3b\ufe47"
# [INST], [/INST], [IMG_END], [TOOL_CALLS], [CLS], [gMASK] and their like, by their capitals.
_SQUARE = re.compile(r"\[(?=/?[a-z]?[A-Z_\uff21-\uff3a]{2})")
_BREAKS = re.compile("\r\n|[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn"}  # controls, format marks, surrogates, unassigned
_PLAIN = re.compile(r"[\t\n\x20-\x7e\xa1-\xac\xae-\u0233]*\Z")


def sanitize(text: str, max_chars: int) -> str:
    """The text without anything that acts, cut to `max_chars`; line breaks and tabs stay.

    The result holds no "<" of any width. The work is linear in `max_chars`, whatever comes.
    """
    text = text[: max_chars * 2]  # bounds the work on a hostile page; hidden marks may go yet
    if not _PLAIN.match(text):
        text = "".join(map(_visible, _BREAKS.sub("\n", text)))
    for bracket in _BRACKETS:
        text = text.replace(bracket, _HARMLESS)
    return _SQUARE.sub(_HARMLESS, text)[:max_chars].strip()


def sanitize_line(text: str, max_chars: int) -> str:
    """As `sanitize`, for what belongs on one line: a title or a URL."""
    return " ".join(sanitize(text, max_chars).split())


def _visible(char: str) -> str:
    return "" if char not in "\t\n" and unicodedata.category(char) in _HIDDEN else char
