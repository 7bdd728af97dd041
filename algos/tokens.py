"""An episode as token ids, with what goes along with each id: mask, log-probability, pictures.

What was sampled is appended as it is and never encoded again; what stands between is what the
chat template gives. There are two sequences of ids: the engine's, with one pad per picture, and
the trainer's, in which each pad is repeated as the picture's grid demands.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from PIL.Image import Image as Picture
from torch import Tensor
from torch.nn.functional import pad

from algos.batch import TokenBatch
from algos.chat import ASSISTANT
from algos.models import VisionLanguageModel
from algos.samplers.base import Completion, SampleRequest
from mmsr_env.errors import EpisodeOrderError, InvalidSettingError
from mmsr_env.types import Conversation, Message


class Expanded(NamedTuple):
    """One transcript as the trainer sees it; T tokens, I pictures with N patches together.

    Attributes:
        input_ids: [T] int64, pads expanded.
        response_mask: [T] bool, True exactly at sampled tokens.
        behavior_logprobs: [T] float32, 0 outside `response_mask`.
        position_ids: [3, T] int64.
        pixel_values: [N, D] float32.
        image_grid_thw: [I, 3] int64.
    """

    input_ids: Tensor
    response_mask: Tensor
    behavior_logprobs: Tensor
    position_ids: Tensor
    pixel_values: Tensor
    image_grid_thw: Tensor


class Transcript:
    """The tokens of one episode, growing turn by turn.

    Args:
        vlm: The model whose tokenizer, template and picture grids it follows.
        conversation: The messages before the assistant's first.
        max_tokens: What the whole may take, counted with pads expanded.

    Raises:
        InvalidSettingError: If the conversation leaves no room for a single token.
    """

    def __init__(
        self, vlm: VisionLanguageModel, conversation: Conversation, max_tokens: int
    ) -> None:
        self._vlm = vlm
        self._max_tokens = max_tokens
        self._messages: list[Message] = list(conversation)
        self._ids: list[int] = []
        self._mask: list[bool] = []
        self._logprobs: list[float] = []
        self._images: list[Picture] = []
        self._patches: list[Tensor] = []
        self._grids: list[Tensor] = []
        self._message_start = 0
        self._expanded_length = 0
        images = [image for message in conversation for image in message.images]
        if not self._append_given(vlm.chat.opening_ids(conversation), images):
            raise InvalidSettingError(
                f"the opening of an episode does not leave room for a token in {max_tokens} tokens"
            )

    @property
    def engine_ids(self) -> tuple[int, ...]:
        """The ids with one pad per picture."""
        return tuple(self._ids)

    @property
    def images(self) -> tuple[Picture, ...]:
        """The pictures, one for each pad, made safe for any engine."""
        return tuple(self._images)

    @property
    def room_tokens(self) -> int:
        """How many more tokens fit."""
        return self._max_tokens - self._expanded_length

    @property
    def ended_turn(self) -> bool:
        """Whether the assistant's latest message ended with its end-of-turn token."""
        return self._ids[-1] == self._vlm.end_of_turn_id and len(self._ids) > self._message_start

    def request(self, max_new_tokens: int, temperature: float = 1.0) -> SampleRequest:
        """A request to go on with the assistant's message, within the room that is left."""
        return SampleRequest(
            input_ids=self.engine_ids,
            images=self.images,
            max_new_tokens=min(max_new_tokens, self.room_tokens),
            temperature=temperature,
        )

    def append_completion(self, completion: Completion) -> str:
        """Appends what was sampled, as it was.

        An engine that goes on after the end of turn, or gives an id that it may not, is cut off
        there.

        Returns:
            The text of the assistant's whole message, for the episode.
        """
        ids = completion.ids[: self._sound_length(completion.ids)]
        return self._append_assistant(ids, completion.logprobs[: len(ids)], sampled=True)

    def append_text(self, text: str, logprob: float = 0.0) -> str:
        """Appends a demonstration and an end of turn as if they had been sampled."""
        ids = [*self._vlm.chat.encode_plain(text), self._vlm.end_of_turn_id]
        return self._append_assistant(ids, [logprob] * len(ids), sampled=True)

    def append_forced(self, text: str) -> str:
        """Appends assistant text that nobody sampled; the message stays open."""
        ids = self._vlm.chat.encode_plain(text)
        return self._append_assistant(ids, [0.0] * len(ids), sampled=False)

    def append_reply(self, message: Message) -> bool:
        """Appends a message to the assistant and the opening of the assistant's next.

        Where the assistant's message has no end-of-turn token, one is put there, not sampled.

        Returns:
            False where it does not fit with room for one more token. Then nothing was appended.
        """
        ids = self._vlm.chat.reply_ids((*self._messages, ASSISTANT), message)
        if not self.ended_turn:
            ids = [self._vlm.end_of_turn_id, *ids]
        if not self._append_given(ids, message.images):
            return False
        self._messages += [ASSISTANT, message]
        return True

    def expanded(self) -> Expanded:
        """The transcript as the trainer sees it."""
        ids = torch.tensor(self._ids)
        repeats = self._vlm.repeats(ids, self._grids)
        input_ids = ids.repeat_interleave(repeats)
        grids = torch.stack(self._grids) if self._grids else torch.zeros(0, 3, dtype=torch.int64)
        mask = torch.ones_like(input_ids, dtype=torch.bool)
        return Expanded(
            input_ids=input_ids,
            response_mask=torch.tensor(self._mask).repeat_interleave(repeats),
            behavior_logprobs=torch.tensor(self._logprobs).repeat_interleave(repeats),
            position_ids=self._vlm.positions(input_ids[None], mask[None], grids)[:, 0],
            pixel_values=torch.cat([self._vlm.pictures.none, *self._patches]),
            image_grid_thw=grids,
        )

    def _append_given(self, ids: Sequence[int], images: Sequence[Picture]) -> bool:
        """Appends tokens and pictures from outside, if they leave room for one token."""
        processed = [self._vlm.pictures.process(image) for image in images]
        extra = sum(self._vlm.pictures.tokens(grid) - 1 for _, grid in processed)
        if len(ids) + extra >= self.room_tokens:
            return False
        self._extend(ids, [0.0] * len(ids), sampled=False)
        self._expanded_length += extra
        self._images += [self._vlm.pictures.prepare(image) for image in images]
        self._patches += [patches for patches, _ in processed]
        self._grids += [grid for _, grid in processed]
        self._message_start = len(self._ids)
        return True

    def _append_assistant(
        self, ids: Sequence[int], logprobs: Sequence[float], *, sampled: bool
    ) -> str:
        if self.ended_turn:
            raise EpisodeOrderError("the assistant's message has ended: append a reply first")
        if len(ids) > self.room_tokens:
            raise InvalidSettingError(
                f"expected at most {self.room_tokens} tokens, got {len(ids)} to append"
            )
        self._extend(ids, logprobs, sampled=sampled)
        return self._vlm.decode(self._ids[self._message_start :])

    def _extend(self, ids: Sequence[int], logprobs: Sequence[float], *, sampled: bool) -> None:
        if len(ids) != len(logprobs):
            raise InvalidSettingError(f"got {len(ids)} ids and {len(logprobs)} log-probabilities")
        self._ids += ids
        self._mask += [sampled] * len(ids)
        self._logprobs += logprobs
        self._expanded_length += len(ids)

    def _sound_length(self, ids: Sequence[int]) -> int:
        for index, token in enumerate(ids):
            if token == self._vlm.end_of_turn_id:
                return index + 1
            if token in self._vlm.suppressed_ids:
                return index
        return len(ids)


def collate(
    transcripts: Sequence[Transcript],
    rewards: Sequence[float],
    group_ids: Sequence[int],
    truncated: Sequence[bool],
    pad_id: int,
) -> TokenBatch:
    """Transcripts as one right-padded batch.

    Args:
        transcripts: B of them.
        rewards: Each one's.
        group_ids: Equal for trajectories of one task.
        truncated: Whether each was stopped by something outside the task.
        pad_id: Fills rows up; it is masked.
    """
    rows = [transcript.expanded() for transcript in transcripts]
    length = max(len(row.input_ids) for row in rows)
    return TokenBatch(
        input_ids=_padded([row.input_ids for row in rows], length, pad_id),
        attention_mask=_padded([torch.ones_like(row.response_mask) for row in rows], length, 0),
        position_ids=_padded([row.position_ids for row in rows], length, 0).transpose(0, 1),
        response_mask=_padded([row.response_mask for row in rows], length, 0),
        behavior_logprobs=_padded([row.behavior_logprobs for row in rows], length, 0),
        rewards=torch.tensor(rewards, dtype=torch.float32),
        group_ids=torch.tensor(group_ids, dtype=torch.int64),
        truncated=torch.tensor(truncated, dtype=torch.bool),
        pixel_values=torch.cat([row.pixel_values for row in rows]),
        image_grid_thw=torch.cat([row.image_grid_thw for row in rows]),
        image_counts=torch.tensor([len(row.image_grid_thw) for row in rows]),
    )


def _padded(rows: Sequence[Tensor], length: int, value: int) -> Tensor:
    """Rows [..., t] of any lengths as [B, ..., length], filled up at the right."""
    return torch.stack([pad(row, (0, length - row.shape[-1]), value=value) for row in rows])
