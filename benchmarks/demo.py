"""The main job, measured: what `mmsr demo` shows, for one seed or several.

python -m benchmarks.demo --seeds 0 1 2
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.record import record

_AGENTS = ("direct", "rag", "warm_start", "rag_trained", "trained")
_FIGURES = ("accuracy", "search_ratio", "searches_per_task", "mean_reward")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--folder", type=Path, default=Path("runs/benchmark_demo"))
    parser.add_argument("--name", default="demo", help="of the results file")
    parser.add_argument("--set", nargs="*", default=[], metavar="SETTING=VALUE")
    options = parser.parse_args()
    runs = [_run(seed, options.folder / f"seed_{seed}", options.set) for seed in options.seeds]
    each = [figures(run) for run in runs]
    medians = {name: median(one[name] for one in each) for name in each[0]}
    record(
        options.name,
        medians,
        {
            "seeds": options.seeds,
            "overrides": options.set,
            "figures": "medians over the seeds",
            "each_seed": each,
            "by_kind": [_by_kind(run) for run in runs],
        },
    )


def figures(results: Mapping[str, Any]) -> dict[str, float]:
    """What a run's results.json comes to."""
    agents = results["agents"]
    named = {f"{agent}_{name}": agents[agent][name] for agent in _AGENTS for name in _FIGURES}
    rag, trained = agents["rag"], agents["trained"]
    visible = trained["by_kind"].get("visible", {})
    return {
        **named,
        "accuracy_over_rag_points": 100 * (trained["accuracy"] - rag["accuracy"]),
        "searches_saved_share": 1 - trained["searches_per_task"] / rag["searches_per_task"],
        "reward_gain": trained["mean_reward"] - agents["warm_start"]["mean_reward"],
        "search_ratio_required": trained["by_category"]["search_required"]["search_ratio"],
        "search_ratio_free": trained["by_category"]["search_free"]["search_ratio"],
        "search_ratio_visible": visible.get("search_ratio", 0.0),
        "minutes": results["minutes"],
    }


def _run(seed: int, folder: Path, overrides: list[str]) -> dict[str, Any]:
    settings = ["experiment=demo", f"seed={seed}", f"folder={folder}", *overrides]
    subprocess.run([sys.executable, "-m", "algos.train", *settings], check=True)
    results: dict[str, Any] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return results


def _by_kind(results: Mapping[str, Any]) -> dict[str, Any]:
    """Accuracy and searches a task of every agent, for each kind of question."""
    return {
        agent: {
            kind: {name: part[name] for name in ("tasks", "accuracy", "searches_per_task")}
            for kind, part in results["agents"][agent]["by_kind"].items()
        }
        for agent in _AGENTS
    }


if __name__ == "__main__":
    main()
