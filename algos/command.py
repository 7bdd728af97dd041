"""The console script `mmsr-train`: says in one line if the training libraries are not there."""

from __future__ import annotations

import sys

from mmsr_env.errors import MissingExtraError


def main() -> None:
    """Run `algos.train`; exit with 2 where a library of the extra `train` is missing."""
    try:
        from algos.train import main as train
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library in ("algos", "mmsr_env", ""):
            raise
        missing = MissingExtraError(library, "train", "mmsr-train")
        print(f"mmsr-train: error: {missing}", file=sys.stderr)
        sys.exit(2)
    train()
