"""Looking a thing up by its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from mmsr_env.errors import UnknownNameError

_Thing = TypeVar("_Thing")


def look_up(what: str, name: str, registry: Mapping[str, _Thing]) -> _Thing:
    """The thing of that name.

    Args:
        what: What the things are called in errors, such as "grammar".
        name: The name.
        registry: Everything that has a name.

    Raises:
        UnknownNameError: There is none; the message names the nearest.
    """
    try:
        return registry[name]
    except (KeyError, TypeError):  # a name may come from a file, as anything
        raise UnknownNameError(what, name, registry) from None
