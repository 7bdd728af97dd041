"""Drawing emblems with Pillow: clean as in an encyclopedia, or as a photograph shows them."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

from mmsr_env.atlas.emblems import Emblem
from mmsr_env.types import Picture

SIDE = 112
"""The width and height of a drawing in pixels."""
_FINE = 2 * SIDE  # drawn at twice the size, then averaged, so that edges are smooth
_PAPER = (186, 183, 176)  # darker than white cloth, lighter than any other
_RGB = {
    "red": (208, 40, 44),
    "blue": (36, 72, 200),
    "green": (24, 140, 60),
    "yellow": (240, 205, 40),
    "purple": (132, 44, 160),
    "orange": (240, 126, 28),
    "black": (28, 28, 32),
    "white": (248, 248, 246),
}
_Points = list[tuple[float, float]]


def draw_emblem(emblem: Emblem) -> Picture:
    """The emblem, upright on plain paper, SIDE x SIDE pixels, RGB."""
    cloth = Image.new("RGB", (_FINE, _FINE), _RGB[emblem.field_colour])
    pen = ImageDraw.Draw(cloth)
    _draw_band(pen, emblem)
    centres, radius = _places(emblem)
    for x, y in centres:
        _draw_shape(pen, emblem.shape, x, y, radius, _RGB[emblem.shape_colour])
    mask = Image.new("L", cloth.size, 0)
    ImageDraw.Draw(mask).polygon(_outline(emblem.outline, 0.47), fill=255)
    if emblem.band == "rim":
        inner = Image.new("L", cloth.size, 0)
        ImageDraw.Draw(inner).polygon(_outline(emblem.outline, 0.41), fill=255)
        rim = Image.new("RGB", cloth.size, _RGB[emblem.band_colour])
        cloth = Image.composite(cloth, rim, inner)
    _draw_mark(ImageDraw.Draw(cloth), emblem)
    paper = Image.new("RGB", cloth.size, _PAPER)
    return Image.composite(cloth, paper, mask).reduce(2)


def photograph(picture: Picture, rng: np.random.Generator) -> Picture:
    """The picture seen again: another scale and tilt, other light, with noise; same size."""
    tilt = math.radians(float(rng.uniform(-10.0, 10.0)))
    scale = float(rng.uniform(0.95, 1.2))
    dx, dy = rng.uniform(-5.0, 5.0, size=2)
    cos, sin, half = math.cos(tilt) * scale, math.sin(tilt) * scale, SIDE / 2
    matrix = (
        cos,
        sin,
        half - cos * (half + dx) - sin * (half + dy),
        -sin,
        cos,
        half + sin * (half + dx) - cos * (half + dy),
    )
    ground = tuple(int(c) for c in rng.integers(150, 245, size=3))
    seen = picture.transform(
        picture.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=ground
    )
    pixels = np.asarray(seen, dtype=np.float32)
    light = rng.uniform(0.8, 1.15) * rng.uniform(0.94, 1.06, size=3).astype(np.float32)
    noise = rng.standard_normal(pixels.shape, dtype=np.float32) * np.float32(6.0)
    return Image.fromarray(np.clip(pixels * light + noise, 0, 255).astype(np.uint8))


def _outline(name: str, size: float) -> _Points:
    """The outline's corners in fine pixels; `size` is its half-width as a share of the side."""
    unit: _Points
    if name == "round":
        unit = _regular(40, 0.0)
    elif name == "hexagon":
        unit = _regular(6, 0.0)
    elif name == "lozenge":
        unit = [(0, -1), (0.95, 0), (0, 1), (-0.95, 0)]
    elif name == "shield":
        unit = [(-0.9, -0.95), (0.9, -0.95), (0.9, 0.15), (0.55, 0.7), (0, 1)]
        unit += [(-0.55, 0.7), (-0.9, 0.15)]
    else:
        unit = [(-0.92, -0.92), (0.92, -0.92), (0.92, 0.92), (-0.92, 0.92)]
    return [((0.5 + size * x) * _FINE, (0.5 + size * y) * _FINE) for x, y in unit]


def _regular(corners: int, turn: float) -> _Points:
    angles = [2 * math.pi * i / corners + turn for i in range(corners)]
    return [(math.cos(angle), math.sin(angle)) for angle in angles]


def _places(emblem: Emblem) -> tuple[_Points, float]:
    """Centres of the charges and their radius, in fine pixels; charges never touch."""
    count = ("one", "two", "three", "four").index(emblem.count) + 1
    step = {1: 0.0, 2: 0.28, 3: 0.215, 4: 0.175}[count]
    offsets = [(i - (count - 1) / 2) * step for i in range(count)]
    if emblem.arrangement == "line":
        points = [(x, 0.0) for x in offsets] if count > 1 else [(0.0, -0.1)]
    elif emblem.arrangement == "stack":
        points = [(0.0, y) for y in offsets] if count > 1 else [(0.0, 0.1)]
    else:
        # Two keep to the diagonal that has no marks.
        turn = {1: 0.0, 2: -math.pi / 4, 3: -math.pi / 2, 4: 0.0}[count]
        far = {1: 0.0, 2: 0.17, 3: 0.17, 4: 0.2}[count]
        points = [(far * x, far * y) for x, y in _regular(count, turn)]
    radius = {1: 0.2, 2: 0.12, 3: 0.092, 4: 0.074}[count]
    if emblem.arrangement == "ring" and count > 1:
        radius = 0.105
    return [((0.5 + x) * _FINE, (0.5 + y) * _FINE) for x, y in points], radius * _FINE


def _draw_shape(
    pen: ImageDraw.ImageDraw, shape: str, x: float, y: float, r: float, colour: tuple[int, int, int]
) -> None:
    if shape == "circle":
        pen.ellipse((x - r, y - r, x + r, y + r), fill=colour)
        return
    for part in _parts(shape):
        pen.polygon([(x + r * px, y + r * py) for px, py in part], fill=colour)


def _parts(shape: str) -> list[_Points]:
    """The polygons of a shape in the unit circle."""
    if shape == "star":
        radii = (1.05, 0.42)
        turns = [(math.pi * i / 5, radii[i % 2]) for i in range(10)]
        return [[(far * math.sin(turn), -far * math.cos(turn)) for turn, far in turns]]
    if shape == "moon":
        rim, away = _arc(0.2 * math.pi), 0.45
        x, y = rim[0]
        far = math.hypot(x - away, y)  # the hollow's circle goes through the moon's two tips
        hollow = _arc(math.atan2(y, x - away))
        return [[*rim, *((away + far * px, far * py) for px, py in reversed(hollow))]]
    if shape == "cross":
        return [_box(1.0, 0.32), _box(0.32, 1.0)]
    return {
        "square": [_box(0.85, 0.85)],
        "triangle": [[(0.0, -1.0), (1.0, 0.8), (-1.0, 0.8)]],
        "diamond": [[(0.0, -1.05), (0.75, 0.0), (0.0, 1.05), (-0.75, 0.0)]],
        "bar": [_box(0.3, 1.05)],
    }[shape]


def _arc(start: float) -> _Points:
    """The unit circle but for the part within `start` of angle 0, in 17 points."""
    angles = [start + 2 * (math.pi - start) * i / 16 for i in range(17)]
    return [(math.cos(angle), math.sin(angle)) for angle in angles]


def _box(x: float, y: float) -> _Points:
    return [(-x, -y), (x, -y), (x, y), (-x, y)]


def _draw_band(pen: ImageDraw.ImageDraw, emblem: Emblem) -> None:
    thick = 0.15 * _FINE
    boxes = {
        "top": (0, 0, _FINE, thick),
        "bottom": (0, _FINE - thick, _FINE, _FINE),
        "left": (0, 0, thick, _FINE),
        "right": (_FINE - thick, 0, _FINE, _FINE),
    }
    if emblem.band in boxes:
        pen.rectangle(boxes[emblem.band], fill=_RGB[emblem.band_colour])


def _draw_mark(pen: ImageDraw.ImageDraw, emblem: Emblem) -> None:
    """The mark lies on top, in a margin of the field's colour, so that nothing can hide it."""
    if not emblem.mark:
        return
    away = 0.17 if emblem.outline == "lozenge" else 0.21  # from the middle; inside the outline
    x = y = (0.5 - away if emblem.corner == "upper left" else 0.5 + away) * _FINE
    r, colour = 0.062 * _FINE, _RGB[emblem.mark_colour]
    box = (x - r, y - r, x + r, y + r)
    margin = 0.08 * _FINE
    around = (x - margin, y - margin, x + margin, y + margin)
    pen.ellipse(around, fill=_RGB[emblem.field_colour])
    if emblem.mark == "disc":
        pen.ellipse(box, fill=colour)
    elif emblem.mark == "ring":
        pen.ellipse(box, outline=colour, width=int(0.4 * r))
    else:
        pen.line(
            [(x - r, y), (x - 0.2 * r, y + r), (x + r, y - r)], fill=colour, width=int(0.5 * r)
        )
