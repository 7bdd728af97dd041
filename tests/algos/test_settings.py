"""Checks of settings: what passes, what fails, and what the failure says."""

from __future__ import annotations

from math import inf, nan

import pytest

from algos.settings import check_known, check_not_negative, check_positive
from mmsr_env.errors import InvalidSettingError


def test_good_numbers_pass() -> None:
    for value in (1e-300, 1, 1.0, 1e300):
        check_positive("x", value)
        check_not_negative("x", value)
    check_not_negative("x", 0)
    check_positive("x", 0.5, at_most=0.5)


@pytest.mark.parametrize("value", [-1.0, nan, inf, -inf, "1e-3", None, True])
def test_bad_numbers_fail(value: object) -> None:
    for check in (check_positive, check_not_negative):
        with pytest.raises(InvalidSettingError, match="x must be a number"):
            check("x", value)  # type: ignore[operator]


def test_zero_is_not_positive_and_bounds_hold() -> None:
    with pytest.raises(InvalidSettingError, match=r"above 0, got 0"):
        check_positive("x", 0)
    with pytest.raises(InvalidSettingError, match=r"at most 0\.5, got 0\.6"):
        check_positive("x", 0.6, at_most=0.5)


def test_unknown_settings_fail_with_all_that_are_known() -> None:
    check_known("it", ["one", "two"], ["two", "one", "three"])
    with pytest.raises(InvalidSettingError, match=r"it has no setting 'tow'. Did you mean 'two'"):
        check_known("it", ["one", "tow"], ["two", "one"])
    with pytest.raises(InvalidSettingError, match=r"'zzz'\. Known: one, two\."):
        check_known("it", ["zzz"], ["two", "one"])
