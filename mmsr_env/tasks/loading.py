"""Task sets by name or path."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mmsr_env.errors import InvalidSettingError, TaskDataError, UnknownNameError
from mmsr_env.settings import check_names, make_world
from mmsr_env.tasks.base import TaskSet, named


def load_tasks(spec: str | Path, **settings: Any) -> TaskSet:
    """The task set that a name or a path stands for.

    Args:
        spec: One of `TASK_SETS` ("atlas", "fvqa", "jsonl"); or the path of a .parquet file, of
            a folder of them, or of a .jsonl file.
        **settings: What that task set takes. For "atlas": world, split, count, seed, mix. For
            the files: name; and path, where `spec` is not the path itself.

    Raises:
        UnknownNameError: There is no such name or setting; the message offers the nearest.
        InvalidSettingError: A setting is missing or has a wrong value.
        TaskDataError: The path leads nowhere, or the file is not in the form it should have.
        MissingExtraError: pyarrow is needed and not installed.
    """
    name = str(spec)
    if name not in TASK_SETS:
        settings = {"path": spec, **settings}
        name = _form(Path(spec))
    load = TASK_SETS[name]
    parameters = inspect.signature(load).parameters
    check_names(f"setting of task set {name!r}", settings, parameters)
    for key, parameter in parameters.items():
        if parameter.default is parameter.empty and key not in settings:
            raise InvalidSettingError(f"task set {name!r} needs the setting {key!r}")
    return load(**settings)


def _form(path: Path) -> str:
    """The name of the task set that reads a path."""
    if path.is_dir():
        return "fvqa"
    if form := _SUFFIXES.get(path.suffix.lower()):
        return form
    if path.exists():
        forms = ", ".join(_SUFFIXES)
        raise TaskDataError(f"expected a folder or a file that ends in {forms}, got {path}")
    raise UnknownNameError("task set or file", str(path), TASK_SETS)


def _load_atlas(
    world: Any = None,
    split: str = "train",
    count: int = 100_000,
    seed: int = 0,
    mix: Mapping[str, float] | None = None,
) -> TaskSet:
    from mmsr_env.atlas import AtlasTasks

    return named(AtlasTasks(make_world(world), split, count, seed, mix), f"atlas-{split}")


def _load_fvqa(path: Any, name: str = "") -> TaskSet:
    from mmsr_env.tasks.fvqa import read_fvqa

    return read_fvqa(path, name)


def _load_jsonl(path: str | Path, name: str = "") -> TaskSet:
    from mmsr_env.tasks.jsonl import read_jsonl

    return read_jsonl(path, name)


TASK_SETS: Mapping[str, Callable[..., TaskSet]] = MappingProxyType(
    {"atlas": _load_atlas, "fvqa": _load_fvqa, "jsonl": _load_jsonl}
)
_SUFFIXES = {".parquet": "fvqa", ".jsonl": "jsonl"}
