"""What a person sees while a run goes on: one line an iteration, with the time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TextIO

_SHOWN = {
    "rollout/reward": "reward",
    "rollout/accuracy": "accuracy",
    "rollout/search_ratio": "search ratio",
    "rollout/searches_per_task": "searches",
}


class Progress:
    """Prints a run's progress; on a terminal a line is written over until it is worth keeping.

    Args:
        total: Iterations in all.
        stream: Where to print; the standard error by default.
        every: Away from a terminal, a line is printed every so many iterations.
    """

    def __init__(self, total: int, stream: TextIO | None = None, every: int = 10) -> None:
        self._total, self._every = total, every
        self._stream = sys.stderr if stream is None else stream
        self.begin(0)

    def begin(self, done: int) -> None:
        """Start the clock: now the next iteration begins, after `done` of them."""
        self._first, self._start = done, time.monotonic()

    def show(self, iteration: int, metrics: Mapping[str, float]) -> None:
        """Show an iteration's figures.

        Args:
            iteration: From 0.
            metrics: Its metrics by name.
        """
        done = iteration + 1
        each = (time.monotonic() - self._start) / max(1, done - self._first)
        figures = "  ".join(
            f"{label} {metrics[name]:.3f}" for name, label in _SHOWN.items() if name in metrics
        )
        left = format_seconds(each * (self._total - done))
        line = f"iteration {done}/{self._total}  {figures}  {each:.1f} s each, {left} left"
        if self._stream.isatty():
            end = "\n" if done % self._every == 0 or done == self._total else "\r"
            self._stream.write(f"\x1b[2K{line}{end}")
        elif done % self._every == 0 or done in (1, self._total):
            self._stream.write(line + "\n")
        self._stream.flush()


def format_seconds(seconds: float) -> str:
    """Hours, minutes and seconds, such as "1:02:03" or "4:05"."""
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
