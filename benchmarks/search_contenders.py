"""The libraries that `search_libraries` compares: for each, how to build and how to search."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

K = 5
"""How many results a search gives."""
_EF = 64  # how many candidates each graph keeps while it searches
_Search = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Contender:
    """A library: `build(data, folder)` writes an index, `open(folder)` gives its search."""

    library: str
    build: Callable[[Any, Path], None]
    open: Callable[[Path], _Search]


def _build_bm25s(texts: list[str], folder: Path) -> None:
    import bm25s

    index = bm25s.BM25()
    index.index([text.split() for text in texts], show_progress=False)
    index.save(str(folder), show_progress=False)


def _open_bm25s(folder: Path) -> _Search:
    import bm25s

    index = bm25s.BM25.load(str(folder), mmap=True, show_progress=False)

    def search(query: str) -> Any:
        return index.retrieve([query.split()], k=K, show_progress=False, n_threads=0)[0][0]

    return search


def _build_tantivy(texts: list[str], folder: Path) -> None:
    import tantivy

    index = tantivy.Index(_tantivy_schema(), str(folder))
    writer = index.writer(128_000_000, 1)
    for number, text in enumerate(texts):
        writer.add_document(tantivy.Document(text=text, page=number))
    writer.commit()
    writer.wait_merging_threads()


def _open_tantivy(folder: Path) -> _Search:
    import tantivy

    index = tantivy.Index.open(str(folder))
    searcher, schema = index.searcher(), index.schema

    def search(query: str) -> Any:
        terms = [tantivy.Query.term_query(schema, "text", word) for word in query.split()]
        whole = tantivy.Query.boolean_query([(tantivy.Occur.Should, term) for term in terms])
        hits = searcher.search(whole, K, count=False).hits
        return searcher.fast_field_values("page", [place for _, place in hits])

    return search


def _tantivy_schema() -> Any:
    import tantivy

    builder = tantivy.SchemaBuilder().add_text_field("text", index_option="freq")
    return builder.add_integer_field("page", fast=True).build()


def _build_lancedb_text(texts: list[str], folder: Path) -> None:
    import lancedb
    from lancedb.index import FTS

    rows = [{"page": number, "text": text} for number, text in enumerate(texts)]
    table = lancedb.connect(folder).create_table("pages", rows)
    table.create_index("text", config=FTS(stem=False, remove_stop_words=False))


def _open_lancedb_text(folder: Path) -> _Search:
    import lancedb

    table = lancedb.connect(folder).open_table("pages")

    def search(query: str) -> Any:
        found = table.search(query, query_type="fts").select(["page", "_score"]).limit(K).to_arrow()
        return found["page"].to_pylist()

    return search


def _build_numpy(vectors: Any, folder: Path) -> None:
    np.save(folder / "vectors.npy", vectors)


def _open_numpy(folder: Path) -> _Search:
    vectors = np.load(folder / "vectors.npy", mmap_mode="r")
    return lambda vector: np.argpartition(-(vectors @ vector), K)[:K]


def _build_usearch(vectors: Any, folder: Path) -> None:
    from usearch.index import Index

    index = Index(ndim=vectors.shape[1], metric="ip", dtype="f16", expansion_add=96)
    index.add(np.arange(len(vectors)), vectors)
    index.save(str(folder / "graph"))


def _open_usearch(folder: Path) -> _Search:
    from usearch.index import Index

    index = Index.restore(str(folder / "graph"), view=True)
    index.expansion_search = _EF
    return lambda vector: index.search(vector, K, threads=1).keys


def _build_hnswlib(vectors: Any, folder: Path) -> None:
    import hnswlib

    index = hnswlib.Index("ip", vectors.shape[1])
    index.init_index(len(vectors), M=16, ef_construction=96)
    index.add_items(vectors)
    index.save_index(str(folder / "graph"))
    (folder / "dim").write_text(str(vectors.shape[1]))


def _open_hnswlib(folder: Path) -> _Search:
    import hnswlib

    index = hnswlib.Index("ip", int((folder / "dim").read_text()))
    index.load_index(str(folder / "graph"))
    index.set_ef(_EF)
    return lambda vector: index.knn_query(vector, K, num_threads=1)[0][0]


def _build_lancedb_pictures(vectors: Any, folder: Path) -> None:
    import lancedb
    import pyarrow as pa  # type: ignore[import-untyped]
    from lancedb.index import HnswSq

    rows = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
    data = pa.table({"picture": pa.array(range(len(vectors))), "vector": rows})
    table = lancedb.connect(folder).create_table("pictures", data)
    table.create_index("vector", config=HnswSq(distance_type="cosine"))


def _open_lancedb_pictures(folder: Path) -> _Search:
    import lancedb

    table = lancedb.connect(folder).open_table("pictures")

    def search(vector: Any) -> Any:
        found = table.search(vector).select(["picture", "_distance"]).ef(_EF).limit(K).to_arrow()
        return found["picture"].to_pylist()

    return search


TEXT = {
    "bm25s": Contender("bm25s", _build_bm25s, _open_bm25s),
    "tantivy": Contender("tantivy", _build_tantivy, _open_tantivy),
    "lancedb": Contender("lancedb", _build_lancedb_text, _open_lancedb_text),
}
PICTURES = {
    "numpy": Contender("numpy", _build_numpy, _open_numpy),
    "usearch": Contender("usearch", _build_usearch, _open_usearch),
    "hnswlib": Contender("hnswlib", _build_hnswlib, _open_hnswlib),
    "lancedb": Contender("lancedb", _build_lancedb_pictures, _open_lancedb_pictures),
}
