"""The settings of runs as `conf/` composes them, and small data for them to run on."""

from __future__ import annotations

import importlib.util
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from small_runs import WORLD, beginner

import mmsr_env
from mmsr_env.atlas import AtlasPages, AtlasPictures, AtlasTasks
from mmsr_env.search.local.build import build_index
from mmsr_env.search.local.perceptual import PerceptualEmbedder
from mmsr_env.types import Task

CONF = Path(__file__).parents[2] / "conf"
SMALL = (
    f"env.world.size={WORLD.size}",
    f"env.world.familiar={WORLD.familiar}",
    "model.max_turn_tokens=20",
    "trainer.iterations=2",
    "trainer.tasks_per_iteration=3",
    "trainer.group_size=4",
    "trainer.evaluate_every=1",
    "trainer.save_every=1",
    "evaluation.tasks=6",
    "evaluation.validation=3",
)
"""A run on the small world that takes seconds."""

MINIATURE = (
    "model.device=cpu",
    "model.dtype=float32",
    "model.min_pixels=784",
    "model.max_pixels=784",
    "model.max_tokens=2048",
    "model.max_turn_tokens=16",
    "trainer.iterations=2",
    "trainer.tasks_per_iteration=4",
    "trainer.group_size=2",
    "evaluation.tasks=3",
    "evaluation.validation=2",
)
"""What makes MMSearch-R1's settings fit a small model, a CPU and seconds."""


def composed(*overrides: str) -> dict[str, Any]:
    """The settings that `mmsr-train` gives a run."""
    with initialize_config_dir(str(CONF), version_base=None):
        config = compose("config", overrides=list(overrides))
    settings = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert isinstance(settings, dict)
    return {str(name): value for name, value in settings.items()}


def save_beginner(folder: Path) -> str:
    """An override that takes the beginner, as an ordinary folder, for the model."""
    beginner().save(folder)
    return f"model.path={folder}"


def save_fvqa(folder: Path, train: int = 12, test: int = 4) -> str:
    """An override that takes a folder of parquet files in FVQA's form, asking about the world."""
    folder.mkdir()
    for split, count in (("train", train), ("test", test)):
        rows = map(_row, AtlasTasks(WORLD, split, count))
        _write(folder / f"fvqa_{split}.parquet", rows)
    return f"env.path={folder}"


def save_index(folder: Path) -> str:
    """An override that takes an index of the world's pages and pictures."""
    build_index(AtlasPages(WORLD), AtlasPictures(WORLD), folder, PerceptualEmbedder())
    return f"search.path={folder}"


def provide_conf(folder: Path) -> None:
    """Make `mmsr_env.conf` importable in a checkout that is not installed."""
    if importlib.util.find_spec("mmsr_env.conf") is None:
        (folder / "conf").symlink_to(CONF)
        mmsr_env.__path__.append(str(folder))


def _row(task: Task) -> dict[str, Any]:
    buffer = io.BytesIO()
    task.image.save(buffer, "PNG")
    answers = {
        "ground_truth": task.answers[0],
        "candidate_answers": json.dumps([]),
        "style": "rule",
    }
    return {
        "prompt": [{"content": task.question, "role": "user"}],
        "images": [{"bytes": buffer.getvalue()}],
        "reward_model": answers,
        "data_source": "small",
        "image_urls": None,
        "data_id": task.id,
        "category": task.category.value,
    }


def _write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
