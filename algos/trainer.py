"""The training loop that all algorithms share: collect, update, log, evaluate, save."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from algos.batch import TokenBatch
from algos.checkpoint import list_checkpoints, load_checkpoint, save_checkpoint
from algos.collect import Collector, Rollout
from algos.metrics_log import MetricsLog
from algos.models import VisionLanguageModel
from algos.progress import Progress
from algos.rollout_metrics import rollout_metrics
from algos.samplers.base import Sampler
from algos.tokens import collate
from algos.update import Updater
from mmsr_env.errors import InvalidSettingError
from mmsr_env.types import Task

Evaluate = Callable[[], Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class TrainerSettings:
    """How long a run is and how much each iteration collects.

    Attributes:
        iterations: Rounds of collecting and updating.
        tasks_per_iteration: Tasks of each round.
        group_size: Trajectories of each task.
        temperature: Of sampling.
        evaluate_every: Iterations between evaluations, the first before training; 0 for none.
        save_every: Iterations between checkpoints; 0 for one at the end.
        keep: Checkpoints that stay.
        seed: Of the order of tasks.
    """

    iterations: int = 50
    tasks_per_iteration: int = 512
    group_size: int = 8
    temperature: float = 1.0
    evaluate_every: int = 10
    save_every: int = 10
    keep: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("iterations", "tasks_per_iteration", "group_size", "keep"):
            if getattr(self, name) < 1:
                raise InvalidSettingError(
                    f"trainer.{name} must be 1 or more, got {getattr(self, name)!r}"
                )
        for name in ("evaluate_every", "save_every"):
            if getattr(self, name) < 0:
                raise InvalidSettingError(
                    f"trainer.{name} must be 0 or more, got {getattr(self, name)!r}"
                )
        if not self.temperature > 0:
            raise InvalidSettingError(
                f"trainer.temperature must be above 0, got {self.temperature!r}"
            )


@dataclass(frozen=True, slots=True)
class Trainer:
    """Trains a policy in place.

    Attributes:
        vlm: The policy.
        sampler: Samples from it; given its weights after every update.
        collector: Plays episodes with the sampler.
        updater: Updates the policy.
        tasks: What it trains on.
        settings: How long and how much.
        folder: Where the run is written.
        evaluate: Gives figures of held-out tasks, to be logged under "eval/"; None for none.
        progress: Shows each iteration; None for silence.
    """

    vlm: VisionLanguageModel
    sampler: Sampler
    collector: Collector
    updater: Updater
    tasks: Sequence[Task]
    settings: TrainerSettings
    folder: Path
    evaluate: Evaluate | None = None
    progress: Progress | None = None

    def train(self, first_iteration: int = 0) -> None:
        """Run from `first_iteration` to the end; see `restore` for where a run left off."""
        log = MetricsLog(self.folder, first_iteration)
        if self.progress is not None:
            self.progress.begin(first_iteration)
        try:
            for iteration in range(first_iteration, self.settings.iterations):
                metrics = self._evaluated(iteration) | self._iterate(iteration)
                log.write(iteration, metrics)
                if self.progress is not None:
                    self.progress.show(iteration, metrics)
                self._save(iteration)
            if evaluated := self._evaluated(self.settings.iterations):
                log.write(self.settings.iterations, evaluated)
        finally:
            log.close()

    def restore(self) -> int:
        """Load the newest checkpoint; returns the iteration to go on with, 0 without one."""
        saved = list_checkpoints(self.folder / "checkpoints")
        if not saved:
            return 0
        state = load_checkpoint(saved[-1], self.vlm)
        self.updater.load_state_dict(state["updater"])
        self.sampler.load_state_dict(state["sampler"])
        self.sampler.load_weights(iter(self.vlm.model.state_dict().items()))
        return int(state["iteration"])

    def _iterate(self, iteration: int) -> dict[str, float]:
        start = time.perf_counter()
        tasks = [self.tasks[i] for i in self._task_numbers(iteration)]
        drawn = time.perf_counter()
        rollouts = asyncio.run(
            self.collector.collect(
                tasks, self.settings.group_size, self.settings.temperature, iteration
            )
        )
        collected = time.perf_counter()
        batch = _collated(rollouts, self.vlm.pad_id)
        updated = self.updater.update(batch, iteration)
        self.sampler.load_weights(iter(self.vlm.model.state_dict().items()))
        end = time.perf_counter()
        times = {
            "time/tasks_s": drawn - start,
            "time/collect_s": collected - drawn,
            "time/update_s": end - collected,
            "time/iteration_s": end - start,
        }
        return rollout_metrics(rollouts, batch) | updated | times

    def _task_numbers(self, iteration: int) -> list[int]:
        """The iteration's tasks: each task once, in a random order, before any comes again."""
        count, wanted = len(self.tasks), self.settings.tasks_per_iteration
        numbers: list[int] = []
        for place in range(iteration * wanted, (iteration + 1) * wanted):
            lap, position = divmod(place, count)
            numbers.append(int(_order(self.settings.seed, lap, count)[position]))
        return numbers

    def _evaluated(self, iteration: int) -> dict[str, float]:
        every = self.settings.evaluate_every
        last = iteration == self.settings.iterations
        if self.evaluate is None or not every or (iteration % every and not last):
            return {}
        start = time.perf_counter()
        figures = {f"eval/{name}": value for name, value in self.evaluate().items()}
        return figures | {"time/evaluate_s": time.perf_counter() - start}

    def _save(self, iteration: int) -> None:
        every, done = self.settings.save_every, iteration + 1
        if done != self.settings.iterations and (not every or done % every):
            return
        state: dict[str, Any] = {
            "iteration": done,
            "updater": self.updater.state_dict(),
            "sampler": self.sampler.state_dict(),
        }
        save_checkpoint(
            self.folder / "checkpoints", f"{done:06d}", self.vlm, state, self.settings.keep
        )


def _collated(rollouts: Sequence[Rollout], pad_id: int) -> TokenBatch:
    return collate(
        [rollout.transcript for rollout in rollouts],
        [rollout.trajectory.reward for rollout in rollouts],
        [rollout.group for rollout in rollouts],
        [rollout.trajectory.truncated for rollout in rollouts],
        pad_id,
    )


@lru_cache(maxsize=2)
def _order(seed: int, lap: int, count: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.random.default_rng([seed, lap]).permutation(count)
