"""A sampler in this process: a Hugging Face model that answers waiting requests in batches."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from algos.models import VisionLanguageModel
from algos.samplers.base import Completion, SampleRequest
from algos.samplers.decoding import Decoding, Row
from mmsr_env.errors import InvalidSettingError, UnknownNameError

_SETTLING_YIELDS = 16  # turns of the event loop without a new request before a batch is closed


@dataclass(frozen=True, slots=True)
class _Pending:
    """A request that waits for its completion."""

    row: Row
    result: asyncio.Future[Completion]


class HFSampler:
    """Samples with the model of a `VisionLanguageModel`, which it may share with a trainer.

    Requests that wait at the same time are answered in batches. Each request's random numbers
    are drawn when it arrives, so its tokens do not depend on what else is in its batch, and the
    same requests in the same order give the same completions.

    Args:
        vlm: The model. It is set to evaluation while it samples.
        max_batch: Rows of a batch at most.
        seed: Of the random numbers.
    """

    def __init__(self, vlm: VisionLanguageModel, *, max_batch: int = 64, seed: int = 0) -> None:
        if max_batch < 1:
            raise InvalidSettingError(f"expected max_batch of 1 or more, got {max_batch}")
        self._vlm = vlm
        self._max_batch = max_batch
        self._generator = torch.Generator().manual_seed(seed)
        self._pending: list[_Pending] = []
        self._drain_task: asyncio.Task[None] | None = None
        self._suppressed = torch.tensor(sorted(vlm.suppressed_ids), device=vlm.device)

    async def sample(self, request: SampleRequest) -> Completion:
        """Samples one completion.

        Raises:
            InvalidSettingError: If the request asks for no token, its temperature is negative, or
                its pads and pictures differ in number.
        """
        self._check(request)
        loop = asyncio.get_running_loop()
        pictures = [self._vlm.pictures.process(image) for image in request.images]
        row = Row(request, pictures, self._noise(request))
        waiting = _Pending(row, loop.create_future())
        self._pending.append(waiting)
        if self._drain_task is None or self._drain_task.done():
            self._drain_task = loop.create_task(self._drain())
        return await waiting.result

    def load_weights(self, state: Iterator[tuple[str, Tensor]]) -> None:
        """Copies weights into the model, in place.

        Raises:
            UnknownNameError: If the model has no tensor of a given name.
        """
        own = self._vlm.model.state_dict()
        for name, weight in state:
            if name not in own:
                raise UnknownNameError("weight", name, own)
            own[name].copy_(weight)

    def state_dict(self) -> dict[str, Tensor]:
        """What a resumed run needs to draw on as this one would have."""
        return {"generator": self._generator.get_state()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Takes up the state of another sampler."""
        self._generator.set_state(state["generator"])

    def _check(self, request: SampleRequest) -> None:
        if request.max_new_tokens < 1:
            raise InvalidSettingError(
                f"expected max_new_tokens of 1 or more, got {request.max_new_tokens}"
            )
        if request.temperature < 0.0:
            raise InvalidSettingError(
                f"expected a temperature of 0 or more, got {request.temperature}"
            )
        pads = request.input_ids.count(self._vlm.image_id)
        if pads != len(request.images):
            raise InvalidSettingError(
                f"expected one pad for each of {len(request.images)} pictures, got {pads}"
            )

    def _noise(self, request: SampleRequest) -> Tensor:
        if request.temperature == 0.0:  # greedy evaluation leaves the training's numbers alone
            return torch.zeros(request.max_new_tokens, dtype=torch.float64)
        return torch.rand(request.max_new_tokens, generator=self._generator, dtype=torch.float64)

    async def _drain(self) -> None:
        """Answers requests until none waits; a cancelled one no longer does."""
        while self._pending:
            await self._settle()
            waiting = [item for item in self._pending if not item.result.done()]
            self._pending.clear()
            waiting.sort(key=self._length)
            for start in range(0, len(waiting), self._max_batch):
                await self._answer(waiting[start : start + self._max_batch])

    def _length(self, item: _Pending) -> int:
        """Tokens of the prompt, to put rows together that need little padding."""
        grids = (grid for _, grid in item.row.pictures)
        return len(item.row.request.input_ids) + sum(map(self._vlm.pictures.tokens, grids))

    async def _settle(self) -> None:
        """Returns once no request has come for some turns of the event loop."""
        known, quiet = len(self._pending), 0
        while quiet < _SETTLING_YIELDS:
            await asyncio.sleep(0)
            quiet = quiet + 1 if len(self._pending) == known else 0
            known = len(self._pending)

    async def _answer(self, batch: list[_Pending]) -> None:
        """Completes a batch in a thread, so that searches go on meanwhile."""
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(None, self._complete, [item.row for item in batch])
        await asyncio.wait([work])
        error = work.exception()
        for row, item in enumerate(batch):
            if item.result.done():  # whoever asked was cancelled
                continue
            if error is not None:
                item.result.set_exception(error)
            else:
                item.result.set_result(work.result()[row])

    @torch.no_grad()
    def _complete(self, batch: Sequence[Row]) -> list[Completion]:
        model = self._vlm.model
        was_training = model.training
        model.eval()  # training with gradient checkpoints would drop the cache
        try:
            return Decoding(self._vlm, self._suppressed, batch).run()
        finally:
            model.train(was_training)
