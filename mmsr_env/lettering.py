"""Text on pictures: runs of colour, broken into lines of a width, in a font that is always there.

The font is the one that Pillow carries, so that a drawing is the same on every machine. It has
the letters of English; accented ones are drawn without their accents, others as boxes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from PIL import ImageDraw, ImageFont

Colour: TypeAlias = tuple[int, int, int]
_PIECES = re.compile(r"\n|[^\S\n]+|\S+")
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_NO_GLYPH = "\uffff"
_STAND_INS = {"–": "-", "—": "-", "−": "-", "→": "->", "×": "x", "\t": "    "}


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of text in one colour."""

    text: str
    colour: Colour
    bold: bool = False


Line: TypeAlias = list[Run]


@dataclass(frozen=True, slots=True)
class Lettering:
    """One size of the font.

    Attributes:
        size: The font's size, in pixels.
    """

    size: int

    @property
    def line_height(self) -> int:
        return round(self.size * 1.4)

    def width(self, text: str, bold: bool = False) -> float:
        """How wide a text is when drawn, in pixels."""
        return _font(self.size).getlength(text) + (0.4 * len(text) if bold else 0.0)

    def wrap(self, runs: Iterable[Run], width: float, max_lines: int) -> list[Line]:
        """The runs as lines that are at most `width` pixels wide; what is too much is cut.

        A line feed begins a new line; a word wider than a line is broken.
        """
        lines: list[Line] = [[]]
        left = width
        for piece in self._pieces(runs, width):
            wide = self.width(piece.text, piece.bold)
            if piece.text == "\n" or (wide > left and lines[-1]):
                if len(lines) == max_lines:
                    lines[-1].append(Run(" ...", piece.colour))
                    return lines
                lines.append([])
                left = width
            if piece.text != "\n" and (lines[-1] or not piece.text.isspace()):
                lines[-1].append(piece)
                left -= wide
        return lines

    def draw(self, pen: ImageDraw.ImageDraw, x: float, y: float, lines: list[Line]) -> float:
        """Draw lines with their upper left corner at (x, y); the y below the last of them."""
        for line in lines:
            at = x
            for run in line:
                stroke = 0.4 if run.bold else 0.0
                pen.text((at, y), run.text, run.colour, _font(self.size), stroke_width=stroke)
                at += self.width(run.text, run.bold)
            y += self.line_height
        return y

    def _pieces(self, runs: Iterable[Run], width: float) -> Iterator[Run]:
        """Words, spaces and line feeds, none of them wider than a line."""
        for run in runs:
            for found in _PIECES.finditer(drawable(run.text)):
                piece = found[0]
                while len(piece) > 1 and self.width(piece, run.bold) > width:
                    fits = max(1, int(len(piece) * width / self.width(piece, run.bold)) - 1)
                    yield Run(piece[:fits], run.colour, run.bold)
                    piece = piece[fits:]
                yield Run(piece, run.colour, run.bold)


def visible(text: str) -> str:
    """The text with a mark in place of what cannot be printed: controls, lone surrogates."""
    return _UNSEEN.sub("\ufffd", text)


def drawable(text: str) -> str:
    """The text in characters that the font has, as far as that can be."""
    return "".join(map(_nearest, text))


@lru_cache(maxsize=4096)
def _nearest(char: str) -> str:
    if char == "\n" or _has_glyph(char):
        return char
    if char in _STAND_INS:
        return _STAND_INS[char]
    bare = "".join(c for c in unicodedata.normalize("NFKD", char) if not unicodedata.combining(c))
    return bare if bare and all(map(_has_glyph, bare)) else _NO_GLYPH


def _has_glyph(char: str) -> bool:
    font = _font(16)
    return char == " " or bytes(font.getmask(char)) != bytes(font.getmask(_NO_GLYPH))


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow was built without FreeType"
    return font.font_variant(layout_engine=ImageFont.Layout.BASIC)
