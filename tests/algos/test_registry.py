"""The registry, and the conformance suite over each of its rows."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from algorithm_conformance import CHECKS

from algos.base import Algorithm
from algos.grpo import GRPO
from algos.registry import ALGORITHMS, make_algorithm
from mmsr_env.errors import InvalidSettingError, UnknownNameError

ROWS: dict[str, Callable[[], Algorithm]] = {
    name: lambda name=name: make_algorithm(name) for name in ALGORITHMS
}
# Settings that take another path through the formulas.
ROWS |= {
    "grpo-token": lambda: make_algorithm("grpo", aggregate="token", entropy_coef=0.01),
    "grpo-fixed": lambda: make_algorithm("grpo", aggregate="fixed", fixed_length=64),
    "grpo-no-reference": lambda: make_algorithm("grpo", kl_coef=0.0),
    "grpo-drop": lambda: make_algorithm(
        "grpo", drop_groups_without_variance=True, kl_coef=0.5, entropy_coef=0.1
    ),
}


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_conformance(row: str, check: Callable[[Algorithm], None]) -> None:
    check(ROWS[row]())


def test_settings_reach_the_algorithm() -> None:
    assert make_algorithm("grpo", clip_high=0.28) == GRPO(clip_high=0.28)
    assert make_algorithm("grpo") == GRPO()


def test_an_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"no algorithm is named 'gropo'.*mean 'grpo'"):
        make_algorithm("gropo")


def test_an_unknown_setting_offers_the_nearest() -> None:
    with pytest.raises(InvalidSettingError, match=r"'kl_coeff'\. Did you mean 'kl_coef'\?"):
        make_algorithm("grpo", kl_coeff=0.1)


def test_a_wrong_value_names_the_setting() -> None:
    with pytest.raises(InvalidSettingError, match=r"clip_low must be .* got -1"):
        make_algorithm("grpo", clip_low=-1)


def test_the_registry_cannot_be_changed_at_run_time() -> None:
    with pytest.raises(TypeError):
        ALGORITHMS["mine"] = GRPO  # type: ignore[index]
