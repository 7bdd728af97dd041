"""`mmsr demo`: the main job, from the built-in world to the table of agents."""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
from typing import Any

from mmsr_env.errors import MissingExtraError


def add_parser(subparsers: Any) -> None:
    """Add the subcommand `demo`."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "demo",
        help="train the small model on the built-in world and compare agents",
        description="Trains the packaged small model by GRPO and writes results, curves and "
        "trajectories to runs/demo; about ten minutes on two CPU cores.",
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="SETTING=VALUE",
        help="settings of mmsr-train, such as algo=grpo or trainer.iterations=50",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run `mmsr-train experiment=demo` in a process of its own.

    The environment does not depend on the training package, so it is not imported here.

    Raises:
        MissingExtraError: The training package's libraries are not installed.
    """
    for library in ("torch", "transformers", "hydra"):
        if importlib.util.find_spec(library) is None:
            raise MissingExtraError(library, "train", "mmsr demo")
    command = [sys.executable, "-m", "algos.train", "experiment=demo", *options.overrides]
    return subprocess.run(command, check=False).returncode
