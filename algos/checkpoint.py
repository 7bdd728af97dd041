"""Checkpoints: everything a run needs to go on, written whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from algos.models import VisionLanguageModel
from mmsr_env.errors import InvalidSettingError

_MODEL, _STATE = "model", "state.pt"


def save_checkpoint(
    folder: Path, name: str, vlm: VisionLanguageModel, state: Mapping[str, Any], keep: int
) -> Path:
    """Write `folder/name`, and delete the oldest beyond `keep`.

    It is written beside its place, flushed to the disk, and renamed into it, so whatever
    happens meanwhile, a checkpoint that is there is whole.

    Args:
        folder: Where a run's checkpoints are.
        name: Sorts after the names of earlier ones.
        vlm: Written as an ordinary Hugging Face folder under `model`.
        state: Everything else; tensors and plain values only.
        keep: How many checkpoints stay, the new one among them; at least 1.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target, draft = folder / name, folder / f".{name}.part"
    shutil.rmtree(draft, ignore_errors=True)
    vlm.save(draft / _MODEL)
    torch.save(dict(state), draft / _STATE)
    for path in (*draft.rglob("*"), draft):
        _flush(path)
    _remove(target)
    os.replace(draft, target)
    _flush(folder)
    for old in list_checkpoints(folder)[: -max(1, keep)]:
        _remove(old)
    return target


def list_checkpoints(folder: Path) -> list[Path]:
    """A run's checkpoints, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def load_checkpoint(path: Path, vlm: VisionLanguageModel) -> dict[str, Any]:
    """Put a checkpoint's weights into the model and return its state.

    Raises:
        InvalidSettingError: There is no whole checkpoint at `path`.
    """
    if not (path / _MODEL / "config.json").is_file() or not (path / _STATE).is_file():
        raise InvalidSettingError(f"expected a checkpoint with {_MODEL}/ and {_STATE} in {path}")
    # Through transformers, since the names in its files are not those of the module.
    saved = type(vlm.model).from_pretrained(path / _MODEL, dtype=vlm.model.dtype)
    vlm.model.load_state_dict(saved.state_dict())
    state: dict[str, Any] = torch.load(path / _STATE, weights_only=True, map_location="cpu")
    return state


def _remove(checkpoint: Path) -> None:
    """Delete a checkpoint, if it is there; out of sight first, since deleting takes a while."""
    if checkpoint.exists():
        gone = checkpoint.with_name(f".{checkpoint.name}.gone")
        shutil.rmtree(gone, ignore_errors=True)
        os.replace(checkpoint, gone)
        shutil.rmtree(gone)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
