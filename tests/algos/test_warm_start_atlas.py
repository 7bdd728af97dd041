"""The command that makes the packaged model; in full only where minutes may be spent."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from algos.pretrained import packaged_model
from algos.warm_start_atlas import WORLD, make
from mmsr_env.atlas import World


def test_equal_settings_give_equal_weights_however_many_workers() -> None:
    world = World(size=120)
    alone = make(steps=3, world=world, workers=0).model.state_dict()
    shared = make(steps=3, world=world, workers=1).model.state_dict()
    assert all(torch.equal(alone[name], shared[name]) for name in alone)


def test_steps_change_the_weights() -> None:
    world = World(size=120)
    two, three = (make(steps=n, world=world, workers=0).model.state_dict() for n in (2, 3))
    assert not torch.equal(two["lm_head.weight"], three["lm_head.weight"])


def test_the_packaged_model_is_small_and_says_what_it_can_do() -> None:
    folder = packaged_model()
    assert sum(path.stat().st_size for path in folder.iterdir()) < 10 * 2**20
    made = json.loads((folder / "warm_start.json").read_text(encoding="utf-8"))
    assert made["validation"]["rag"]["searches_per_task"] == 2.0
    assert made["world"] == {"size": WORLD.size, "seed": WORLD.seed}


@pytest.mark.slow
def test_the_command_makes_a_model_as_good_as_the_packaged_one(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "algos.warm_start_atlas", str(tmp_path / "made")]
    subprocess.run(command, check=True)
    made, packaged = (
        json.loads((folder / "warm_start.json").read_text(encoding="utf-8"))["validation"]
        for folder in (tmp_path / "made", packaged_model())
    )
    # Other processors round otherwise, so the weights differ; what they can do should not.
    for workflow in ("rag", "on_demand"):
        assert made[workflow]["accuracy"] > packaged[workflow]["accuracy"] - 0.06
