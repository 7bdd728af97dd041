"""The log of a run: one JSON object a line, and the same figures for TensorBoard."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from mmsr_env.trajectories import write_records


class MetricsLog:
    """Writes `metrics.jsonl` and TensorBoard events into a run's folder.

    Args:
        folder: The run's folder.
        first_iteration: Lines of this iteration and later ones are dropped from an existing
            file, since a resumed run writes them again.
    """

    def __init__(self, folder: Path, first_iteration: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "metrics.jsonl"
        kept = [row for row in read_metrics(self.path) if row["iteration"] < first_iteration]
        write_records(self.path, kept)
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=first_iteration)

    def write(self, iteration: int, metrics: Mapping[str, float]) -> None:
        """Append one row, what is not finite as null; it is on the disk when this returns."""
        row = {name: value if math.isfinite(value) else None for name, value in metrics.items()}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"iteration": iteration, **row}, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        for name, value in metrics.items():
            self._board.add_scalar(name, value, iteration)
        self._board.flush()

    def close(self) -> None:
        self._board.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The rows of a `metrics.jsonl`; a last line that was cut off while writing is left out."""
    rows: list[dict[str, Any]] = []
    if not path.exists():
        return rows
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows
