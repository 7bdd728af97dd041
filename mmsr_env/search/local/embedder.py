"""The seam between pictures and nearest neighbours: what makes a vector of a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mmsr_env.types import Picture

Vectors = NDArray[np.float32]


class PictureEmbedder(Protocol):
    """Turns pictures into vectors whose inner product says how alike they are.

    Attributes:
        name: Identifies the vectors it makes; an index made with one name is not searched with
            another.
        dim: How long a vector is.
    """

    @property
    def name(self) -> str: ...

    @property
    def dim(self) -> int: ...

    def embed(self, images: Sequence[Picture]) -> Vectors:
        """[n, dim] float32, each row of unit length; the same picture always gives the same row."""
        ...


def unit_rows(vectors: Vectors) -> Vectors:
    """The rows scaled to unit length; a row of zeros stays as it is."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Vectors = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return scaled
