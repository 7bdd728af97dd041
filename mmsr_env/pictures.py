"""Pictures of any kind as plain RGB, as the environment shows them and task files are read."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps
from PIL.Image import Image as Picture

Pixels: TypeAlias = npt.NDArray[np.uint8]
"""[H, W, 3], RGB."""

_WIDE_MODES = ("I", "F")  # more than 8 bits a channel; "I;16" and its kin begin with "I" too
_ALPHA_MODES = ("RGBA", "RGBa", "LA", "La", "PA")
_ORIENTATION = 0x0112  # the EXIF tag that says how a camera was held


def to_rgb(picture: Picture) -> Picture:
    """A picture of any mode as RGB; transparent parts become white, no pixel area becomes 1 x 1."""
    if 0 in picture.size:
        return Image.new("RGB", (1, 1))
    if picture.mode == "RGB" and "transparency" not in picture.info:
        return picture
    if picture.mode.startswith(_WIDE_MODES):
        return _eight_bit(picture).convert("RGB")
    if picture.mode in _ALPHA_MODES or "transparency" in picture.info:
        # Pillow knows no direct way from "La".
        layered = (picture.convert("LA") if picture.mode == "La" else picture).convert("RGBA")
        white = Image.new("RGBA", layered.size, "white")
        return Image.alpha_composite(white, layered).convert("RGB")
    if picture.mode == "LAB":  # which Pillow converts with a colour profile only
        return picture.getchannel(0).convert("RGB")
    return picture.convert("RGB")


def to_pixels(picture: Picture) -> Pixels:
    """A picture's pixels, [H, W, 3] uint8 RGB, in memory of their own."""
    return np.array(to_rgb(picture), dtype=np.uint8)


def picture_problem(source: bytes | Path) -> str:
    """What is wrong with an encoded picture or its file, by its header; "" where nothing is.

    Nothing is decoded, so this is quick, and a picture too large to be safe is not opened.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(_readable(source)) as picture:
                return "" if 0 not in picture.size else "the picture has no area"
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return f"the picture is larger than {Image.MAX_IMAGE_PIXELS} pixels"
    except Exception as error:  # noqa: BLE001  # decoders of hostile bytes raise anything
        return f"not a picture that Pillow reads ({type(error).__name__})"


def decode_picture(source: bytes | Path) -> Picture:
    """An encoded picture or its file, upright and in RGB.

    Raises:
        OSError: It is no picture, or a broken one.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about metadata, which is not kept
            with Image.open(_readable(source)) as opened:
                opened.load()
                turned = opened.getexif().get(_ORIENTATION, 1) != 1
                upright = ImageOps.exif_transpose(opened) if turned else opened
                return Image.fromarray(to_pixels(upright))  # pixels alone, no metadata
    except Exception as error:  # decoders of hostile bytes raise anything
        raise OSError(f"the picture cannot be decoded: {error}") from error


def encode_png(picture: Picture) -> bytes:
    """A picture as a PNG file of its RGB pixels; the same pixels always give the same bytes."""
    buffer = io.BytesIO()
    Image.fromarray(to_pixels(picture)).save(buffer, "PNG")
    return buffer.getvalue()


def _readable(source: bytes | Path) -> io.BytesIO | Path:
    return io.BytesIO(source) if isinstance(source, bytes) else source


def _eight_bit(picture: Picture) -> Picture:
    """A picture with wide channels as mode L: 16-bit values lose their low byte."""
    values = np.nan_to_num(np.asarray(picture, dtype=np.float64))
    top = float(values.max())
    if top > 255.0:
        values = values * (255.0 / max(top, 65535.0))
    return Image.fromarray(values.clip(0.0, 255.0).astype(np.uint8))
