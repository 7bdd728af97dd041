"""Waiting for asynchronous work from synchronous code, with or without a loop already running."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


class _Loop:
    """One event loop on a daemon thread of its own, for one process."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run, name="mmsr-blocking", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()


_lock = threading.Lock()
_current: _Loop | None = None


def _after_fork() -> None:
    """A child has neither the thread nor, for certain, a free lock."""
    global _lock, _current
    _lock, _current = threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def run_blocking(work: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine to its end and return its result; whatever it raises is raised here.

    It runs on one background event loop that the whole process shares and that starts with the
    first call, so it works inside a running loop, such as a notebook's, and what a backend binds
    to its loop stays usable from call to call. If the wait is interrupted, as by Ctrl-C, the
    coroutine is cancelled.

    Raises:
        RuntimeError: It was called on the background loop itself, which would wait for ever.
    """
    current = _loop()
    if threading.current_thread() is current.thread:
        work.close()
        raise RuntimeError("run_blocking was called from code that run_blocking itself runs")
    future = asyncio.run_coroutine_threadsafe(work, current.loop)
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


def _loop() -> _Loop:
    global _current
    with _lock:
        if _current is None or _current.process != os.getpid():
            _current = _Loop()
        return _current
