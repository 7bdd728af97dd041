"""Records: what was added comes back, from memory and from disk."""

from __future__ import annotations

import pickle
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsr_env.search.local.corpus import Page
from mmsr_env.search.local.records import (
    Records,
    RecordWriter,
    pack_page,
    pack_picture,
    unpack_page,
    unpack_picture,
)

ANY_TEXT = st.text(st.characters(exclude_categories=()))


def _write(records: list[bytes], folder: Path | None = None) -> Records:
    writer = RecordWriter(folder, "things")
    for record in records:
        writer.add(record)
    return writer.finish()


@settings(max_examples=30)
@given(st.lists(st.binary(max_size=50)))
def test_records_come_back_from_memory_from_disk_and_from_a_pickle(records: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for stored in (_write(records), _write(records, Path(folder))):
            again = pickle.loads(pickle.dumps(stored))
            for some in (stored, again):
                assert len(some) == len(records)
                assert [some[i] for i in range(len(some))] == records


@pytest.mark.parametrize("number", [-1, 2])
def test_a_number_outside_raises(number: int) -> None:
    with pytest.raises(IndexError, match="of 2"):
        _write([b"a", b"b"])[number]


@given(ANY_TEXT, ANY_TEXT, ANY_TEXT, st.binary())
def test_pages_and_pictures_survive_packing(url: str, title: str, text: str, data: bytes) -> None:
    assert unpack_page(pack_page(Page(url, title, text))) == Page(url, title, text)
    assert unpack_picture(pack_picture(title, url, data)) == (title, url, data)
