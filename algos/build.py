"""From the settings of a run, as plain mappings, to its parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias, overload

import torch

from algos.models import VisionLanguageModel, load_model
from algos.pretrained import packaged_model
from mmsr_env.errors import InvalidSettingError, UnknownNameError
from mmsr_env.evaluation import Play
from mmsr_env.protocol.grammar import get_grammar
from mmsr_env.protocol.prompts import get_prompts
from mmsr_env.reward import RewardRule
from mmsr_env.rules import Rules
from mmsr_env.search.base import SearchBackend
from mmsr_env.settings import check_names, from_mapping, make_world
from mmsr_env.tasks.loading import load_tasks
from mmsr_env.types import Task

Settings = Mapping[str, Any]
_EVERY = 10  # of the training tasks, every tenth is for validation where no file is given


@dataclass(frozen=True, slots=True)
class TaskSplits:
    """What a run trains on, chooses by, and reports on."""

    train: Sequence[Task]
    validation: Sequence[Task]
    test: Sequence[Task]


def check_settings(settings: Settings) -> None:
    """Make sure that nothing stands in the settings which nothing would read.

    The groups `algo`, `sampler`, `search`, `trainer`, `update` and those within `env` are
    checked where they are used.

    Raises:
        UnknownNameError: A setting does not exist; the message offers the nearest that does.
    """
    check_names("setting", settings, _SETTINGS)
    for group, names in _GROUPS.items():
        check_names(f"{group} setting", settings[group], names)


def build_play(env: Settings) -> Play:
    """How episodes are played, from the group `env`."""
    return Play(
        rules=from_mapping(Rules, env["rules"], "env.rules"),
        grammar=get_grammar(env["grammar"]),
        prompts=get_prompts(env["prompts"]),
        reward=from_mapping(RewardRule, env["reward"], "env.reward"),
    )


def build_tasks(env: Settings) -> TaskSplits:
    """The task sets of the group `env`."""
    train, test = _tasks(env["train"]), _tasks(env["test"])
    if env["validation"] is not None:
        return TaskSplits(train, _tasks(env["validation"]), test)
    kept = [i for i in range(len(train)) if i % _EVERY]
    held = range(0, len(train), _EVERY)
    if not kept:
        raise InvalidSettingError(
            f"expected env.validation, or {_EVERY} training tasks and more, got {len(train)}"
        )
    return TaskSplits(_Chosen(train, kept), _Chosen(train, held), test)


def build_search(settings: Settings) -> SearchBackend:
    """The search backend of the group `search`.

    Raises:
        UnknownNameError: There is no backend of that name, or it has no such setting.
    """
    name = settings["name"]
    if name not in _SEARCHES:
        raise UnknownNameError("search backend", name, _SEARCHES)
    build, known = _SEARCHES[name]
    check_names("search setting", settings, ("name", *known))
    return build({key: settings[key] for key in settings if key != "name"})


def build_model(model: Settings) -> VisionLanguageModel:
    """The model of the group `model`, for training and sampling.

    Raises:
        InvalidSettingError: The data type is none that a model is trained in, or there is no
            model to be had, or not on that device or with that attention.
    """
    dtype = getattr(torch, str(model["dtype"]), None)
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise InvalidSettingError(
            f"model.dtype must name a floating-point dtype of torch, got {model['dtype']!r}"
        )
    path = packaged_model() if model["path"] is None else model["path"]
    try:
        return load_model(
            path,
            dtype=dtype,
            device=model["device"],
            attention=model["attention"],
            min_pixels=model["min_pixels"],
            max_pixels=model["max_pixels"],
        )
    # What transformers and torch raise where there is no such model, library or device.
    except (OSError, ValueError, ImportError, RuntimeError, AssertionError) as error:
        raise InvalidSettingError(f"the model {path} cannot be loaded: {error}") from error


class _Chosen(Sequence[Task]):
    """Some tasks of a task set, in a given order, made when asked for."""

    def __init__(self, tasks: Sequence[Task], indices: Sequence[int]) -> None:
        self._tasks, self._indices = tasks, indices

    def __len__(self) -> int:
        return len(self._indices)

    @overload
    def __getitem__(self, index: int) -> Task: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Task]: ...
    def __getitem__(self, index: int | slice) -> Task | Sequence[Task]:
        if isinstance(index, slice):
            return _Chosen(self._tasks, self._indices[index])
        return self._tasks[self._indices[index]]


def _tasks(settings: Settings) -> Sequence[Task]:
    rest = {key: value for key, value in settings.items() if key != "spec"}
    tasks: Any = load_tasks(settings["spec"], **rest)  # has all that a Sequence has
    return _Chosen(tasks, range(len(tasks)))


def _atlas_search(settings: Settings) -> SearchBackend:
    from mmsr_env.atlas import AtlasSearch

    return AtlasSearch(**{**settings, "world": make_world(settings["world"])})


def _index_search(settings: Settings) -> SearchBackend:
    from mmsr_env.search.local.backend import LocalSearch

    return LocalSearch.open(Path(settings["path"]))


_Build: TypeAlias = Callable[[Settings], SearchBackend]
_SEARCHES: Mapping[str, tuple[_Build, tuple[str, ...]]] = MappingProxyType(
    {
        "atlas": (_atlas_search, ("world", "max_sentences", "thumbnail")),
        "index": (_index_search, ("path",)),
    }
)
_GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "env": tuple("world path train validation test grammar prompts rules reward".split()),
        "model": (
            *("path", "dtype", "device", "attention", "min_pixels", "max_pixels"),
            *("max_tokens", "max_turn_tokens"),
        ),
        "evaluation": ("tasks", "validation"),
    }
)
_SETTINGS = (
    *("algo", "env", "search", "model", "sampler", "trainer", "update", "evaluation"),
    *("seed", "folder", "resume", "threads"),
)
