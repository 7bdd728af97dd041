"""Checkpoints: whole or not there, and everything in them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch
from small_runs import beginner, copy_of, equal, untrained, weights_of

from algos.checkpoint import list_checkpoints, load_checkpoint, save_checkpoint
from algos.models import load_model
from mmsr_env.errors import InvalidSettingError

STATE = {
    "iteration": 3,
    "generator": torch.Generator().manual_seed(5).get_state(),
    "optimizer": {"state": {0: {"step": torch.tensor(2.0)}}, "groups": [{"lr": 0.1}]},
}


class KilledError(RuntimeError):
    """Stands for a run that is killed at some point."""


def names(folder: Path) -> list[str]:
    return [path.name for path in list_checkpoints(folder)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_and_state_come_back_bit_for_bit(tmp_path: Path, dtype: torch.dtype) -> None:
    saved, other = copy_of(beginner(), dtype), copy_of(untrained(1), dtype)
    path = save_checkpoint(tmp_path, "000003", saved, STATE, keep=2)
    state = load_checkpoint(path, other)
    assert equal(weights_of(saved), weights_of(other))
    assert state["iteration"] == 3
    assert torch.equal(state["generator"], STATE["generator"])
    assert state["optimizer"] == STATE["optimizer"]


def test_the_model_in_it_is_an_ordinary_one(tmp_path: Path) -> None:
    vlm = beginner()
    path = save_checkpoint(tmp_path, "000001", vlm, STATE, keep=1)
    assert equal(weights_of(load_model(path / "model")), weights_of(vlm))


def test_the_newest_stay(tmp_path: Path) -> None:
    vlm = untrained()
    for number in range(1, 6):
        save_checkpoint(tmp_path, f"{number:06d}", vlm, STATE, keep=2)
    assert names(tmp_path) == ["000004", "000005"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names(tmp_path)


def test_the_new_one_stays_whatever_keep_says(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, "000001", untrained(), STATE, keep=0)
    assert names(tmp_path) == ["000001"]


def test_one_that_is_there_is_replaced(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, "000001", untrained(1), {"iteration": 1}, keep=2)
    path = save_checkpoint(tmp_path, "000001", untrained(2), {"iteration": 7}, keep=2)
    vlm = untrained()
    assert load_checkpoint(path, vlm)["iteration"] == 7
    assert equal(weights_of(vlm), weights_of(untrained(2)))


@pytest.mark.parametrize("when", ["model", "state", "rename", "delete"])
def test_a_run_that_is_killed_while_saving_leaves_what_was_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    vlm = untrained()
    for name in ("000001", "000002"):
        save_checkpoint(tmp_path, name, vlm, STATE, keep=2)

    def killed(*given: object, **named: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        target, name = {
            "model": (type(vlm), "save"),
            "state": (torch, "save"),
            "rename": (os, "replace"),
            "delete": (shutil, "rmtree"),
        }[when]
        if when == "delete":  # only the one that cleans up at the end
            patch.setattr(shutil, "rmtree", _failing_for("000001", shutil.rmtree, killed))
        else:
            patch.setattr(target, name, killed)
        with pytest.raises(KilledError):
            save_checkpoint(tmp_path, "000003", vlm, STATE, keep=2)
    expected = ["000002", "000003"] if when == "delete" else ["000001", "000002"]
    assert names(tmp_path) == expected
    for path in list_checkpoints(tmp_path):
        assert load_checkpoint(path, untrained())["iteration"] == 3
    save_checkpoint(tmp_path, "000003", vlm, STATE, keep=2)
    assert names(tmp_path) == ["000002", "000003"]


def _failing_for(name: str, remove, fail):
    def chosen(path, *given, **named):
        if name in Path(path).name and Path(path).exists():
            fail()
        remove(path, *given, **named)

    return chosen


def test_a_draft_is_no_checkpoint(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, "000001", untrained(), STATE, keep=2)
    draft = tmp_path / ".000002.part" / "model"
    draft.mkdir(parents=True)
    (draft / "config.json").write_text("{")
    assert names(tmp_path) == ["000001"]
    save_checkpoint(tmp_path, "000002", untrained(), STATE, keep=2)
    assert load_checkpoint(tmp_path / "000002", untrained())["iteration"] == 3


def test_there_are_none_without_a_folder(tmp_path: Path) -> None:
    assert list_checkpoints(tmp_path / "nowhere") == []


@pytest.mark.parametrize("missing", ["state.pt", "model/config.json", ""])
def test_half_a_checkpoint_is_refused(tmp_path: Path, missing: str) -> None:
    path = save_checkpoint(tmp_path, "000001", untrained(), STATE, keep=2)
    shutil.rmtree(path) if not missing else (path / missing).unlink()
    with pytest.raises(InvalidSettingError, match="expected a checkpoint"):
        load_checkpoint(path, untrained())
