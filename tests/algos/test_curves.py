"""The picture of the learning curves: there, not blank, and drawn from the data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from algos.curves import write_curves

AGENTS = {
    name: {
        "accuracy": level,
        "search_ratio": level,
        "searches_per_task": 2 * level,
        "mean_reward": level,
    }
    for name, level in (("rag", 0.9), ("direct", 0.2), ("trained", 0.8))
}


def rows(count: int = 20, slope: float = 0.04, every: int = 5) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for i in range(count):
        names = ("accuracy", "search_ratio", "searches_per_task", "reward")
        row: dict[str, Any] = {f"rollout/{name}": slope * i for name in names}
        if i % every == 0:
            row |= {f"eval/{name}": slope * i + 0.02 for name in names}
        made.append({"iteration": i, **row})
    return made


def drawn(path: Path, *given: Any) -> np.ndarray:
    write_curves(path, *given)
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert("RGB"))


def coloured(pixels: np.ndarray) -> int:
    """How many pixels are neither white nor grey."""
    return int((np.ptp(pixels.astype(int), axis=2) > 30).sum())


def test_it_is_there_and_not_blank(tmp_path: Path) -> None:
    pixels = drawn(tmp_path / "curves.png", rows(), AGENTS)
    assert min(pixels.shape[:2]) > 400
    assert coloured(pixels) > 2000


def test_other_data_give_another_picture_and_equal_data_the_same(tmp_path: Path) -> None:
    first = drawn(tmp_path / "a.png", rows(), AGENTS)
    assert np.array_equal(first, drawn(tmp_path / "b.png", rows(), AGENTS))
    assert not np.array_equal(first, drawn(tmp_path / "c.png", rows(slope=-0.04), AGENTS))
    assert not np.array_equal(first, drawn(tmp_path / "d.png", rows(), {}))


def test_each_of_the_four_panels_is_drawn(tmp_path: Path) -> None:
    pixels = drawn(tmp_path / "curves.png", rows(), AGENTS)
    height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
    for top in (0, height):
        for left in (0, width):
            assert coloured(pixels[top : top + height, left : left + width]) > 300


def test_validation_is_drawn_apart_from_training(tmp_path: Path) -> None:
    without = [{k: v for k, v in row.items() if not k.startswith("eval/")} for row in rows()]
    with_both = drawn(tmp_path / "a.png", rows(), {})
    assert not np.array_equal(with_both, drawn(tmp_path / "b.png", without, {}))


def test_gaps_single_points_and_nothing_at_all_are_no_error(tmp_path: Path) -> None:
    gaps = [{**row, "rollout/reward": None} for row in rows()]
    for number, some in enumerate((gaps, rows(1), [], [{"iteration": 0, "loss/total": 1.0}])):
        drawn(tmp_path / f"{number}.png", some, {})


def test_a_figure_that_is_not_known_has_no_line(tmp_path: Path) -> None:
    drawn(tmp_path / "a.png", rows(), {"rag": {"accuracy": None}})
