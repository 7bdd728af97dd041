"""A conversation as text that a person can read, in colour on a terminal."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL.Image import Image as Picture

from mmsr_env.lettering import visible
from mmsr_env.pictures import to_pixels, to_rgb
from mmsr_env.types import Conversation, Message, Task, Trajectory

_ROLE_COLOURS = {"user": "36", "assistant": "33", "system": "35"}  # cyan, yellow, magenta
_RULE_CHARS = 72
_MAX_CHARS = 8000
_THUMBNAIL = (24, 24)  # columns, and pixel rows of which two share a line


def to_ansi(
    task: Task, conversation: Conversation, ended: Trajectory | None, colour: bool = True
) -> str:
    """The conversation as text, each message under its role, pictures as blocks of colour.

    Args:
        task: What the conversation is about.
        conversation: Its messages.
        ended: The episode with its reward, where it has ended.
        colour: False leaves out every escape sequence, and the pictures but their sizes.
    """
    lines: list[str] = []
    for message in conversation:
        lines += _message(message, colour)
    lines += [_rule(f"reward {ended.reward:.3g}" if ended else "in progress", "32", colour)]
    if ended is not None:
        lines += [verdict(ended), f"expected: {visible(' | '.join(task.answers))}"]
    return "\n".join(lines)


def verdict(ended: Trajectory) -> str:
    """How an episode went, in a few words."""
    searches = {0: "no search", 1: "1 search"}.get(ended.searches, f"{ended.searches} searches")
    right = "right" if ended.correct else "wrong"
    kept = "format kept" if ended.format_kept else "format broken"
    return f"{right}, {searches}, {kept}, {str(ended.stop_reason).replace('_', ' ')}"


def shortened(text: str, most: int) -> str:
    """The text, or its beginning and how much more there is."""
    return text if len(text) <= most else f"{text[:most]}... ({len(text) - most} more characters)"


def _message(message: Message, colour: bool) -> Iterator[str]:
    yield _rule(message.role, _ROLE_COLOURS.get(message.role, "37"), colour)
    for block in message.content:
        if isinstance(block, str):
            yield visible(shortened(block, _MAX_CHARS)).strip("\n")
        else:
            yield f"[picture, {block.width} x {block.height}]"
            if colour:
                yield from _blocks(block)


def _rule(label: str, code: str, colour: bool) -> str:
    rule = f"── {label} ".ljust(_RULE_CHARS, "─")
    return f"\x1b[1;{code}m{rule}\x1b[0m" if colour else rule


def _blocks(picture: Picture) -> Iterator[str]:
    """A small picture in half blocks, an upper and a lower pixel in each, in 24-bit colour."""
    small = to_rgb(picture).copy()
    small.thumbnail(_THUMBNAIL)
    pixels = to_pixels(small)
    if len(pixels) % 2:
        pixels = np.concatenate([pixels, pixels[-1:]])
    for upper, lower in zip(pixels[::2], pixels[1::2], strict=True):
        cells = (
            f"\x1b[38;2;{';'.join(map(str, top))};48;2;{';'.join(map(str, bottom))}m▀"
            for top, bottom in zip(upper, lower, strict=True)
        )
        yield "".join(cells) + "\x1b[0m"
