"""Settings that arrive as plain mappings, from `gymnasium.make` or a file, made into values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

from mmsr_env.errors import InvalidSettingError, UnknownNameError

if TYPE_CHECKING:
    from mmsr_env.atlas import World

_Config = TypeVar("_Config")


def check_names(what: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise unless every given name is known.

    Raises:
        UnknownNameError: One is not; the message offers the nearest that is.
    """
    choices = sorted(known)
    for name in given:
        if name not in choices:
            raise UnknownNameError(what, str(name), choices)


def from_mapping(
    config: type[_Config], values: _Config | Mapping[str, Any] | None, what: str
) -> _Config:
    """A frozen dataclass from what stands for it.

    Args:
        config: The dataclass.
        values: One of it, as it is; a mapping of some of its fields; None for its defaults.
        what: What it is called in errors, such as "rules".

    Raises:
        UnknownNameError: A field does not exist; the message offers the nearest that does.
        InvalidSettingError: `values` is something else, or a field has a wrong value or type.
    """
    if isinstance(values, config):
        return values
    if values is None:
        return config()
    if not isinstance(values, Mapping):
        raise InvalidSettingError(
            f"{what} must be a mapping or a {config.__name__}, got {type(values).__name__}"
        )
    check_names(f"{what} setting", values, [f.name for f in fields(config)])  # type: ignore[arg-type]
    try:
        return config(**values)
    except TypeError as error:  # a field of the wrong type, met where its range is checked
        raise InvalidSettingError(f"{what}: {error}; got {dict(values)}") from error


def make_world(values: World | Mapping[str, Any] | None) -> World:
    """An Atlas world from what stands for it; its difficulty may be a name or a mapping.

    Raises:
        UnknownNameError: A field or the difficulty does not exist.
        InvalidSettingError: A value is outside what it may be.
    """
    from mmsr_env.atlas import Difficulty, World, get_difficulty

    if isinstance(values, Mapping) and "difficulty" in values:
        given = values["difficulty"]
        named = isinstance(given, str)
        hard = get_difficulty(given) if named else from_mapping(Difficulty, given, "difficulty")
        values = {**values, "difficulty": hard}
    return from_mapping(World, values, "world")
