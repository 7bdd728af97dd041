"""TokenBatch.select against a plain oracle: tokens, pictures and patches of chosen rows."""

from __future__ import annotations

from typing import Any

import oracles
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from algos.batch import TokenBatch

# Grids of each row's pictures; different numbers of patches, and rows without any.
GRIDS = [[(1, 2, 2), (1, 1, 3)], [], [(1, 4, 1)], [], [(1, 1, 1), (1, 2, 3), (1, 2, 1)]]
LENGTHS = [4, 2, 7, 1, 5]
MISSING = -1


def _plain_rows() -> list[dict[str, Any]]:
    """Rows whose tokens and patches are all different numbers."""
    rows, patch = [], 0
    for number, grids in enumerate(GRIDS):
        pictures = []
        for grid in grids:
            count = grid[0] * grid[1] * grid[2]
            pictures.append({"grid": grid, "patches": list(range(patch, patch + count))})
            patch += count
        tokens = [100 * number + t for t in range(LENGTHS[number])]
        rows.append({"tokens": tokens, "pictures": pictures})
    return rows


def _batch(rows: list[dict[str, Any]]) -> TokenBatch:
    whole = oracles.select_rows(rows, list(range(len(rows))))
    tokens = torch.tensor([[MISSING if t is None else t for t in row] for row in whole["tokens"]])
    patches = torch.tensor(whole["patches"], dtype=torch.float32)
    return TokenBatch(
        input_ids=tokens,
        attention_mask=tokens != MISSING,
        position_ids=torch.stack([tokens + axis * 1000 for axis in range(3)]),
        response_mask=tokens % 2 == 0,
        behavior_logprobs=-tokens.float(),
        rewards=torch.arange(len(rows)).float(),
        group_ids=torch.arange(len(rows)) + 50,
        truncated=torch.arange(len(rows)) % 2 == 1,
        pixel_values=torch.stack([patches, patches + 0.5], dim=1),
        image_grid_thw=torch.tensor(whole["grids"]),
        image_counts=torch.tensor(whole["counts"]),
        old_logprobs=-tokens.float() - 0.25,
        ref_logprobs=-tokens.float() - 0.75,
    )


def _expected(chosen: list[int]) -> tuple[dict[str, Any], Tensor]:
    plain = oracles.select_rows(_plain_rows(), chosen)
    tokens = [[MISSING if t is None else t for t in row] for row in plain["tokens"]]
    return plain, torch.tensor(tokens, dtype=torch.int64).reshape(len(chosen), -1)


@settings(deadline=None)
@given(st.lists(st.integers(0, len(GRIDS) - 1), min_size=1, max_size=7))
def test_any_rows_in_any_order(chosen: list[int]) -> None:
    found = _batch(_plain_rows()).select(torch.tensor(chosen))
    plain, tokens = _expected(chosen)
    assert torch.equal(found.input_ids, tokens)
    assert torch.equal(found.attention_mask, tokens != MISSING)
    assert torch.equal(found.position_ids, torch.stack([tokens + axis * 1000 for axis in range(3)]))
    assert torch.equal(found.response_mask, tokens % 2 == 0)
    assert torch.equal(found.behavior_logprobs, -tokens.float())
    assert found.old_logprobs is not None
    assert found.ref_logprobs is not None
    assert torch.equal(found.old_logprobs, -tokens.float() - 0.25)
    assert torch.equal(found.ref_logprobs, -tokens.float() - 0.75)
    assert found.rewards.tolist() == chosen
    assert found.group_ids.tolist() == [row + 50 for row in chosen]
    assert found.truncated.tolist() == [row % 2 == 1 for row in chosen]
    assert found.image_counts.tolist() == plain["counts"]
    assert found.image_grid_thw.tolist() == plain["grids"]
    assert found.pixel_values.tolist() == [[patch, patch + 0.5] for patch in plain["patches"]]
    assert int(found.image_grid_thw.prod(dim=1).sum()) == len(found.pixel_values)


def test_rows_without_pictures_keep_the_shapes() -> None:
    found = _batch(_plain_rows()).select(torch.tensor([3, 1]))
    assert found.pixel_values.shape == (0, 2)
    assert found.image_grid_thw.shape == (0, 3)
    assert found.input_ids.tolist() == [[300, MISSING], [100, 101]]


def test_a_batch_without_any_picture() -> None:
    rows = [row | {"pictures": []} for row in _plain_rows()]
    batch = _batch(rows)._replace(
        image_grid_thw=torch.zeros(0, 3, dtype=torch.int64), pixel_values=torch.zeros(0, 2)
    )
    found = batch.select(torch.tensor([4, 0]))
    assert found.pixel_values.shape == (0, 2)
    assert found.image_grid_thw.shape == (0, 3)
    assert found.input_ids.shape == (2, 5)


def test_no_rows_at_all() -> None:
    found = _batch(_plain_rows()).select(torch.zeros(0, dtype=torch.int64))
    assert found.input_ids.shape == (0, 0)
    assert found.position_ids.shape == (3, 0, 0)
    assert found.pixel_values.shape == (0, 2)
    assert found.image_counts.shape == (0,)


@pytest.mark.parametrize("name", ["old_logprobs", "ref_logprobs"])
def test_what_is_missing_stays_missing(name: str) -> None:
    batch = _batch(_plain_rows())._replace(**{name: None})
    assert getattr(batch.select(torch.tensor([2, 0])), name) is None


def test_selecting_twice_is_selecting_once() -> None:
    batch = _batch(_plain_rows())
    first, second = torch.tensor([4, 2, 0]), torch.tensor([2, 0])
    for one, other in zip(
        batch.select(first).select(second), batch.select(first[second]), strict=True
    ):
        assert torch.equal(one, other)
