"""A whole run, on the small world and by MMSearch-R1's settings in miniature."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from small_configs import MINIATURE, SMALL, composed, save_beginner, save_fvqa, save_index
from small_runs import equal

from algos.metrics_log import read_metrics
from algos.run import run
from mmsr_env.trajectories import read_records

AGENTS = ("direct", "rag", "warm_start", "trained")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_beginner(tmp_path_factory.mktemp("model"))


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def started(folder: Path, *overrides: str, resume: bool = False) -> list[str]:
    """A run in a folder; returns what it said."""
    settings = composed(*overrides, f"folder={folder}")
    said: list[str] = []
    run({**settings, "resume": str(folder) if resume else None}, said.append)
    return said


def results(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return document


def metrics(folder: Path) -> list[dict[str, Any]]:
    rows = read_metrics(folder / "metrics.jsonl")
    return [{k: v for k, v in row.items() if not k.startswith("time/")} for row in rows]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(max((folder / "checkpoints").iterdir()) / "model" / "model.safetensors")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, model: str) -> tuple[Path, list[str]]:
    folder = tmp_path_factory.mktemp("run")
    return folder, started(folder, model, *SMALL)


def test_the_results_have_every_agents_figures(done: tuple[Path, list[str]]) -> None:
    document = results(done[0])
    assert set(document["agents"]) >= set(AGENTS)
    for name in AGENTS:
        figures = document["agents"][name]
        assert figures["tasks"] == 6
        for part in (figures, *figures["by_category"].values(), *figures["by_kind"].values()):
            for figure in ("accuracy", "search_ratio", "searches_per_task", "mean_reward"):
                assert 0.0 <= part[figure] <= 2.0
        assert {"search_required", "search_free"} >= set(figures["by_category"])
        assert set(figures["by_kind"]) <= {"picture_fact", "named_fact", "visible", "familiar"}
        assert sum(part["tasks"] for part in figures["by_kind"].values()) == 6
    assert document["agents"]["direct"]["searches_per_task"] == 0.0
    assert document["agents"]["rag"]["searches_per_task"] == 2.0
    assert document["minutes"] > 0
    assert document["seed"] == 0


def test_the_results_say_where_they_come_from(done: tuple[Path, list[str]]) -> None:
    document = results(done[0])
    assert document["settings"]["trainer"]["iterations"] == 2
    assert document["settings"]["algo"]["name"] == "grpo"
    assert {"python", "torch", "transformers", "numpy"} <= set(document["versions"])
    assert "commit" in document


def test_everything_is_in_the_folder(done: tuple[Path, list[str]]) -> None:
    folder, said = done
    with Image.open(folder / "curves.png") as picture:
        assert len(picture.convert("RGB").getcolors(2**24) or ()) > 50
    assert [row["iteration"] for row in metrics(folder)] == [0, 1, 2]
    assert any((folder / "tensorboard").iterdir())
    names = sorted(path.name for path in (folder / "checkpoints").iterdir())
    assert names == ["000001", "000002"]
    for name in AGENTS:
        assert len(list(read_records(folder / "agents" / f"{name}.jsonl"))) == 6
    table = next(text for text in said if text.startswith("agent"))
    assert all(any(line.startswith(name) for line in table.splitlines()) for name in AGENTS)


def test_a_run_of_the_same_seed_has_the_same_results(
    done: tuple[Path, list[str]], tmp_path: Path, model: str
) -> None:
    started(tmp_path, model, *SMALL)
    assert metrics(tmp_path) == metrics(done[0])
    assert equal(weights(tmp_path), weights(done[0]))
    assert results(tmp_path)["agents"] == results(done[0])["agents"]


def test_a_run_that_is_resumed_ends_as_the_other(
    done: tuple[Path, list[str]], tmp_path: Path, model: str
) -> None:
    started(tmp_path, model, *SMALL, "trainer.iterations=1")
    before = (tmp_path / "agents" / "warm_start.json").stat().st_mtime_ns
    said = started(tmp_path, model, *SMALL, resume=True)
    assert "Training: grpo, from iteration 1." in said
    assert (tmp_path / "agents" / "warm_start.json").stat().st_mtime_ns == before
    assert equal(weights(tmp_path), weights(done[0]))
    assert results(tmp_path)["agents"] == results(done[0])["agents"]
    # One row fewer evaluated where the short run ended; all others are the same.
    assert metrics(tmp_path) == metrics(done[0])


def test_a_new_run_in_an_old_folder_takes_nothing_from_it(tmp_path: Path, model: str) -> None:
    """Its checkpoints above all: the old one's last would sort after the new one's."""
    quick = (model, *SMALL, "trainer.tasks_per_iteration=1", "evaluation.validation=0")
    started(tmp_path, *quick, "trainer.iterations=3", "evaluation.tasks=2")
    started(tmp_path, *quick, "trainer.iterations=1", "evaluation.tasks=0")
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["000001"]
    assert results(tmp_path)["agents"] == {}
    assert [row["iteration"] for row in metrics(tmp_path)] == [0]


def test_without_validation_tasks_nothing_is_evaluated(tmp_path: Path, model: str) -> None:
    started(tmp_path, model, *SMALL, "evaluation.validation=0", "evaluation.tasks=0")
    rows = metrics(tmp_path)
    assert [row["iteration"] for row in rows] == [0, 1]
    assert not [name for row in rows for name in row if name.startswith("eval/")]


def test_mmsearch_r1_runs_in_miniature(tmp_path: Path, model: str) -> None:
    """Its own configuration, on questions in FVQA's form and an index on disk."""
    folder = tmp_path / "run"
    data = (save_fvqa(tmp_path / "fvqa"), save_index(tmp_path / "index"))
    started(folder, "experiment=mmsearch_r1", model, *data, *MINIATURE)
    rows = metrics(folder)
    assert [row["iteration"] for row in rows] == [0, 1, 2]
    assert all(row["update/learning_rate"] == 2e-6 for row in rows[:2])
    assert all(row["update/logprob_gap"] < 1e-3 for row in rows[:2])
    assert all("loss/ref_kl" in row for row in rows[:2])
    document = results(folder)
    assert set(document["agents"]) >= set(AGENTS)
    assert document["agents"]["rag"]["searches_per_task"] == 2.0
    assert set(document["agents"]["rag"]["by_category"]) <= {"search_required", "search_free"}
    record = next(iter(read_records(folder / "agents" / "rag.jsonl")))
    assert len(record["turns"][0]["result"]["hits"]) == 5
