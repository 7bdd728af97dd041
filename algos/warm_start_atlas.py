"""Makes the packaged model: a small Qwen2.5-VL, warm-started on Atlas from nothing.

    python -m algos.warm_start_atlas OUT

The settings stand here and not in `conf/`, since the packaged weights are what they gave. What
the result can do is measured on validation tasks and written to `OUT/warm_start.json`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from algos.agent_results import figures_record, write_json
from algos.collect import Collector
from algos.demonstrations import Teacher
from algos.evaluate import play_tasks
from algos.lessons import LessonStream, Phase
from algos.models import VisionLanguageModel
from algos.progress import format_seconds
from algos.samplers.hf import HFSampler
from algos.tiny import make_tiny
from algos.vocabulary import atlas_texts
from algos.warmstart import SupervisedSettings, warm_start
from mmsr_env.atlas import AtlasSearch, AtlasTasks, World
from mmsr_env.evaluation import Play
from mmsr_env.metrics import break_down
from mmsr_env.origin import commit, versions
from mmsr_env.protocol.prompts import COMPACT
from mmsr_env.rules import Rules

WORLD = World(size=20_000)
RULES = Rules(results=3)
STEPS, BATCH_SIZE, SEED, VOCABULARY = 2400, 64, 0, 1300
PHASES = (
    Phase(0.15, {"caption": 0.5, "copy": 0.5}),
    Phase(0.15, {"caption": 0.25, "copy": 0.25, "read": 0.25, "recall": 0.25}),
    Phase(0.40, {"caption": 0.1, "copy": 0.1, "read": 0.1, "recall": 0.2, "episode": 0.5}),
    Phase(0.30, {"caption": 0.05, "recall": 0.1, "episode": 0.85}),
)
_MAX_TOKENS, _VALIDATION_TASKS = 512, 512
"""The curriculum: first seeing and copying, then reading and memory, then whole episodes."""


def make(steps: int = STEPS, world: World = WORLD, workers: int = 1) -> VisionLanguageModel:
    """Make and train the model.

    Args:
        steps: Updates; fewer of them give the same curriculum in less time.
        world: What it is taught.
        workers: Loader processes; the result does not depend on how many.
    """
    vlm = make_tiny(atlas_texts(), vocab_size=VOCABULARY, seed=SEED)
    play, search = Play(RULES, prompts=COMPACT), atlas_search(world)
    lessons = LessonStream(
        vlm,
        AtlasTasks(world, "train"),
        Teacher(search, play.begin),
        PHASES,
        steps,
        BATCH_SIZE,
        SEED,
        max_tokens=_MAX_TOKENS,
    )
    search.prepare()  # before the workers start, so that they share it
    loader = DataLoader(
        lessons,
        batch_size=None,
        num_workers=workers,
        prefetch_factor=8 if workers else None,
        multiprocessing_context="fork" if workers else None,
    )
    warm_start(vlm, loader, steps, SupervisedSettings(), _progress(steps))
    return vlm


def atlas_search(world: World) -> AtlasSearch:
    """The search that fits the small model: short passages, thumbnails of one token."""
    return AtlasSearch(world, max_sentences=1, thumbnail=28)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("out", type=Path, help="folder for the model")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--threads", type=int, default=1, help="of torch; a core makes lessons")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    start = time.monotonic()
    vlm = make(options.steps)
    minutes = (time.monotonic() - start) / 60
    vlm.save(options.out)
    figures = {name: _figures(vlm, name) for name in ("direct", "rag", "on_demand")}
    document = {
        "steps": options.steps,
        "seed": SEED,
        "world": {"size": WORLD.size, "seed": WORLD.seed},
        "minutes": minutes,
        "validation": figures,
    }
    origin = {"versions": versions(("mmsr", "torch", "transformers")), "commit": commit()}
    write_json(options.out / "warm_start.json", document | origin)
    for name, each in figures.items():
        print(f"{name}: {each['accuracy']:.3f} right, {each['searches_per_task']:.2f} searches")


def _figures(vlm: VisionLanguageModel, workflow: str) -> dict[str, object]:
    sampler = HFSampler(vlm, seed=SEED)
    play = Play(RULES, prompts=COMPACT)
    collector = Collector(vlm, sampler, atlas_search(WORLD), play.begin, _MAX_TOKENS, 32)
    tasks = AtlasTasks(WORLD, "validation")
    played = play_tasks(collector, tasks, _VALIDATION_TASKS, workflow)
    return figures_record(break_down(played, RULES.max_searches))


def _progress(steps: int) -> Callable[[int, float, int], None]:
    start, seen = time.monotonic(), [0]

    def show(step: int, loss: float, tokens: int) -> None:
        seen[0] += tokens
        if (step + 1) % 50 and step + 1 != steps:
            return
        spent = time.monotonic() - start
        left = format_seconds(spent / (step + 1) * (steps - step - 1))
        print(
            f"step {step + 1}/{steps}  loss {loss:.3f}  "
            f"{seen[0] / spent:.0f} tokens/s  {left} left",
            file=sys.stderr,
            flush=True,
        )

    return show


if __name__ == "__main__":
    main()
