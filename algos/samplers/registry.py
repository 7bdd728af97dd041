"""Samplers by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from algos.models import VisionLanguageModel
from algos.samplers.base import Sampler
from algos.samplers.hf import HFSampler
from mmsr_env.errors import InvalidSettingError, UnknownNameError

SAMPLERS: Mapping[str, Callable[..., Sampler]] = MappingProxyType({"hf": HFSampler})


def make_sampler(name: str, vlm: VisionLanguageModel, *, seed: int, **settings: Any) -> Sampler:
    """The sampler of that name, for a model.

    Raises:
        UnknownNameError: There is none of that name.
        InvalidSettingError: It does not take a setting.
    """
    if name not in SAMPLERS:
        raise UnknownNameError("sampler", name, SAMPLERS)
    try:
        return SAMPLERS[name](vlm, seed=seed, **settings)
    except TypeError as error:
        raise InvalidSettingError(f"sampler {name!r}: {error}") from error
