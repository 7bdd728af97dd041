"""The reward's table, its options, and its formula written again from the protocol's text."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsr_env.errors import InvalidSettingError, UnknownNameError
from mmsr_env.reward import RewardRule

share = st.floats(0.0, 1.0)
searches = st.integers(0, 20)


@pytest.mark.parametrize(
    ("right", "made", "kept", "reward"),
    [
        (True, 0, True, 1.00),
        (True, 1, True, 0.91),
        (True, 2, True, 0.91),
        (True, 0, False, 0.90),
        (True, 1, False, 0.81),
        (True, 2, False, 0.81),
        (False, 0, True, 0.10),
        (False, 1, True, 0.10),
        (False, 2, True, 0.10),
        (False, 0, False, 0.00),
        (False, 1, False, 0.00),
    ],
)
def test_the_table_of_the_paper(right: bool, made: int, kept: bool, reward: float) -> None:
    answer = "Paris" if right else "London"
    given_reward = RewardRule()(answer, ("Paris",), made, kept)
    assert given_reward.value == pytest.approx(reward, abs=1e-12)
    assert given_reward.parts == {
        "score": float(right),
        "penalty": pytest.approx(0.9 if made else 1.0),
        "format": float(kept),
    }


def test_the_documented_table_is_what_the_code_gives() -> None:
    page = Path(__file__).parents[2] / "docs" / "protocol.md"
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in page.read_text(encoding="utf-8").splitlines()
        if line.startswith(("| right,", "| wrong,"))
    ]
    assert len(rows) == 6
    for case, made, score, penalty, kept, reward in rows:
        answer = "yes" if case.startswith("right") else "no"
        found = RewardRule()(answer, ("yes",), int(made), case.endswith("kept"))
        assert found.value == pytest.approx(float(reward)), case
        parts = {"score": float(score), "penalty": float(penalty), "format": float(kept)}
        assert found.parts == pytest.approx(parts), case


def test_a_penalty_for_each_search() -> None:
    rule = RewardRule(per_search=True)
    values = [rule("Paris", ("Paris",), made, True).value for made in range(4)]
    assert values == pytest.approx([1.0, 0.91, 0.829, 0.1 + 0.9 * 0.729], abs=1e-12)


def test_containment_instead_of_equality() -> None:
    answer, golds = "It is Paris.", ("Paris",)
    assert RewardRule()(answer, golds, 0, True).value == pytest.approx(0.1)
    assert RewardRule(match="contains")(answer, golds, 0, True).value == pytest.approx(1.0)


def test_the_penalty_warms_up_from_minus_p_to_p() -> None:
    rule = RewardRule(search_penalty=0.2, warmup_steps=4)
    assert [rule.penalty_at(step) for step in range(7)] == pytest.approx(
        [-0.2, -0.1, 0.0, 0.1, 0.2, 0.2, 0.2]
    )
    assert rule.penalty_at(None) == 0.2
    first = rule("Paris", ("Paris",), 1, True, step=0)
    assert first.value == pytest.approx(0.9 * 1.2 + 0.1)
    assert first.parts["penalty"] == pytest.approx(1.2)
    assert rule("Paris", ("Paris",), 0, True, step=0).value == pytest.approx(1.0)
    assert rule("x", ("Paris",), 1, True, step=0).value == pytest.approx(0.1)


def test_without_warm_up_the_step_changes_nothing() -> None:
    rule = RewardRule()
    assert {rule.penalty_at(step) for step in (None, 0, 1, 10**9)} == {0.1}


def slowly(
    right: bool, made: int, kept: bool, a: float, p: float, each: bool, warm: int, step: int
) -> float:
    """(1 - a) * score * penalty + a * format, by cases."""
    if warm > 0 and step < warm:
        p = -p + (2.0 * p) * step / warm
    reward = a if kept else 0.0
    if right:
        part = 1.0 - a
        times = made if each else (1 if made > 0 else 0)
        for _ in range(times):
            part *= 1.0 - p
        reward += part
    return reward


@given(
    st.booleans(), searches, st.booleans(), share, share, st.booleans(),
    st.integers(0, 30), st.integers(0, 40),
)  # fmt: skip
def test_a_slow_formula_agrees(
    right: bool, made: int, kept: bool, a: float, p: float, each: bool, warm: int, step: int
) -> None:
    rule = RewardRule(a, p, each, warmup_steps=warm)
    value = rule("yes" if right else "no", ("Yes",), made, kept, step).value
    expected = slowly(right, made, kept, a, p, each, warm, step)
    assert math.isclose(value, expected, rel_tol=1e-9, abs_tol=1e-12)


@given(st.booleans(), searches, st.booleans(), share, share, st.booleans())
def test_rewards_lie_between_0_and_1(
    right: bool, made: int, kept: bool, a: float, p: float, each: bool
) -> None:
    rule = RewardRule(a, p, each)
    assert 0.0 <= rule("yes" if right else "no", ("yes",), made, kept).value <= 1.0


@given(searches, st.booleans(), share, share, st.booleans())
def test_searching_more_never_pays_without_warm_up(
    made: int, kept: bool, a: float, p: float, each: bool
) -> None:
    rule = RewardRule(a, p, each)
    values = [rule("yes", ("yes",), n, kept).value for n in (made, made + 1)]
    assert values[0] >= values[1]


@pytest.mark.parametrize("name", ["format_weight", "search_penalty"])
@pytest.mark.parametrize("value", [-0.01, 1.01, math.nan, math.inf])
def test_shares_outside_0_to_1_are_refused(name: str, value: float) -> None:
    with pytest.raises(InvalidSettingError, match=f"reward.{name}"):
        RewardRule(**{name: value})  # type: ignore[arg-type]


def test_other_settings_are_checked_where_they_are_set() -> None:
    with pytest.raises(InvalidSettingError, match=r"reward\.warmup_steps"):
        RewardRule(warmup_steps=-1)
    with pytest.raises(UnknownNameError, match="exact"):
        RewardRule(match="exactly")
