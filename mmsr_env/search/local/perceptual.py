"""The built-in embedder: a descriptor of colours and edges that survives being seen again.

A picture is brought to 32 x 32 pixels and freed of brightness and contrast. Three colour channels
and three channels of oriented edge energy are read along eight rings around the centre; on each
ring the angular Fourier coefficients are taken. The low orders keep their phase, since a small
tilt turns them little; of all orders the magnitude is kept, which no tilt changes. A linear map
then weighs these features by how much they differ between drawings and how little between two
views of one drawing: the discriminants of Fisher and Rao, fitted by `perceptual_fit.py` on drawings
that belong to no data set.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmsr_env.search.local.embedder import Vectors, unit_rows
from mmsr_env.search.local.pixels import as_rgb
from mmsr_env.types import Picture

SIDE = 32
RINGS = 8
ORDERS = 8
LOW_ORDERS = 4
"""Up to this angular order the phase is kept: a tilt of 15 degrees turns order 4 by 60."""

WEIGHTS = "perceptual.npz"
_FLAT = np.float32(8.0)  # least deviation of grey levels: flat pictures do not become noise


class PerceptualEmbedder:
    """The default `PictureEmbedder`: numpy and Pillow, no model, a fraction of a millisecond."""

    name = "perceptual-1"

    def __init__(self) -> None:
        self._mean, self._map = _weights()

    @property
    def dim(self) -> int:
        return int(self._map.shape[1])

    def embed(self, images: Sequence[Picture]) -> Vectors:
        """[n, dim] float32, each row of unit length."""
        if not images:
            return np.zeros((0, self.dim), np.float32)
        # One by one: a row must not depend on its batch, and products this small gain nothing
        # from several threads, which would only get in the way of each other.
        rows = [(features([image]) - self._mean) @ self._map for image in images]
        return unit_rows(np.concatenate(rows, dtype=np.float32))


def features(images: Sequence[Picture]) -> Vectors:
    """[n, f] float32: the ring features before the linear map."""
    return _ring_features(_channels(_grids(images)))


def _grids(images: Sequence[Picture]) -> Vectors:
    """[n, SIDE, SIDE, 3] float32 grey levels."""
    return np.stack([np.asarray(_small(image), dtype=np.float32) for image in images])


def _small(image: Picture) -> Picture:
    return as_rgb(image).resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0)


def _channels(grids: Vectors) -> Vectors:
    """[n, 6, SIDE * SIDE]: normalised colours, then edge energy and its two orientations."""
    n = len(grids)
    colours = grids.transpose(0, 3, 1, 2).reshape(n, -1)
    colours = colours - colours.mean(axis=1, keepdims=True)
    colours /= np.maximum(colours.std(axis=1, keepdims=True), _FLAT)
    planes = colours.reshape(n, 3, SIDE, SIDE)
    across, down = np.zeros_like(planes), np.zeros_like(planes)
    np.subtract(planes[..., 1:], planes[..., :-1], out=across[..., :-1])
    np.subtract(planes[..., 1:, :], planes[..., :-1, :], out=down[..., :-1, :])
    xx, yy, xy = ((a * b).sum(axis=1) for a, b in ((across, across), (down, down), (across, down)))
    # The root of the edge's strength, not its square: strong edges would drown the fine ones.
    strength = np.sqrt(xx + yy + np.float32(1e-4))
    root = np.sqrt(strength)
    edges = np.stack([root, (xx - yy) / (strength * root), 2 * xy / (strength * root)], axis=1)
    return np.concatenate([planes, edges], axis=1).reshape(n, 6, SIDE * SIDE)


def _ring_features(channels: Vectors) -> Vectors:
    """[n, f]: low orders with their phase, then the magnitudes of all orders but the zeroth."""
    n = len(channels)
    flat = channels.reshape(-1, SIDE * SIDE) @ _rings()
    real, imaginary = np.moveaxis(flat.reshape(n, 6, 2, RINGS, ORDERS + 1), 2, 0)
    parts = (
        real[..., : LOW_ORDERS + 1],
        imaginary[..., 1 : LOW_ORDERS + 1],
        np.hypot(real[..., 1:], imaginary[..., 1:]),
    )
    return np.concatenate([part.reshape(n, -1) for part in parts], axis=1)


@cache
def _rings() -> Vectors:
    """[SIDE * SIDE, 2 * RINGS * (ORDERS + 1)]: real, then imaginary angular harmonics per ring."""
    y, x = (np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2) / (SIDE / 2)
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    harmonics = np.exp(1j * np.arange(ORDERS + 1)[:, None, None] * angle)
    rows = []
    for centre in (np.arange(RINGS) + 0.5) / RINGS:
        # The outermost ring reaches into the corners; wide rings forgive small shifts.
        ring = np.exp(-(((radius - 1.15 * centre) * RINGS / 0.7) ** 2) / 2)
        rows.append(harmonics * ring * np.sqrt(centre) / ring.sum())
    basis = np.array(rows).reshape(-1, SIDE * SIDE)
    return np.ascontiguousarray(np.concatenate([basis.real, basis.imag]).T.astype(np.float32))


@cache
def _weights() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The fitted map: [f] mean and [f, dim] projection."""
    with (files(__package__) / WEIGHTS).open("rb") as file, np.load(file) as stored:
        return stored["mean"].astype(np.float32), stored["projection"].astype(np.float32)
