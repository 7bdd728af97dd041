"""Checks of settings: what fails names the setting, what it may be, and what came."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from math import inf

from mmsr_env.errors import InvalidSettingError


def check_positive(name: str, value: float, at_most: float = inf) -> None:
    """Raise unless a setting is a finite number above 0 and not above `at_most`.

    Raises:
        InvalidSettingError: If it is anything else, text such as "1e-3" included: YAML reads
            that as text, and 1.0e-3 as a number.
    """
    if not (_is_finite_number(value) and 0 < value <= at_most):
        limit = "" if at_most == inf else f" and at most {at_most}"
        raise InvalidSettingError(f"{name} must be a number above 0{limit}, got {value!r}")


def check_not_negative(name: str, value: float) -> None:
    """Raise unless a setting is a finite number of 0 or more.

    Raises:
        InvalidSettingError: If it is anything else, text included.
    """
    if not (_is_finite_number(value) and value >= 0):
        raise InvalidSettingError(f"{name} must be a number of 0 or more, got {value!r}")


def check_known(owner: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise unless every given setting is one that its owner has.

    Raises:
        InvalidSettingError: If one is not; the message offers the nearest that is.
    """
    choices = sorted(known)
    for name in given:
        if name not in choices:
            near = difflib.get_close_matches(name, choices, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise InvalidSettingError(
                f"{owner} has no setting {name!r}.{hint} Known: {', '.join(choices)}."
            )


def _is_finite_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < inf
