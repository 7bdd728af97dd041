"""How fast the small model samples and learns, and what a training iteration spends elsewhere.

`python -m benchmarks.iteration [--model FOLDER]` trains the warm-started model by the settings of
`experiment=demo` for some iterations, without evaluating or saving. The clock counts as inside
the model what is spent in its forward passes, in the sampler's decoding loop, in the backward
passes and in the optimizer. All the rest of the wall time is outside: drawing tasks, searching,
tokenising, preparing pictures, positions and batches, advantages, metrics and the log.

Sampled tokens are counted over the seconds in which the sampler reads prompts and decodes; the
tokens of the update are those of whole transcripts, each counted once, over all of the update,
the passes for the old and the reference policy among it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from transformers.utils.logging import disable_progress_bar

import algos.samplers.hf
import algos.update
from algos.optimizer import MasterAdamW
from algos.progress import Progress
from algos.run import assemble
from algos.samplers.decoding import Decoding
from algos.trainer import Trainer
from benchmarks.record import record
from mmsr_env.errors import MMSRError

CONF = Path(__file__).parents[1] / "conf"
_LOADING = 3  # iterations that are not counted: caches are filled in them


@dataclass(slots=True)
class Stopwatch:
    """Seconds spent in some functions, those within one another counted once."""

    seconds: float = 0.0
    _depth: int = 0

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*given: Any, **named: Any) -> Any:
            start, self._depth = time.perf_counter(), self._depth + 1
            try:
                return function(*given, **named)
            finally:
                self._depth -= 1
                if not self._depth:
                    self.seconds += time.perf_counter() - start

        return timed


@dataclass(slots=True)
class Watch:
    """Stands where the trainer's progress does, and reads the clocks after every iteration."""

    inside: Stopwatch = field(default_factory=Stopwatch)
    sampling: Stopwatch = field(default_factory=Stopwatch)
    rows: list[dict[str, float]] = field(default_factory=list)

    def begin(self, done: int) -> None:
        """The trainer begins."""

    def show(self, iteration: int, metrics: Mapping[str, float]) -> None:
        clocks = {"wall": time.perf_counter(), "inside": self.inside.seconds}
        clocks["sampling"] = self.sampling.seconds
        self.rows.append({"iteration": iteration, **metrics, **clocks})


def main() -> None:
    """Measure and record."""
    disable_progress_bar()  # type: ignore[no-untyped-call]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="a warm-started model's folder; the packaged one if none")
    parser.add_argument("--iterations", type=int, default=20, help="how many are measured")
    parser.add_argument("--threads", type=int, help="of torch; the experiment's if none")
    parser.add_argument("--profile", type=Path, help="where to write a cProfile of it all")
    options = parser.parse_args()
    settings = _settings(options.model, options.iterations + _LOADING)
    if threads := options.threads or settings["threads"]:
        torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as scratch:
        try:
            trainer, _ = assemble(settings, Path(scratch))
        except MMSRError as error:
            print(f"iteration: not measured: {error}")
            return
        watch = Watch()
        with _timed(trainer, watch), _profiled(options.profile):
            replace(trainer, evaluate=None, progress=cast(Progress, watch)).train()
    per_iteration = settings["trainer"]["tasks_per_iteration"] * settings["trainer"]["group_size"]
    measured = {"iterations": options.iterations, "threads": torch.get_num_threads()}
    chosen = {name: settings[name] for name in ("trainer", "update", "algo", "model", "sampler")}
    record("iteration", _figures(watch.rows, per_iteration), {**measured, **chosen})


def _settings(model: str | None, iterations: int) -> dict[str, Any]:
    given = [f"trainer.iterations={iterations}", *([f"model.path={model}"] if model else [])]
    with initialize_config_dir(str(CONF), version_base=None):
        config = compose("config", ["experiment=demo", "folder=runs/none", *given])
    settings = OmegaConf.to_container(config, resolve=True)
    assert isinstance(settings, dict)
    return {str(name): value for name, value in settings.items()}


@contextmanager
def _timed(trainer: Trainer, watch: Watch) -> Iterator[None]:
    """Puts the clocks around what is inside the model, and around the sampler's work."""
    inner, inside = trainer.vlm.model.model, watch.inside.around
    with ExitStack() as patches:
        for owner, name in (
            (inner, "forward"),
            (Decoding, "run"),
            (algos.update, "forward"),
            (algos.update, "clip_grad_norm_"),
            (torch.Tensor, "backward"),
            (MasterAdamW, "step"),
        ):
            patches.enter_context(patch.object(owner, name, inside(getattr(owner, name))))
        complete = watch.sampling.around(algos.samplers.hf.HFSampler._complete)
        patches.enter_context(patch.object(algos.samplers.hf.HFSampler, "_complete", complete))
        yield


@contextmanager
def _profiled(path: Path | None) -> Iterator[None]:
    if path is None:
        yield
        return
    import cProfile

    with cProfile.Profile() as profile:
        yield
    profile.dump_stats(path)


def _figures(rows: list[dict[str, float]], trajectories: int) -> dict[str, float]:
    """The figures of the iterations that count."""
    before, counted = rows[_LOADING - 1], rows[_LOADING:]
    wall, inside, sampling = (
        counted[-1][name] - before[name] for name in ("wall", "inside", "sampling")
    )
    sampled, tokens, update_s, tasks_s = (
        sum(row[name] for row in counted)
        for name in ("rollout/sampled_tokens", "rollout/tokens", "time/update_s", "time/tasks_s")
    )
    return {
        "sampling_tokens_per_s": sampled * trajectories / sampling,
        "updating_tokens_per_s": tokens * trajectories / update_s,
        "outside_model_share": 1.0 - inside / wall,
        "iteration_s": wall / len(counted),
        "tasks_s": tasks_s / len(counted),
        "searches_per_task": sum(row["rollout/searches_per_task"] for row in counted)
        / len(counted),
    }


if __name__ == "__main__":
    main()
