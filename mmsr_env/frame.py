"""A conversation as one picture of a fixed size: the question, the messages, the reward.

Everything is a picture that is set beside or above other pictures, and put in a card at the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
from PIL import Image, ImageDraw
from PIL.Image import Image as Picture

from mmsr_env.lettering import Colour, Lettering, Run
from mmsr_env.pictures import Pixels, to_rgb
from mmsr_env.protocol.grammar import INFORMATION, TAGS
from mmsr_env.rendering import shortened, verdict
from mmsr_env.types import Block, Conversation, Message, Task, Trajectory

WIDTH, HEIGHT = 1024, 1360
_MARGIN, _PADDING, _GAP = 20, 16, 8
_INNER = WIDTH - 2 * _MARGIN - 2 * _PADDING
_INDENT = 60  # the model's messages stand to the right, the others to the left
_TASK_SIDE, _HIT_SIDE = 144, 128
_MAX_CHARS = 4000
_MAX_PASSAGES = 8

_GROUND, _PAPER, _INK, _FAINT = (233, 236, 241), (255, 255, 255), (30, 34, 42), (128, 136, 150)
_BLUE, _GREEN, _AMBER, _RED = (37, 99, 190), (16, 124, 90), (176, 112, 8), (190, 46, 46)
_SMALL, _BODY, _LARGE = Lettering(14), Lettering(17), Lettering(24)
_TAG = re.compile("(" + "|".join(map(re.escape, TAGS)) + ")")
_ACTING = ("<answer>", "<text_search>")  # what stands after these is what the model does
_NUMBERED = re.compile(r"\n+(?=\d+\. )")


def to_frame(task: Task, conversation: Conversation, ended: Trajectory | None) -> Pixels:
    """The conversation as a picture, [HEIGHT, WIDTH, 3].

    The question is always at the top and the reward at the bottom. Where the messages between
    them do not fit, the newest are shown.

    Args:
        task: What the conversation is about.
        conversation: Its messages, the first of which asks the question.
        ended: The episode with its reward, where it has ended.
    """
    head, foot = _question(task), _foot(task, ended)
    room = HEIGHT - head.height - foot.height - 2 * _MARGIN - 2 * _GAP
    talk = _above([_message(message) for message in conversation[1:]], _GROUND)
    frame = Image.new("RGB", (WIDTH, HEIGHT), _GROUND)
    top = _MARGIN + head.height + _GAP
    frame.paste(talk, (_MARGIN, top + min(0, room - talk.height)))
    frame.paste(Image.new("RGB", (WIDTH, top), _GROUND))  # over what rose behind the question
    frame.paste(head, (_MARGIN, _MARGIN))
    frame.paste(foot, (_MARGIN, HEIGHT - _MARGIN - foot.height))
    return np.asarray(frame).copy()


def _question(task: Task) -> Picture:
    thumbnail = _fit(task.image, _TASK_SIDE)
    wide = _INNER - thumbnail.width - 2 * _GAP
    label = " - ".join(part for part in ("QUESTION", task.kind, task.id) if part)
    lines = [
        _text([Run(label, _FAINT)], _SMALL, wide, 1),
        _text([Run(task.question, _INK, bold=True)], _LARGE, wide, 5),
    ]
    return _card(_beside([thumbnail, _above(lines)]), _FAINT, _INNER)


def _message(message: Message) -> Picture:
    """A message as a card of its role."""
    wide = _INNER - _INDENT
    if message.role == "assistant":
        words = _text(_said(shortened(message.text, _MAX_CHARS)), _BODY, wide, 9)
        card = _card(_above([_label("MODEL", _BLUE), words]), _BLUE, wide)
        row = Image.new("RGB", (WIDTH - 2 * _MARGIN, card.height), _GROUND)
        row.paste(card, (row.width - card.width, 0))
        return row
    body, after = _results(message.content)
    if not body:
        words = _text([Run(message.text, _INK)], _BODY, wide, 6)
        return _card(_above([_label("ENVIRONMENT", _AMBER), words]), _AMBER, wide)
    told = _text([Run(" ".join(after.split()), _FAINT)], _SMALL, wide, 1)
    parts = [_label("SEARCH RESULTS", _GREEN), _found(body, wide), told]
    return _card(_above(parts), _GREEN, wide)


def _said(text: str) -> Iterable[Run]:
    """A model's message, its tags faint and its action in bold."""
    inside = ""
    for piece in _TAG.split(text):
        if piece in TAGS:
            inside = piece
            yield Run(piece, _BLUE if piece == "<img>" else _FAINT, bold=piece == "<img>")
        else:
            acts = inside in _ACTING
            yield Run(piece, _BLUE if acts else _INK, bold=acts)


def _results(blocks: Iterable[Block]) -> tuple[list[Block], str]:
    """What a message brings between the information tags, and the words after them."""
    body: list[Block] = []
    after, inside = "", False
    for block in blocks:
        if not isinstance(block, str):
            body.append(block)
            continue
        if INFORMATION[0] in block and not inside:
            block, inside = block.partition(INFORMATION[0])[2], True
        found, end, rest = block.rpartition(INFORMATION[1])
        body.append(found if end else rest)
        after = rest if end else after
    return (body, after) if inside else ([], "")


def _found(body: list[Block], wide: int) -> Picture:
    """Results: pictures in a row with their titles below, or passages below one another."""
    pictures = [place for place, block in enumerate(body) if not isinstance(block, str)]
    if not pictures:
        told = "".join(block for block in body if isinstance(block, str)).strip()
        passages = _NUMBERED.split(told) if _NUMBERED.search(told) else told.splitlines()
        return _above(_passage(passage, wide) for passage in passages[:_MAX_PASSAGES])
    column = min(_HIT_SIDE, (wide - 2 * _GAP * (len(pictures) - 1)) // len(pictures))
    hits = []
    for place in pictures:
        title = body[place + 1] if place + 1 < len(body) else ""
        title = title.strip() if isinstance(title, str) else ""
        caption = _text([Run(title, _INK)], _SMALL, column, 3)
        image = body[place]
        assert not isinstance(image, str)
        hits.append(_above([_fit(image, column), caption]))
    return _beside(hits)


def _passage(text: str, wide: int) -> Picture:
    title, feed, rest = text.strip().partition("\n")
    runs = [Run(title, _INK, bold=bool(feed)), Run(feed + rest, _INK)]
    return _text(runs, _SMALL, wide, 3)


def _foot(task: Task, ended: Trajectory | None) -> Picture:
    if ended is None:
        return _card(_text([Run("in progress", _FAINT)], _LARGE, _INNER, 1), _FAINT, _INNER)
    colour = _GREEN if ended.correct else _RED
    expected = f"expected: {' | '.join(task.answers)}"
    lines = [
        _text(
            [
                Run(f"reward {ended.reward:.3g}", colour, bold=True),
                Run(f"   {verdict(ended)}", _INK),
            ],
            _LARGE,
            _INNER,
            1,
        ),
        _text([Run(expected, _INK)], _BODY, _INNER, 1),
    ]
    return _card(_above(lines), colour, _INNER)


def _label(text: str, colour: Colour) -> Picture:
    return _text([Run(text, colour, bold=True)], _SMALL, _INNER, 1)


def _text(runs: Iterable[Run], lettering: Lettering, width: int, most: int) -> Picture:
    """Text in at most so many lines, on paper; as wide as it is allowed to be."""
    lines = lettering.wrap(runs, width - 2 * lettering.size, most)
    picture = Image.new("RGB", (width, lettering.line_height * len(lines)), _PAPER)
    lettering.draw(ImageDraw.Draw(picture), 0, 0, lines)
    return picture


def _fit(picture: Picture, side: int) -> Picture:
    """The picture as large as fits into a square, enlarged if it is small."""
    scale = side / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return to_rgb(picture).resize(size, Image.Resampling.BICUBIC)


def _above(pictures: Iterable[Picture], ground: Colour = _PAPER) -> Picture:
    """Pictures below one another, the first on top."""
    stack = list(pictures)
    if not stack:
        return Image.new("RGB", (1, 1), ground)
    height = sum(p.height for p in stack) + _GAP * (len(stack) - 1)
    whole = Image.new("RGB", (max(p.width for p in stack), height), ground)
    y = 0
    for picture in stack:
        whole.paste(picture, (0, y))
        y += picture.height + _GAP
    return whole


def _beside(pictures: list[Picture]) -> Picture:
    """Pictures beside one another, their tops level."""
    width = sum(p.width for p in pictures) + 2 * _GAP * (len(pictures) - 1)
    whole = Image.new("RGB", (width, max(p.height for p in pictures)), _PAPER)
    x = 0
    for picture in pictures:
        whole.paste(picture, (x, 0))
        x += picture.width + 2 * _GAP
    return whole


def _card(content: Picture, accent: Colour, wide: int) -> Picture:
    """Content on paper with round corners and a stripe of colour at its left."""
    size = (wide + 2 * _PADDING, content.height + 2 * _PADDING)
    card = Image.new("RGB", size, _GROUND)
    pen = ImageDraw.Draw(card)
    right, bottom = size[0] - 1, size[1] - 1
    pen.rounded_rectangle((0, 0, right, bottom), radius=10, fill=accent)
    pen.rounded_rectangle((5, 0, right, bottom), radius=8, fill=_PAPER)
    card.paste(content, (_PADDING, _PADDING))
    return card
