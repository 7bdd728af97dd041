"""Pictures of every kind as RGB, and encoded ones read with care."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from mmsr_env.pictures import decode_picture, encode_png, picture_problem, to_pixels, to_rgb


def grey(mode, value, size=(6, 4)):
    return Image.new(mode, size, value)


@pytest.mark.parametrize(
    ("picture", "colour"),
    [
        (grey("RGB", (1, 2, 3)), (1, 2, 3)),
        (grey("L", 9), (9, 9, 9)),
        (grey("1", 1), (255, 255, 255)),
        (grey("CMYK", (0, 0, 0, 0)), (255, 255, 255)),
        (grey("RGBA", (1, 2, 3, 255)), (1, 2, 3)),
        (grey("RGBA", (1, 2, 3, 0)), (255, 255, 255)),
        (grey("LA", (9, 0)), (255, 255, 255)),
        (grey("I", 200), (200, 200, 200)),
        (grey("I;16", 0x8000), (127, 127, 127)),
        (grey("F", 200.0), (200, 200, 200)),
        (grey("F", float("nan")), (0, 0, 0)),
        (grey("LAB", (128, 128, 128)), (128, 128, 128)),
        (Image.new("RGB", (0, 5)), (0, 0, 0)),
    ],
)
def test_every_mode_becomes_rgb(picture, colour):
    rgb = to_rgb(picture)
    assert rgb.mode == "RGB"
    assert rgb.size == (picture.size if 0 not in picture.size else (1, 1))
    assert np.abs(np.array(rgb.getpixel((0, 0))) - colour).max() <= 1


@pytest.mark.parametrize("transparency", [1, bytes([255, 0])])
def test_a_palette_with_transparency_is_set_on_white(transparency):
    picture = Image.new("P", (2, 1))
    picture.putpalette([10, 20, 30, 40, 50, 60])
    picture.putdata([0, 1])
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", transparency=transparency)
    decoded = decode_picture(buffer.getvalue())
    assert [decoded.getpixel((x, 0)) for x in (0, 1)] == [(10, 20, 30), (255, 255, 255)]


def test_pixels_are_height_by_width_and_ones_own():
    picture = Image.new("RGB", (6, 4), (1, 2, 3))
    pixels = to_pixels(picture)
    assert (pixels.shape, pixels.dtype) == ((4, 6, 3), np.uint8)
    pixels[:] = 0
    assert picture.getpixel((0, 0)) == (1, 2, 3)
    assert to_pixels(picture).any()


@pytest.mark.parametrize("seed", range(5))
def test_png_keeps_every_pixel(seed):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (*rng.integers(1, 40, 2), 3), dtype=np.uint8)
    data = encode_png(Image.fromarray(pixels))
    assert np.array_equal(to_pixels(decode_picture(data)), pixels)
    assert picture_problem(data) == ""


def bomb(side):
    """A PNG that says it has side x side pixels and holds none."""
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT"


@pytest.mark.parametrize("side", [10_000, 60_000])  # where Pillow warns, and where it raises
def test_pictures_too_large_to_be_safe_are_told_by_their_header(side):
    assert "larger than" in picture_problem(bomb(side))
    assert picture_problem(bomb(100)) == ""


@pytest.mark.parametrize("data", [b"", b"text", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff"])
def test_what_is_no_picture_is_told(data):
    assert "not a picture" in picture_problem(data)
    with pytest.raises(OSError, match="cannot be decoded"):
        decode_picture(data)


def test_a_broken_picture_fails_when_it_is_decoded():
    with pytest.raises(OSError, match="cannot be decoded"):
        decode_picture(bomb(100))


def test_files_are_read_as_well_as_bytes(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(encode_png(Image.new("RGB", (3, 2), (5, 6, 7))))
    assert picture_problem(path) == ""
    assert decode_picture(path).size == (3, 2)
    assert "FileNotFoundError" in picture_problem(tmp_path / "none.png")
