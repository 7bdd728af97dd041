"""Small operations on pictures that indexing and showing them share."""

from __future__ import annotations

import io

from PIL import Image

from mmsr_env.types import Picture


def as_rgb(picture: Picture) -> Picture:
    """The picture in RGB; what is transparent is laid on white."""
    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        paper = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(paper, layer).convert("RGB")
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def shrink(picture: Picture, longest: int) -> Picture:
    """A copy whose longest side is at most `longest` pixels, its shape kept; never enlarged."""
    small = picture.copy()
    small.thumbnail((longest, longest), Image.Resampling.BICUBIC)
    return small


def encode(picture: Picture) -> bytes:
    """The picture as JPEG, its colours at full resolution: thumbnails have fine coloured parts."""
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=85, subsampling=0)
    return buffer.getvalue()


def decode(data: bytes) -> Picture:
    """The picture that `encode` wrote."""
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        return picture.convert("RGB")
