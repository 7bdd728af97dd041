"""The searches of one group: trajectories of one task that ask the same get the same answer."""

from __future__ import annotations

import asyncio
import time

from mmsr_env.search.base import SearchBackend, SearchRequest, perform
from mmsr_env.types import SearchResult


class GroupSearch:
    """Carries out each distinct search of a group once; one that failed is tried again.

    The picture of a group's task is searched by most of its trajectories, and a paid service
    would be paid for each of them.

    Args:
        backend: Where searches go.
    """

    def __init__(self, backend: SearchBackend) -> None:
        self._backend = backend
        self._made: dict[str, asyncio.Task[tuple[SearchResult, float]]] = {}

    async def perform(self, request: SearchRequest) -> tuple[SearchResult, float]:
        """The result of a request of this group's task, and the seconds that it took.

        Args:
            request: Task, and with it picture, question and k, are the same for the whole group,
                so that its query alone tells it from others; "" is the picture's.
        """
        made = self._made.get(request.query)
        if made is None or (made.done() and not made.result()[0].ok):
            made = asyncio.ensure_future(_timed(self._backend, request))
            self._made[request.query] = made
        return await asyncio.shield(made)  # others wait for it too, should this one be cancelled


async def _timed(backend: SearchBackend, request: SearchRequest) -> tuple[SearchResult, float]:
    start = time.perf_counter()
    result = await perform(backend, request)
    return result, time.perf_counter() - start
