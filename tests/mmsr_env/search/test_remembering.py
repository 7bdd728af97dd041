"""Vectors of query pictures are made once for each content, and are those of the embedder."""

from __future__ import annotations

import pickle
from collections.abc import Sequence

import numpy as np
from PIL import Image

from mmsr_env.search.local.embedder import Vectors
from mmsr_env.search.local.perceptual import PerceptualEmbedder
from mmsr_env.search.local.remembering import QueryEmbedder
from mmsr_env.types import Picture


class Counting:
    """A real embedder that counts the pictures it was asked for."""

    name, dim = "counting", PerceptualEmbedder().dim

    def __init__(self) -> None:
        self.asked = 0
        self._inner = PerceptualEmbedder()

    def embed(self, images: Sequence[Picture]) -> Vectors:
        self.asked += len(images)
        return self._inner.embed(images)


def noise(seed: int, mode: str = "RGB") -> Picture:
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def test_the_same_content_is_embedded_once() -> None:
    counting = Counting()
    query = QueryEmbedder(counting)
    first, again = query(noise(1)), query(noise(1))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, PerceptualEmbedder().embed([noise(1)])[0])
    assert counting.asked == 1


def test_other_contents_have_vectors_of_their_own() -> None:
    counting = Counting()
    query = QueryEmbedder(counting)
    same_indices = noise(2).quantize(8)
    other_palette = same_indices.copy()
    palette = same_indices.getpalette()
    assert palette is not None
    other_palette.putpalette([255 - value for value in palette])
    for picture in (noise(1), noise(2), noise(2, "L"), same_indices, other_palette):
        np.testing.assert_array_equal(query(picture), PerceptualEmbedder().embed([picture])[0])
    assert counting.asked == 5


def test_it_forgets_what_is_old() -> None:
    counting = Counting()
    query = QueryEmbedder(counting)
    for seed in range(257):
        query(noise(seed))
    query(noise(256))
    assert counting.asked == 257
    query(noise(0))
    assert counting.asked == 258


def test_a_pickle_works_and_remembers_nothing() -> None:
    query = QueryEmbedder(PerceptualEmbedder())
    vector = query(noise(3))
    copied = pickle.loads(pickle.dumps(query))
    np.testing.assert_array_equal(copied(noise(3)), vector)
