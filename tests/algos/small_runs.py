"""A small world, a small model that has just learned its episodes' form, and scripted policies."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from algos.collect import Collector
from algos.demonstrations import Teacher
from algos.grpo import GRPO
from algos.lessons import LessonStream, Phase
from algos.models import VisionLanguageModel, bundle
from algos.progress import Progress
from algos.samplers.base import Completion, FinishReason, Sampler, SampleRequest
from algos.samplers.hf import HFSampler
from algos.tiny import TinySize, make_tiny
from algos.trainer import Trainer, TrainerSettings
from algos.update import Updater, UpdateSettings
from algos.vocabulary import atlas_texts
from algos.warmstart import SupervisedSettings, warm_start
from mmsr_env.atlas import AtlasSearch, AtlasTasks, World
from mmsr_env.evaluation import Play
from mmsr_env.protocol.prompts import COMPACT
from mmsr_env.rules import Rules
from mmsr_env.search.base import SearchBackend
from mmsr_env.types import Task

WORLD = World(size=120, familiar=12)
SEARCH = AtlasSearch(WORLD, max_sentences=1, thumbnail=28)
PLAY = Play(Rules(results=3), prompts=COMPACT)
TASKS = AtlasTasks(WORLD, count=1000)
TEACHER = Teacher(SEARCH, PLAY.begin)
SIZE = TinySize(
    hidden=64,
    layers=2,
    heads=2,
    kv_heads=1,
    feed_forward=128,
    vision_hidden=32,
    vision_layers=1,
    vision_heads=1,
    max_pixels=28 * 28,
)
REASONED = "<reason> known</reason>"
IMAGE = f"{REASONED}<search><img></search>"
TEXT = f"{REASONED}<text_search> Kim Rul beast</text_search>"
ANSWER = f"{REASONED}<answer> otter</answer>"


@cache
def _untrained(seed: int) -> VisionLanguageModel:
    return make_tiny(dict.fromkeys(atlas_texts()), vocab_size=600, seed=seed, size=SIZE)


@cache
def _beginner() -> VisionLanguageModel:
    vlm = copy_of(_untrained(0))
    lessons = LessonStream(vlm, TASKS, TEACHER, [Phase(1.0, {"episode": 1.0})], 80, 8, seed=0)
    warm_start(vlm, lessons, 80, SupervisedSettings(learning_rate=8e-3, warmup_steps=10))
    return vlm


def untrained(seed: int = 0) -> VisionLanguageModel:
    """A model that writes noise; a copy of its own for every caller."""
    return copy_of(_untrained(seed))


def beginner() -> VisionLanguageModel:
    """A model that keeps the form now and then and guesses; a copy of its own for every caller."""
    return copy_of(_beginner())


def copy_of(vlm: VisionLanguageModel, dtype: torch.dtype | None = None) -> VisionLanguageModel:
    """The same model apart, in another precision if wanted."""
    model = copy.deepcopy(vlm.model).to(dtype or vlm.model.dtype)
    return bundle(model, vlm.tokenizer, vlm.pictures.image_processor)


class ScriptedSampler:
    """A policy that says what it is told: a text for each turn, the last one again and again.

    Args:
        vlm: Whose tokenizer is used.
        texts: What it says, by turn; written out, so special tokens' strings are text.
        ends: Whether it ends its turns; else it stops at its limit of tokens, or early.
    """

    def __init__(self, vlm: VisionLanguageModel, *texts: str, ends: bool = True) -> None:
        self._vlm, self._texts, self._ends = vlm, texts, ends
        self.requests: list[SampleRequest] = []

    async def sample(self, request: SampleRequest) -> Completion:
        self.requests.append(request)
        turn = (request.input_ids.count(self._vlm.end_of_turn_id) - 1) // 2
        ids = self._vlm.chat.encode_plain(self._texts[min(turn, len(self._texts) - 1)])
        said = tuple([*ids, self._vlm.end_of_turn_id] if self._ends else ids)
        said = said[: request.max_new_tokens]
        ended = said[-1:] == (self._vlm.end_of_turn_id,)
        reason = FinishReason.END_OF_TURN if ended else FinishReason.LENGTH
        return Completion(said, (-0.5,) * len(said), reason)

    def load_weights(self, state: Iterator[tuple[str, Tensor]]) -> None:
        """It has none."""

    def state_dict(self) -> dict[str, Tensor]:
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """It has none."""


def collector_of(
    vlm: VisionLanguageModel,
    sampler: Sampler | None = None,
    search: SearchBackend = SEARCH,
    play: Play = PLAY,
    max_tokens: int = 256,
    max_turn_tokens: int = 24,
) -> Collector:
    """Plays the small world's episodes, with the model itself where no sampler is given."""
    sampler = HFSampler(vlm) if sampler is None else sampler
    return Collector(vlm, sampler, search, play.begin, max_tokens, max_turn_tokens)


def trainer_of(
    folder: Path,
    *,
    seed: int = 0,
    tasks: Sequence[Task] = TASKS,
    search: SearchBackend = SEARCH,
    max_tokens: int = 256,
    algorithm: GRPO | None = None,
    evaluate: Callable[[], Mapping[str, float]] | None = None,
    progress: Progress | None = None,
    **settings: int,
) -> Trainer:
    """A trainer of the beginner; two of them with equal arguments do the same."""
    vlm = beginner()
    sampler = HFSampler(vlm, seed=seed)
    algorithm = GRPO(kl_coef=0.01) if algorithm is None else algorithm
    reference = copy_of(vlm).model.requires_grad_(False) if algorithm.needs_reference else None
    update = UpdateSettings(learning_rate=1e-3, minibatches=2, micro_batch_tokens=1024)
    chosen = {"iterations": 3, "tasks_per_iteration": 3, "group_size": 4, "save_every": 0}
    return Trainer(
        vlm,
        sampler,
        collector_of(vlm, sampler, search, max_tokens=max_tokens),
        Updater(vlm, algorithm, update, 1.0, seed, reference),
        tasks,
        TrainerSettings(**{**chosen, **settings}, seed=seed),
        folder,
        evaluate,
        progress,
    )


def weights_of(vlm: VisionLanguageModel) -> dict[str, Tensor]:
    """The weights as they are now."""
    return {name: weight.clone() for name, weight in vlm.model.state_dict().items()}


def equal(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    """Whether all weights are the same to the last bit."""
    assert first.keys() == second.keys()
    return all(torch.equal(first[name], second[name]) for name in first)
