"""Comparing pictures closely: how well one fits another when tilted, resized and moved a little.

An embedding is made to find similar pictures among many; to tell twins apart that differ in a
small mark, the pixels have to be laid over each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.Image import Image as Picture

_SIDE = 56  # pictures are compared at so many pixels
_REACH = 4  # and moved by up to so many of them
_TILTS = (-10.0, -5.0, 0.0, 5.0, 10.0)  # degrees
_SIZES = (0.95, 1.03, 1.11, 1.19)
_FLAT = np.float32(8.0)  # the least deviation of grey levels: flat channels do not become noise
_FINER = 0.5  # of a step, to either side of the best of those

_Spectra = NDArray[np.complexfloating]


def likest(picture: Picture, others: Sequence[Picture]) -> int:
    """Which of the others the picture fits best, as its place among them.

    The picture is laid over each at a few tilts and sizes, and over the two that it fits best
    at some between those as well. What counts is the correlation of the colours, each channel
    freed of its brightness and contrast.

    Args:
        picture: The picture as it was taken.
        others: What it may show; at least one.
    """
    small = _small(picture)
    turns = [(tilt, size) for tilt in _TILTS for size in _SIZES]
    views = _spectra([_turned(small, *turn) for turn in turns])
    spectra = _spectra([_small(other) for other in others])
    found = np.array([_best_moves(views, spectrum) for spectrum in spectra])
    fits = found.max(axis=1)
    for place in np.argsort(-fits, kind="stable")[:2]:
        near = _around(*turns[int(np.argmax(found[place]))])
        closer = _best_moves(_spectra([_turned(small, *turn) for turn in near]), spectra[place])
        fits[place] = max(fits[place], closer.max())
    return int(np.argmax(fits))


def _around(tilt: float, size: float) -> Iterator[tuple[float, float]]:
    tilt_step, size_step = (_FINER * (steps[1] - steps[0]) for steps in (_TILTS, _SIZES))
    for i in (-1, 0, 1):
        for j in (-1, 0, 1):
            if i or j:
                yield tilt + i * tilt_step, size + j * size_step


def _small(picture: Picture) -> Picture:
    return picture.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.BILINEAR)


def _turned(picture: Picture, tilt: float, size: float) -> Picture:
    """The picture tilted and resized about its centre; black where it does not reach."""
    cos, sin = (f(math.radians(tilt)) / size for f in (math.cos, math.sin))
    half = _SIDE / 2
    matrix = (cos, -sin, half - cos * half + sin * half, sin, cos, half - sin * half - cos * half)
    return picture.transform(
        picture.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
    )


def _spectra(pictures: Sequence[Picture]) -> _Spectra:
    """[pictures, 3, side, side // 2 + 1]: channels of zero mean, pictures of unit length."""
    pixels = np.stack([np.asarray(picture, dtype=np.float32) for picture in pictures])
    planes = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)).reshape(len(pictures), 3, -1)
    planes -= planes.mean(axis=2, keepdims=True)
    strength = np.sqrt(np.einsum("vcp,vcp->vc", planes, planes) / planes.shape[2])
    strength = np.maximum(strength, _FLAT)
    planes /= (strength * np.sqrt(3.0 * planes.shape[2], dtype=np.float32))[:, :, None]
    spectra: _Spectra = np.fft.rfft2(planes.reshape(-1, 3, _SIDE, _SIDE))
    return spectra


def _best_moves(views: _Spectra, other: _Spectra) -> NDArray[np.floating]:
    """[views]: the correlation of each with the other, at the move where it is largest."""
    at_moves = np.fft.irfft2((views * other.conj()).sum(axis=1), s=(_SIDE, _SIDE))
    reach = np.r_[-_REACH : _REACH + 1]
    best: NDArray[np.floating] = at_moves[:, reach[:, None], reach].max(axis=(1, 2))
    return best
