"""Pictures as a vision model takes them: any PIL picture to safe RGB, then to patches."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Any

import torch
from PIL import Image
from PIL.Image import Image as Picture
from torch import Tensor

from mmsr_env.pictures import to_rgb

MAX_ASPECT_RATIO = 200
"""Qwen2-VL's resizing refuses pictures that are longer than this many times their width."""


def limit_aspect(picture: Picture, limit: float) -> Picture:
    """The picture in the middle of a black one whose long side is at most `limit` x the short."""
    long_side = max(picture.size)
    short_side = -(-long_side // max(1, int(limit)))
    if min(picture.size) >= short_side:
        return picture
    width, height = (max(side, short_side) for side in picture.size)
    canvas = Image.new("RGB", (width, height))
    canvas.paste(picture, ((width - picture.width) // 2, (height - picture.height) // 2))
    return canvas


class PictureProcessor:
    """Turns pictures into patches with a Hugging Face image processor, each content once.

    Not for several threads at once.

    Args:
        image_processor: A Qwen2-VL image processor, torchvision's or Pillow's.
        cache_mib: How much memory the cache of patches may take; the oldest used leave first.
    """

    def __init__(self, image_processor: Any, cache_mib: float = 256.0) -> None:
        self.image_processor = image_processor
        self._room_bytes = int(cache_mib * 2**20)
        self._held_bytes = 0
        self._cache: OrderedDict[bytes, tuple[Tensor, Tensor]] = OrderedDict()

    @property
    def merge_size(self) -> int:
        """How many patches along each side make one token."""
        return int(self.image_processor.merge_size)

    @property
    def none(self) -> Tensor:
        """The patches of no picture at all: [0, D]."""
        settings = self.image_processor
        return torch.zeros(0, 3 * settings.temporal_patch_size * settings.patch_size**2)

    def prepare(self, picture: Picture) -> Picture:
        """The picture as every engine may take it: RGB, and never too long to be resized.

        Beyond max_pixels : (patch side)^2 the resizing could not keep to its own limit of pixels.
        Preparing a prepared picture gives it back as it is.
        """
        side = int(self.image_processor.patch_size) * self.merge_size
        most = int(self.image_processor.size["longest_edge"]) // side**2
        return limit_aspect(to_rgb(picture), min(MAX_ASPECT_RATIO, most))

    def process(self, picture: Picture) -> tuple[Tensor, Tensor]:
        """A picture's patches.

        Returns:
            pixel_values [n, D] float32 and its grid [3] int64 (time, height, width) in patches,
            n their product. Both are shared with the cache: do not change them.
        """
        prepared = self.prepare(picture)
        key = _content_key(prepared)
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        features = self.image_processor(images=[prepared], return_tensors="pt")
        patches = features["pixel_values"].to(torch.float32)
        grid = features["image_grid_thw"][0].to(torch.int64)
        self._remember(key, patches, grid)
        return patches, grid

    def tokens(self, grid: Tensor) -> int:
        """How many tokens a picture with this grid [3] takes."""
        return int(grid.prod()) // self.merge_size**2

    def _remember(self, key: bytes, patches: Tensor, grid: Tensor) -> None:
        self._cache[key] = (patches, grid)
        self._held_bytes += patches.nbytes
        while self._held_bytes > self._room_bytes:
            _, (oldest, _) = self._cache.popitem(last=False)
            self._held_bytes -= oldest.nbytes


def _content_key(picture: Picture) -> bytes:
    size = f"{picture.width}x{picture.height}:".encode()
    return hashlib.blake2b(size + picture.tobytes(), digest_size=16).digest()
