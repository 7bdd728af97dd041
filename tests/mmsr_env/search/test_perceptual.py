"""The perceptual descriptor: alike for views of one picture, unlike for different ones."""

from __future__ import annotations

import random

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from small_corpus import draw, things

from mmsr_env.search.local.embedder import Vectors
from mmsr_env.search.local.perceptual import PerceptualEmbedder
from mmsr_env.search.local.perceptual_fit import discriminants, drawing, seen_again


@pytest.fixture(scope="module")
def embedder() -> PerceptualEmbedder:
    return PerceptualEmbedder()


def _similarity(embedder: PerceptualEmbedder, one: Image.Image, two: Image.Image) -> float:
    a, b = embedder.embed([one, two])
    return float(a @ b)


def test_vectors_are_unit_rows_and_do_not_depend_on_their_batch(
    embedder: PerceptualEmbedder,
) -> None:
    images = [draw(thing) for thing in things(70)]
    together = embedder.embed(images)
    assert together.shape == (70, embedder.dim)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, rtol=1e-5)
    alone = np.concatenate([embedder.embed([image]) for image in images])
    np.testing.assert_array_equal(together, alone)
    assert embedder.embed([]).shape == (0, embedder.dim)


def _recall(views: Vectors, pictures: Vectors) -> float:
    return float(((views @ pictures.T).argmax(axis=1) == np.arange(len(pictures))).mean())


def test_pictures_seen_again_are_found(embedder: PerceptualEmbedder) -> None:
    rng = random.Random(5)
    emblems = [draw(thing) for thing in things(72)]
    drawings = [drawing(rng) for _ in range(150)]
    for pictures, least in ((emblems, 0.95), (drawings, 0.95)):
        views = [seen_again(picture, rng) for picture in pictures]
        assert _recall(embedder.embed(views), embedder.embed(pictures)) >= least


@pytest.mark.parametrize("factor", [0.5, 0.8])
def test_light_and_contrast_do_not_matter(embedder: PerceptualEmbedder, factor: float) -> None:
    picture = draw(things()[11])
    for change in (ImageEnhance.Brightness, ImageEnhance.Contrast):
        assert _similarity(embedder, picture, change(picture).enhance(factor)) > 0.99


def test_size_hardly_matters(embedder: PerceptualEmbedder) -> None:
    thing = things()[11]
    assert _similarity(embedder, draw(thing, 64), draw(thing, 500)) > 0.97


def test_a_tilt_matters_less_than_another_count_or_colour(embedder: PerceptualEmbedder) -> None:
    picture = draw(things()[3])
    tilted = picture.rotate(12, Image.Resampling.BICUBIC, fillcolor="#808080")
    same = _similarity(embedder, picture, tilted)
    assert same > _similarity(embedder, picture, draw(things()[4]))  # another colour
    assert same > _similarity(embedder, picture, draw(things()[11]))  # another count


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "F"])
@pytest.mark.parametrize("size", [(1, 1), (3, 200), (900, 2)])
def test_any_picture_has_a_finite_vector(
    embedder: PerceptualEmbedder, mode: str, size: tuple[int, int]
) -> None:
    assert np.isfinite(embedder.embed([Image.new(mode, size)])).all()


def test_what_is_transparent_counts_as_white(embedder: PerceptualEmbedder) -> None:
    clear = Image.new("RGBA", (50, 50), (0, 0, 0, 0))
    white = Image.new("RGB", (50, 50), "white")
    for picture in (clear, white):
        picture.paste((200, 0, 0), (10, 10, 30, 40))
    assert _similarity(embedder, clear, white) > 0.999


def test_discriminants_find_the_axis_that_tells_groups_apart() -> None:
    rng = np.random.default_rng(0)
    axis = np.array([0.6, 0.0, 0.8])
    centres = rng.normal(size=(400, 1, 1)) * 5 * axis + rng.normal(size=(400, 1, 3)) * 0.1
    # The noise is strongest across the axis: plain principal components would follow the noise.
    noise = rng.normal(size=(400, 8, 3)) * np.array([1.0, 20.0, 1.0])
    groups = (centres + noise).astype(np.float32)
    mean, directions = discriminants(groups, 2)
    found = directions[:, 0] / np.linalg.norm(directions[:, 0])
    assert abs(found @ axis) > 0.98
    np.testing.assert_allclose(mean, groups.mean(axis=(0, 1)), atol=1e-4)
    within = (groups - groups.mean(axis=1, keepdims=True)) @ directions[:, 0]
    assert within.std() == pytest.approx(1.0, rel=0.5)  # the ridge makes it smaller
    assert within.std() <= 1.0
