"""The picture half of a local index: the nearest of many vectors, exactly or by a graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from usearch.index import Index

from mmsr_env.errors import SearchIndexError
from mmsr_env.search.local.embedder import Vectors

EXACT_UP_TO = 20_000
"""So many vectors are compared one by one, in under half a millisecond; more take a graph."""

_CANDIDATES = 64  # what the graph proposes; exact similarities then order them
_VECTORS, _GRAPH = "vectors.npy", "graph.usearch"
_BLOCK = 8192
_PLACES = 5  # to which similarities are rounded
_Rows = NDArray[np.int64]
_Neighbours = list[tuple[int, float]]


class PictureIndex:
    """Unit vectors and their nearest neighbours by inner product.

    Args:
        vectors: [n, dim] float16 or float32, rows of unit length; may be mapped from a file.
        graph: A usearch graph over them, keys being row numbers; None to compare with all.
    """

    def __init__(self, vectors: NDArray[np.floating], graph: Index | None = None) -> None:
        self._vectors = vectors if graph is not None else np.asarray(vectors, dtype=np.float32)
        self._graph = graph

    @classmethod
    def build(cls, vectors: NDArray[np.floating], threads: int = 1) -> PictureIndex:
        """Index vectors; with one thread the same vectors always give the same graph."""
        if len(vectors) <= EXACT_UP_TO:
            return cls(vectors)
        graph = _empty_graph(vectors.shape[1])
        for start in range(0, len(vectors), _BLOCK):
            block = np.asarray(vectors[start : start + _BLOCK], dtype=np.float32)
            graph.add(np.arange(start, start + len(block)), block, threads=threads)
        return cls(vectors, graph)

    @classmethod
    def open(cls, folder: Path) -> PictureIndex:
        """Map what `save` wrote.

        Raises:
            SearchIndexError: Its files are missing or damaged.
        """
        try:
            vectors = np.load(folder / _VECTORS, mmap_mode="r")
            if len(vectors) <= EXACT_UP_TO:
                return cls(vectors)
            graph = _empty_graph(vectors.shape[1])
            graph.view(str(folder / _GRAPH))
            return cls(vectors, graph)
        except (OSError, ValueError, RuntimeError) as error:
            raise SearchIndexError(
                f"{folder} holds no readable picture index ({error}); build it again"
            ) from error

    def save(self, folder: Path) -> None:
        """Write the vectors, in half precision, and the graph if there is one."""
        np.save(folder / _VECTORS, self._vectors.astype(np.float16))
        if self._graph is not None:
            self._graph.save(str(folder / _GRAPH))

    def __len__(self) -> int:
        return len(self._vectors)

    @property
    def vectors(self) -> NDArray[np.floating]:
        """[n, dim] what is searched."""
        return self._vectors

    def search(self, vector: Vectors, k: int) -> _Neighbours:
        """The nearest rows: (row number, similarity), best first, ties in the rows' order."""
        k = min(k, len(self))
        if k < 1:
            return []
        rows, exact = self._among_all(vector, k) if self._graph is None else self._near(vector, k)
        # The last bits depend on how a machine adds up, and must decide nothing.
        scores = np.round(exact.astype(np.float64), _PLACES)
        order = np.lexsort((rows, -scores))[:k]
        return [(int(rows[i]), float(scores[i])) for i in order]

    def _among_all(self, vector: Vectors, k: int) -> tuple[_Rows, Vectors]:
        scores = np.matmul(self._vectors, vector, dtype=np.float32)
        # All that may tie with the k-th stay in.
        kth = np.partition(scores, len(scores) - k)[len(scores) - k]
        rows = np.flatnonzero(scores >= kth - np.float32(10.0**-_PLACES))
        return rows, scores[rows]

    def _near(self, vector: Vectors, k: int) -> tuple[_Rows, Vectors]:
        assert self._graph is not None
        found = self._graph.search(vector, max(k, _CANDIDATES), threads=1).keys
        rows = np.asarray(found, dtype=np.int64)
        return rows, np.matmul(self._vectors[rows], vector, dtype=np.float32)


def _empty_graph(dim: int) -> Index:
    return Index(
        ndim=dim,
        metric="ip",
        dtype="f16",
        connectivity=16,
        expansion_add=96,
        expansion_search=_CANDIDATES,
    )
