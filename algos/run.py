"""A whole run: the agents before training, the training, the agents after it, the report."""

from __future__ import annotations

import copy
import shutil
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from algos.agent_results import load_agent, save_agent, write_json
from algos.agent_table import agent_table
from algos.build import (
    TaskSplits,
    build_model,
    build_play,
    build_search,
    build_tasks,
    check_settings,
)
from algos.collect import Collector
from algos.curves import write_curves
from algos.evaluate import play_tasks, validation_figures
from algos.metrics_log import read_metrics
from algos.progress import Progress
from algos.registry import make_algorithm
from algos.samplers.registry import make_sampler
from algos.trainer import Trainer, TrainerSettings
from algos.update import Updater, UpdateSettings
from mmsr_env.origin import commit, versions
from mmsr_env.settings import from_mapping

Settings = Mapping[str, Any]
BEFORE = {"direct": "direct", "rag": "rag", "warm_start": "on_demand"}
AFTER = {"rag_trained": "rag", "trained": "on_demand"}
"""Agent -> workflow: of the model before the training, and after it."""
_PACKAGES = ("mmsr", "torch", "transformers", "numpy", "gymnasium", "pillow")


def run(settings: Settings, say: Callable[[str], None] = print) -> Path:
    """Carry out a run, or go on with one.

    Args:
        settings: As `conf/config.yaml` composes them, as plain values.
        say: Told what happens, some lines at a time.

    Returns:
        The run's folder: `results.json`, `metrics.jsonl`, `curves.png`, `agents/` with every
        test trajectory, `checkpoints/`, `tensorboard/`.
    """
    start = time.monotonic()
    folder = Path(settings["folder"])
    if settings["threads"]:
        torch.set_num_threads(int(settings["threads"]))
    trainer, tasks = assemble(settings, folder)
    if not settings["resume"]:
        _clear(folder)
    first = trainer.restore() if settings["resume"] else 0
    if first == 0:
        _play_agents(BEFORE, trainer.collector, tasks, settings, folder, say)
    say(f"Training: {settings['algo']['name']}, from iteration {first}.")
    trainer.train(first)
    _play_agents(AFTER, trainer.collector, tasks, settings, folder, say)
    minutes = (time.monotonic() - start) / 60
    results = _write_results(folder, settings, minutes)
    write_curves(folder / "curves.png", read_metrics(folder / "metrics.jsonl"), results["agents"])
    say(agent_table(results["agents"]))
    say(f"{minutes:.1f} minutes. Results, curves and trajectories are in {folder}.")
    return folder


def assemble(settings: Settings, folder: Path) -> tuple[Trainer, TaskSplits]:
    """Put a run's parts together; nothing is sampled or written yet."""
    check_settings(settings)
    trainer_settings = from_mapping(
        TrainerSettings, {**settings["trainer"], "seed": settings["seed"]}, "trainer"
    )
    sampler_seed, order_seed = _child_seeds(settings["seed"], 2)
    algo = dict(settings["algo"])
    algorithm = make_algorithm(algo.pop("name"), **algo)
    vlm, play = build_model(settings["model"]), build_play(settings["env"])
    sampler = make_sampler(**settings["sampler"], vlm=vlm, seed=sampler_seed)
    tasks = build_tasks(settings["env"])
    collector = Collector(
        vlm,
        sampler,
        build_search(settings["search"]),
        play.begin,
        max_tokens=settings["model"]["max_tokens"],
        max_turn_tokens=settings["model"]["max_turn_tokens"],
    )
    updater = Updater(
        vlm,
        algorithm,
        from_mapping(UpdateSettings, settings["update"], "update"),
        trainer_settings.temperature,
        order_seed,
        reference=_frozen(vlm.model) if algorithm.needs_reference else None,
    )
    searches, count = play.rules.max_searches, settings["evaluation"]["validation"]
    figures = partial(validation_figures, collector, tasks.validation, count, searches)
    trainer = Trainer(
        vlm,
        sampler,
        collector,
        updater,
        tasks.train,
        trainer_settings,
        folder,
        evaluate=figures if count else None,
        progress=Progress(trainer_settings.iterations),
    )
    return trainer, tasks


def _play_agents(
    agents: Mapping[str, str],
    collector: Collector,
    tasks: TaskSplits,
    settings: Settings,
    folder: Path,
    say: Callable[[str], None],
) -> None:
    count = settings["evaluation"]["tasks"]
    searches = settings["env"]["rules"]["max_searches"]
    for name, workflow in agents.items() if count else ():
        figures = save_agent(
            folder / "agents", name, play_tasks(collector, tasks.test, count, workflow), searches
        ).overall
        say(
            f"{name}: accuracy {figures.accuracy.value:.3f}, "
            f"{figures.searches_per_task.value:.2f} searches a task, "
            f"mean reward {figures.mean_reward.value:.3f}"
        )


def _write_results(folder: Path, settings: Settings, minutes: float) -> dict[str, Any]:
    loaded = {name: load_agent(folder / "agents", name) for name in (*BEFORE, *AFTER)}
    results = {
        "agents": {name: figures for name, figures in loaded.items() if figures is not None},
        "minutes": minutes,
        "seed": settings["seed"],
        "settings": settings,
        "versions": versions(_PACKAGES),
        "commit": commit(),
    }
    write_json(folder / "results.json", results)
    return results


def _clear(folder: Path) -> None:
    """Take away what an earlier run left here; its checkpoints would count as this one's."""
    if (folder / "metrics.jsonl").exists():
        for name in ("agents", "checkpoints", "tensorboard"):
            shutil.rmtree(folder / name, ignore_errors=True)


def _child_seeds(seed: int, count: int) -> list[int]:
    children = np.random.SeedSequence(seed).spawn(count)
    return [int(child.generate_state(1)[0]) for child in children]


def _frozen(model: Any) -> Any:
    """A copy that is never trained, for the KL term to refer to."""
    return copy.deepcopy(model).requires_grad_(False).eval()
