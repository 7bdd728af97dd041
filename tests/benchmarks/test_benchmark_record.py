"""What every benchmark writes."""

from __future__ import annotations

import json
import socket
from datetime import datetime
from pathlib import Path

import pytest

from benchmarks.record import record, table


def test_a_record_holds_figures_settings_and_origin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = {"text_p50_ms": 1.23456789, "recall": 1}
    path = record("some", figures, {"size": 7}, packages=("pytest", "not-there"), results=tmp_path)
    assert path == tmp_path / "some.json"
    text = path.read_text(encoding="utf-8")
    document = json.loads(text)
    assert set(document) == {"figures", "settings", "machine", "versions", "commit", "date"}
    assert document["figures"] == {"text_p50_ms": 1.23457, "recall": 1.0}
    assert document["settings"] == {"size": 7}
    assert document["versions"]["pytest"] == pytest.__version__
    assert "not-there" not in document["versions"]
    assert document["machine"]["cores"] >= 1
    assert datetime.fromisoformat(document["date"]).tzinfo is not None
    for private in (socket.gethostname(), str(Path.home()), str(Path(__file__).parents[2])):
        assert private not in text
    assert "text_p50_ms" in capsys.readouterr().out


def test_a_table_is_aligned() -> None:
    lines = table("title", {"a": 1.0, "longer_ms": 23456.7}).splitlines()
    assert lines[0] == "title"
    assert len({len(line) for line in lines[1:]}) == 1
    assert "23,456.7" in lines[2]
