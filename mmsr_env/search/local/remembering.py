"""An embedder that remembers its latest pictures: a group's trajectories search with one."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from threading import Lock

import numpy as np

from mmsr_env.search.local.embedder import PictureEmbedder, Vectors
from mmsr_env.types import Picture

_KEPT = 256  # vectors; the pictures themselves are not held


class QueryEmbedder:
    """Vectors of single pictures, each content once as long as it is remembered.

    Safe for threads. Copies and pickles begin with nothing remembered.

    Args:
        embedder: Makes the vectors.
    """

    def __init__(self, embedder: PictureEmbedder) -> None:
        self._embedder = embedder
        self._vectors: OrderedDict[bytes, Vectors] = OrderedDict()
        self._lock = Lock()

    def __call__(self, picture: Picture) -> Vectors:
        """[dim] float32 of unit length; not to be changed."""
        key = _content(picture)
        with self._lock:
            if key in self._vectors:
                self._vectors.move_to_end(key)
                return self._vectors[key]
        vector = np.asarray(self._embedder.embed([picture])[0])
        with self._lock:
            self._vectors[key] = vector
            while len(self._vectors) > _KEPT:
                self._vectors.popitem(last=False)
        return vector

    def __reduce__(self) -> tuple[type[QueryEmbedder], tuple[PictureEmbedder]]:
        return QueryEmbedder, (self._embedder,)


def _content(picture: Picture) -> bytes:
    palette = picture.getpalette("RGBA") if picture.mode == "P" else None
    form = f"{picture.mode}:{picture.size}:{palette}:{picture.info.get('transparency')}:".encode()
    return hashlib.blake2b(form + picture.tobytes(), digest_size=16).digest()
