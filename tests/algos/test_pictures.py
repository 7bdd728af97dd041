"""Pictures of every form become patches, within the limit of pixels, each content once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny_models import picture, tiny
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from algos.pictures import PictureProcessor
from mmsr_env.pictures import to_rgb

MODES = ("RGB", "RGBA", "RGBX", "RGBa", "L", "LA", "La", "P", "PA", "1", "I", "F", "I;16", "I;16B")
MODES += ("CMYK", "YCbCr", "HSV", "LAB")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(30, 40), (1, 1), (1, 1000), (0, 5)])
def test_any_mode_and_size_is_taken(mode: str, size: tuple[int, int]) -> None:
    patches, grid = tiny().pictures.process(Image.new(mode, size))
    assert patches.shape == (int(grid.prod()), 1176)
    assert torch.isfinite(patches).all()


def pixel(made: Image.Image) -> object:
    assert made.mode == "RGB"
    return made.getpixel((0, 0))


def test_wide_channels_lose_their_low_byte() -> None:
    values = np.array([[0, 255, 32896, 65535]], dtype=np.uint16)
    made = to_rgb(Image.fromarray(values))
    assert [made.getpixel((x, 0))[0] for x in range(4)] == [0, 0, 128, 255]
    small = to_rgb(Image.fromarray(np.array([[0, 200]], dtype=np.int32)))
    assert small.getpixel((1, 0)) == (200, 200, 200)  # an 8-bit picture in a wide mode


def test_floats_that_are_no_numbers_are_black() -> None:
    values = np.array([[np.nan, 255.0]], dtype=np.float32)
    assert pixel(to_rgb(Image.fromarray(values))) == (0, 0, 0)


def test_what_is_transparent_is_white() -> None:
    assert pixel(to_rgb(Image.new("RGBA", (1, 1), (200, 0, 0, 0)))) == (255, 255, 255)
    assert pixel(to_rgb(Image.new("RGBA", (1, 1), (200, 0, 0, 255)))) == (200, 0, 0)
    palette = Image.new("P", (1, 1), 0)
    palette.putpalette([10, 20, 30])
    assert pixel(to_rgb(palette)) == (10, 20, 30)
    palette.info["transparency"] = 0
    assert pixel(to_rgb(palette)) == (255, 255, 255)


def test_an_rgb_picture_is_kept_as_it_is() -> None:
    given_picture = picture(1)
    assert tiny().pictures.prepare(given_picture) is given_picture


@settings(max_examples=150, deadline=None)
@given(width=st.integers(1, 2000), height=st.integers(1, 2000))
def test_no_shape_breaks_the_limit_of_pixels(width: int, height: int) -> None:
    pictures = tiny().pictures
    prepared = pictures.prepare(Image.new("RGB", (width, height), "red"))
    assert pictures.prepare(prepared) is prepared
    _, grid = pictures.process(prepared)
    assert 1 <= pictures.tokens(grid) <= 4
    assert prepared.getcolors() is not None
    assert (width * height, (255, 0, 0)) in prepared.getcolors()  # padded, nothing cut away


def test_a_large_limit_still_keeps_to_what_qwen_can_resize() -> None:
    large = PictureProcessor(Qwen2VLImageProcessorPil())
    prepared = large.prepare(Image.new("RGB", (4001, 2)))
    assert prepared.size == (4001, 21)
    assert large.prepare(Image.new("RGB", (400, 2))).size == (400, 2)
    _, grid = large.process(prepared)
    assert large.tokens(grid) <= 1280


@pytest.mark.parametrize(("side", "tokens"), [(28, 1), (56, 4), (224, 4), (10, 1)])
def test_how_many_tokens_a_picture_takes(side: int, tokens: int) -> None:
    _, grid = tiny().pictures.process(picture(3, side, side))
    assert tiny().pictures.tokens(grid) == tokens


def test_equal_content_is_processed_once() -> None:
    pictures = PictureProcessor(tiny().pictures.image_processor)
    first, _ = pictures.process(picture(1))
    assert pictures.process(picture(1))[0] is first
    assert pictures.process(picture(2))[0] is not first
    wide, high = Image.new("RGB", (84, 28)), Image.new("RGB", (28, 84))  # the same bytes
    assert pictures.process(wide)[1].tolist() != pictures.process(high)[1].tolist()


def test_palettes_count_as_content() -> None:
    red, blue = Image.new("P", (28, 28), 0), Image.new("P", (28, 28), 0)
    red.putpalette([255, 0, 0])
    blue.putpalette([0, 0, 255])
    pictures = tiny().pictures
    assert not torch.equal(pictures.process(red)[0], pictures.process(blue)[0])


def test_the_cache_forgets_what_was_used_longest_ago() -> None:
    room = 2.5 * 16 * 1176 * 4 / 2**20  # two pictures of 56 x 56, not three
    pictures = PictureProcessor(tiny().pictures.image_processor, cache_mib=room)
    one, two = pictures.process(picture(1))[0], pictures.process(picture(2))[0]
    assert pictures.process(picture(1))[0] is one
    pictures.process(picture(3))
    assert pictures.process(picture(1))[0] is one
    again = pictures.process(picture(2))[0]
    assert again is not two
    assert torch.equal(again, two)


def test_no_pictures_are_no_patches() -> None:
    patches, _ = tiny().pictures.process(picture(1))
    assert tiny().pictures.none.shape == (0, patches.shape[1])
