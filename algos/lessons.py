"""The stream of lessons that a warm start learns from, as batches of tokens with weights."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from algos.batch import TokenBatch
from algos.demonstrations import Dialogue, Teacher
from algos.drills import DRILLS
from algos.models import VisionLanguageModel
from algos.openings import open_transcript
from algos.tokens import Transcript, collate
from mmsr_env.atlas.questions import AtlasTasks
from mmsr_env.errors import InvalidSettingError, UnknownNameError
from mmsr_env.protocol.grammar import ANSWER, REASON, TEXT_SEARCH

EPISODE = "episode"
_OPENED = (ANSWER[0], TEXT_SEARCH[0])  # what an answer and a query begin with
_MAX_REFUSED = 1000  # dialogues in a row that cannot be used, before a lesson is given up


class Lesson(NamedTuple):
    """A batch to imitate.

    Attributes:
        batch: Its tokens; `response_mask` marks what is imitated.
        weights: [B, T] float32, how much each token counts; 0 outside `response_mask`.
    """

    batch: TokenBatch
    weights: Tensor


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of the curriculum.

    Attributes:
        share: Its share of all steps; the shares of a curriculum sum to 1.
        mix: Relative frequency of each drill, and of whole episodes under "episode".
    """

    share: float
    mix: Mapping[str, float]

    def __post_init__(self) -> None:
        if not 0.0 < self.share <= 1.0:
            raise InvalidSettingError(f"a phase's share must lie in (0, 1], got {self.share!r}")
        for name in self.mix:
            if name not in {*DRILLS, EPISODE}:
                raise UnknownNameError("drill", name, {*DRILLS, EPISODE})


class LessonStream(IterableDataset[Lesson]):
    """Lessons without end of repetition: each is made anew, from fresh entities.

    Args:
        vlm: Whose tokenizer and pictures are used.
        tasks: What episodes are about; taken in a random order.
        teacher: Who demonstrates them.
        phases: The curriculum.
        steps: Batches in all, over all loader workers.
        batch_size: Dialogues a batch.
        seed: Equal seeds give equal lessons, over however many loader workers.
        decision_weight: Of the tokens that decide: the first of a reason, and the first after.
        answer_weight: Of the tokens of an answer or a query, up to the end of its turn.
        max_tokens: The longest dialogue; longer ones are left out.

    Raises:
        InvalidSettingError: The shares do not sum to 1; or, when lessons are taken, hardly any
            dialogue can be used.
    """

    def __init__(
        self,
        vlm: VisionLanguageModel,
        tasks: AtlasTasks,
        teacher: Teacher,
        phases: Sequence[Phase],
        steps: int,
        batch_size: int,
        seed: int,
        decision_weight: float = 3.0,
        answer_weight: float = 3.0,
        max_tokens: int = 512,
    ) -> None:
        if abs(sum(phase.share for phase in phases) - 1.0) > 1e-6:
            raise InvalidSettingError(f"the phases' shares must sum to 1, got {phases}")
        self._vlm, self._tasks, self._teacher = vlm, tasks, teacher
        self._phases, self._steps, self._batch_size = tuple(phases), steps, batch_size
        self._seed, self._max_tokens = seed, max_tokens
        self._weights = token_weights(vlm, decision_weight, answer_weight)

    def __len__(self) -> int:
        return self._steps

    def __iter__(self) -> Iterator[Lesson]:
        worker = get_worker_info()
        first, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        if worker:
            torch.set_num_threads(1)
        for step in range(first, self._steps, stride):
            yield self._lesson(step)

    def _lesson(self, step: int) -> Lesson:
        rng = np.random.default_rng([self._seed, step])
        mix = self._phase((step + 0.5) / self._steps).mix
        names = list(mix)
        shares = np.array([mix[name] for name in names], dtype=float)
        transcripts: list[Transcript] = []
        refused = 0
        while len(transcripts) < self._batch_size:
            name = names[int(rng.choice(len(names), p=shares / shares.sum()))]
            dialogue = self._dialogue(name, rng)
            if dialogue is not None and (made := self._transcript(dialogue)) is not None:
                transcripts.append(made)
                refused = 0
            elif (refused := refused + 1) == _MAX_REFUSED:
                raise InvalidSettingError(
                    f"none of {refused} dialogues of {names} in a row could be used: expected "
                    f"some of at most {self._max_tokens} tokens that the episodes' rules allow"
                )
        count = len(transcripts)
        batch = collate(transcripts, [0.0] * count, [0] * count, [False] * count, self._vlm.pad_id)
        return Lesson(batch, self._weights(batch))

    def _phase(self, progress: float) -> Phase:
        end = 0.0
        for phase in self._phases:
            end += phase.share
            if progress < end:
                return phase
        return self._phases[-1]

    def _dialogue(self, name: str, rng: np.random.Generator) -> Dialogue | None:
        if name != EPISODE:
            return DRILLS[name](self._tasks.world, rng)
        task = self._tasks[int(rng.integers(len(self._tasks)))]
        return asyncio.run(self._teacher.demonstrate(task, rng))

    def _transcript(self, dialogue: Dialogue) -> Transcript | None:
        """The dialogue's tokens, or None where it is too long."""
        transcript = open_transcript(self._vlm, dialogue.opening, self._max_tokens)
        if transcript is None:
            return None
        for text, reply in dialogue.turns:
            if len(self._vlm.chat.encode_plain(text)) + 1 > transcript.room_tokens:
                return None
            transcript.append_text(text)
            if reply is not None and not transcript.append_reply(reply):
                return None
        return transcript


def token_weights(
    vlm: VisionLanguageModel, decision_weight: float, answer_weight: float
) -> Callable[[TokenBatch], Tensor]:
    """A function that weighs a batch's imitated tokens: [B, T] float32.

    Decisions are single tokens among many; unweighted, the many drown them.

    Raises:
        InvalidSettingError: One of the protocol's tags is no token of its own.
    """
    ids = {tag: vlm.tokenizer.convert_tokens_to_ids(tag) for tag in (*REASON, *_OPENED)}
    if broken := [tag for tag, index in ids.items() if index is None]:
        raise InvalidSettingError(f"expected a token for each of the tags {broken}, found none")
    deciding, opening = [ids[tag] for tag in REASON], [ids[tag] for tag in _OPENED]
    # No closure: loader workers may have to pickle it.
    return partial(_weigh, deciding, opening, vlm.end_of_turn_id, decision_weight, answer_weight)


def _weigh(
    deciding: Sequence[int],
    opening: Sequence[int],
    end_of_turn_id: int,
    decision_weight: float,
    answer_weight: float,
    batch: TokenBatch,
) -> Tensor:
    before = torch.nn.functional.pad(batch.input_ids, (1, 0))[:, :-1]
    opened = torch.isin(before, torch.tensor(opening))
    weights = torch.ones_like(batch.behavior_logprobs)
    weights[_within(opened, batch.input_ids == end_of_turn_id)] = answer_weight
    weights[torch.isin(before, torch.tensor(deciding))] = decision_weight
    return weights * batch.response_mask


def _within(starts: Tensor, ends: Tensor) -> Tensor:
    """True from each start up to and with the next end. [B, T] bool each."""
    places = torch.arange(starts.shape[1]).expand_as(starts)
    last_start = torch.where(starts, places, -1).cummax(1).values
    last_end = torch.where(ends, places, -1).cummax(1).values
    closed_before = torch.nn.functional.pad(last_end, (1, 0), value=-1)[:, :-1]
    return last_start > closed_before
