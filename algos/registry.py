"""The algorithms by name: one row each, and nothing elsewhere asks which one runs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from algos.base import Algorithm
from algos.grpo import GRPO
from algos.settings import check_known
from mmsr_env.errors import UnknownNameError

ALGORITHMS: Mapping[str, Callable[..., Algorithm]] = MappingProxyType(
    {
        "grpo": GRPO,
    }
)
"""Name -> what makes the algorithm from its settings, given by keyword."""


def make_algorithm(name: str, /, **settings: Any) -> Algorithm:
    """The algorithm of a name.

    Args:
        name: A key of `ALGORITHMS`.
        **settings: Those that differ from the algorithm's defaults.

    Raises:
        UnknownNameError: If no algorithm has this name.
        InvalidSettingError: If the algorithm has no such setting, or not with such a value.
    """
    if name not in ALGORITHMS:
        raise UnknownNameError("algorithm", name, ALGORITHMS)
    factory = ALGORITHMS[name]
    check_known(f"algorithm {name!r}", settings, inspect.signature(factory).parameters)
    return factory(**settings)
