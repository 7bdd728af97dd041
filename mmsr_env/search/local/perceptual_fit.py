"""Fits the linear map of the perceptual descriptor; run as a module, it writes the map anew.

Random drawings (fields, stripes, gradients, blots, polygons, borders) are each seen several times
through random tilt, crop, light, noise and recompression. The map is that of linear discriminant
analysis: directions in which drawings differ most in units of how much views of one differ.
"""

from __future__ import annotations

import colorsys
import io
import math
import random
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance

from mmsr_env.search.local.embedder import Vectors
from mmsr_env.search.local.perceptual import WEIGHTS, features
from mmsr_env.types import Picture

DRAWINGS, VIEWS, DIM, SEED = 4000, 6, 128, 7
_SIDE = 96
_RIDGE = 0.01  # share of the mean variance added to each: features that never vary stay harmless
_Colour = tuple[int, int, int]


def main() -> None:
    """Fit the map and write it beside this file."""
    rng = random.Random(SEED)
    batches = []
    for _ in range(DRAWINGS):
        picture = drawing(rng)
        batches.append(features([picture, *(seen_again(picture, rng) for _ in range(VIEWS))]))
    mean, projection = discriminants(np.stack(batches), DIM)
    path = Path(__file__).with_name(WEIGHTS)
    np.savez_compressed(
        path, mean=mean.astype(np.float16), projection=projection.astype(np.float16)
    )
    print(f"{path.name}: {projection.shape[0]} features to {DIM}")


def discriminants(groups: Vectors, dim: int) -> tuple[Vectors, Vectors]:
    """Linear discriminant analysis.

    Args:
        groups: [drawings, views, f].
        dim: How many directions to keep.

    Returns:
        The mean over all, [f], and the directions, [f, dim], best first, each scaled so that the
        views of one drawing have unit variance along it.
    """
    centres = groups.mean(axis=1, dtype=np.float64)
    spread = (groups - centres[:, None]).reshape(-1, groups.shape[2])
    within = spread.T @ spread / len(spread)
    within += _RIDGE * np.trace(within) / len(within) * np.eye(len(within))
    between = np.cov(centres, rowvar=False)
    # With within = L L', the generalised problem becomes an ordinary symmetric one.
    inverse = np.linalg.inv(np.linalg.cholesky(within))
    _, vectors = np.linalg.eigh(inverse @ between @ inverse.T)
    directions = inverse.T @ vectors[:, ::-1][:, :dim]
    return centres.mean(axis=0).astype(np.float32), directions.astype(np.float32)


def drawing(rng: random.Random) -> Picture:
    """A random drawing, _SIDE x _SIDE pixels."""
    picture = _ground(rng)
    pen = ImageDraw.Draw(picture)
    for _ in range(rng.choice((0, 1, 1, 1, 2))):
        _draw_blots(pen, rng)
    width = rng.choice((0, 0, 3, 5, 9))
    if width:
        pen.rectangle((0, 0, _SIDE - 1, _SIDE - 1), outline=_colour(rng), width=width)
    return picture


def seen_again(picture: Picture, rng: random.Random) -> Picture:
    """The picture through tilt, crop or margin, cast, light, contrast, noise and JPEG."""
    width, height = picture.size
    ground = tuple(rng.randrange(180, 256) for _ in range(3))
    seen = picture.rotate(rng.uniform(-15, 15), Image.Resampling.BICUBIC, fillcolor=ground)
    left, top, right, bottom = (rng.uniform(-0.1, 0.1) for _ in range(4))
    box = (left * width, top * height, (1 - right) * width, (1 - bottom) * height)
    seen = seen.transform(
        picture.size, Image.Transform.EXTENT, box, Image.Resampling.BICUBIC, fillcolor=ground
    )
    seen = ImageEnhance.Contrast(seen).enhance(rng.uniform(0.7, 1.3))
    light = np.array([rng.uniform(0.93, 1.07) for _ in range(3)]) * rng.uniform(0.7, 1.15)
    noise = np.random.default_rng(rng.getrandbits(32)).normal(0, 6, (height, width, 3))
    pixels = np.clip(np.asarray(seen) * light + noise, 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=rng.randrange(40, 90))
    return Image.open(buffer).convert("RGB")


def _colour(rng: random.Random) -> _Colour:
    if rng.random() < 0.25:
        grey = rng.choice((15, 60, 128, 200, 245))
        return grey, grey, grey
    red, green, blue = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.35, 1), rng.uniform(0.25, 1))
    return int(red * 255), int(green * 255), int(blue * 255)


def _ground(rng: random.Random) -> Picture:
    """What is drawn upon: one colour, stripes, a corner, or a soft pattern."""
    picture = Image.new("RGB", (_SIDE, _SIDE), _colour(rng))
    pen = ImageDraw.Draw(picture)
    kind = rng.choice(("plain", "plain", "stripes", "corner", "pattern"))
    if kind == "stripes":
        count, upright = rng.randint(2, 5), rng.random() < 0.5
        for i in range(count):
            a, b = i * _SIDE / count, (i + 1) * _SIDE / count
            pen.rectangle((a, 0, b, _SIDE) if upright else (0, a, _SIDE, b), fill=_colour(rng))
    elif kind == "corner":
        start = (rng.choice((0, _SIDE)), rng.choice((0, _SIDE / 2, _SIDE)))
        middle = (rng.choice((0, _SIDE / 2, _SIDE)), _SIDE)
        pen.polygon([start, middle, (_SIDE, 0)], fill=_colour(rng))
    elif kind == "pattern":
        side = rng.choice((2, 4, 8))
        cells = Image.frombytes("RGB", (side, side), rng.randbytes(side * side * 3))
        return cells.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
    return picture


def _draw_blots(pen: ImageDraw.ImageDraw, rng: random.Random) -> None:
    """One shape in one colour, one to six times, in a ring or scattered; some with a core."""
    count = rng.randint(1, 6)
    radius = rng.uniform(0.1, 0.4) * _SIDE / math.sqrt(count)
    corners, waist = rng.choice((0, 0, 2, 3, 4, 5, 6)), rng.choice((0.4, 0.6, 0.8, 1.0))
    turn = rng.choice((0, math.pi / 4, -math.pi / 2, rng.uniform(0, 6)))
    places = _places(rng, count)
    sizes = (1.0, 0.55) if rng.random() < 0.2 else (1.0,)
    for size in sizes:
        colour = _colour(rng)
        for x, y in places:
            _draw_blot(pen, (x, y), radius * size, (corners, waist, turn), colour)


def _places(rng: random.Random, count: int) -> list[tuple[float, float]]:
    if rng.random() < 0.5:
        low, high = 0.15 * _SIDE, 0.85 * _SIDE
        return [(rng.uniform(low, high), rng.uniform(low, high)) for _ in range(count)]
    far = rng.uniform(0.2, 0.35) * _SIDE if count > 1 else 0.0
    start = rng.choice((0, math.pi / 4, math.pi / 2, math.pi / 6))
    turns = [start + 2 * math.pi * i / count for i in range(count)]
    return [(_SIDE / 2 + far * math.cos(a), _SIDE / 2 + far * math.sin(a)) for a in turns]


def _draw_blot(
    pen: ImageDraw.ImageDraw,
    centre: tuple[float, float],
    radius: float,
    form: tuple[int, float, float],
    colour: _Colour,
) -> None:
    """A disc, or a star of so many points whose waist is a share of its radius."""
    (x, y), (corners, waist, turn) = centre, form
    if corners == 0:
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
        return
    angles = [(turn + math.pi * i / corners, waist if i % 2 else 1.0) for i in range(2 * corners)]
    points = [(x + radius * r * math.cos(a), y + radius * r * math.sin(a)) for a, r in angles]
    pen.polygon(points, fill=colour)


if __name__ == "__main__":
    main()
