"""`run_blocking`: asynchronous work from synchronous code."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from mmsr_env.search.blocking import run_blocking


async def _double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


async def _running_loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def test_it_returns_and_raises_what_the_coroutine_does() -> None:
    async def broken() -> None:
        raise LookupError("no such thing")

    assert run_blocking(_double(21)) == 42
    with pytest.raises(LookupError, match="no such thing"):
        run_blocking(broken())
    assert run_blocking(_double(1)) == 2


async def test_it_works_inside_a_running_loop() -> None:
    assert run_blocking(_double(4)) == 8
    assert run_blocking(_running_loop()) is not asyncio.get_running_loop()


def test_all_calls_of_a_process_share_one_loop_on_a_daemon_thread() -> None:
    async def thread() -> threading.Thread:
        return threading.current_thread()

    with ThreadPoolExecutor(4) as pool:
        loops = {id(loop) for loop in pool.map(lambda _: run_blocking(_running_loop()), range(8))}
        values = list(pool.map(lambda n: run_blocking(_double(n)), range(20)))
    assert loops == {id(run_blocking(_running_loop()))}
    assert values == [2 * n for n in range(20)]
    assert run_blocking(thread()).daemon


def test_calls_from_several_threads_wait_at_the_same_time() -> None:
    everyone = threading.Barrier(3)

    async def meet() -> None:
        # Passes only while two others are inside as well.
        await asyncio.to_thread(everyone.wait, 30)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: run_blocking(meet()), range(3)))


def test_a_call_from_its_own_loop_raises_instead_of_waiting_for_ever() -> None:
    async def nested() -> int:
        return run_blocking(_double(3))

    with pytest.raises(RuntimeError, match="run_blocking was called from"):
        run_blocking(nested())


def test_an_interrupted_wait_cancels_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    cancelled = threading.Event()

    async def long() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    def interrupted(work: Any, loop: asyncio.AbstractEventLoop) -> Any:
        future = submit(work, loop)
        run = asyncio.run_coroutine_threadsafe
        assert run is interrupted

        class Interrupted:
            def result(self) -> None:
                submit(asyncio.sleep(0.01), loop).result()
                raise KeyboardInterrupt

            def cancel(self) -> bool:
                return future.cancel()

        return Interrupted()

    submit = asyncio.run_coroutine_threadsafe
    monkeypatch.setattr(asyncio, "run_coroutine_threadsafe", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_blocking(long())
    assert cancelled.wait(30)


def _in_child(answers: Any) -> None:
    answers.put((os.getpid(), run_blocking(_double(5))))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_gets_a_loop_of_its_own() -> None:
    assert run_blocking(_double(2)) == 4  # the parent's loop is running
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    child = context.Process(target=_in_child, args=(answers,))
    with warnings.catch_warnings():
        # Python 3.12 warns of forks in processes with threads, which is what this is about.
        warnings.simplefilter("ignore", DeprecationWarning)
        child.start()
    child.join(60)
    assert child.exitcode == 0
    process, value = answers.get()
    assert (process != os.getpid(), value) == (True, 10)
