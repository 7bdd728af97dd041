"""Looking at an emblem: a crude eye for the colours of its ground and of its shapes."""

from __future__ import annotations

import re

import numpy as np
from PIL.Image import Image as Picture

from mmsr_env.agents.writing import UNKNOWN

_COLOURS = {
    "red": (210, 40, 40),
    "blue": (40, 70, 200),
    "green": (30, 140, 60),
    "yellow": (240, 205, 40),
    "purple": (130, 45, 160),
    "orange": (240, 125, 30),
    "black": (30, 30, 30),
    "white": (248, 248, 248),
}
"""What each word means, roughly, in RGB."""
_MIDDLE = 0.3  # the radius, in picture sides, that holds the shapes and little else
_GROUND = re.compile(r"\bcolour is the ground\b")
_SHAPES = re.compile(r"\bcolour are the shapes\b")


def look(picture: Picture, question: str) -> str:
    """What the picture shows of what is asked; "unknown" where this eye cannot tell."""
    for wanted, rank in ((_GROUND, 0), (_SHAPES, 1)):
        if wanted.search(question):
            return _colours_in_the_middle(picture)[rank]
    return UNKNOWN


def _colours_in_the_middle(picture: Picture) -> list[str]:
    """The colour words, the one that most pixels in the middle are nearest to first."""
    pixels = np.asarray(picture.convert("RGB"), dtype=np.float32)
    height, width, _ = pixels.shape
    y, x = np.mgrid[:height, :width]
    middle = np.hypot(y / height - 0.5, x / width - 0.5) < _MIDDLE
    palette = np.array(list(_COLOURS.values()), dtype=np.float32)
    away = ((pixels[middle][:, None] - palette) ** 2).sum(axis=-1)
    counts = np.bincount(away.argmin(axis=1), minlength=len(palette))
    return [tuple(_COLOURS)[i] for i in np.argsort(-counts, kind="stable")]
