"""How every benchmark reports: a table on the screen and a JSON file with its origin."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mmsr_env.origin import commit, versions

RESULTS = Path(__file__).parent / "results"
_PACKAGES = ("mmsr", "numpy", "pillow", "gymnasium", "torch", "transformers")


def record(
    name: str,
    figures: Mapping[str, float],
    settings: Mapping[str, Any],
    *,
    packages: tuple[str, ...] = (),
    results: Path = RESULTS,
) -> Path:
    """Print a benchmark's figures and write `results/NAME.json`.

    Args:
        name: The benchmark's name, which is also the file's.
        figures: Measured numbers; each name carries its unit, such as "text_p50_ms".
        settings: What was measured: sizes, seeds, options. Must be JSON.
        packages: Distributions whose versions matter besides the common ones.
        results: The folder to write to.

    Returns:
        The file that was written.
    """
    document: dict[str, Any] = {
        "figures": {key: _rounded(value) for key, value in figures.items()},
        "settings": dict(settings),
        "machine": machine(),
        "versions": versions(list(dict.fromkeys((*_PACKAGES, *packages)))),
        "commit": commit(ignoring="benchmarks/results"),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    print(table(name, document["figures"]))
    results.mkdir(parents=True, exist_ok=True)
    path = results / f"{name}.json"
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def table(title: str, figures: Mapping[str, float]) -> str:
    """The figures as aligned text, in the order given."""
    width = max((len(key) for key in figures), default=0)
    rows = [f"  {key:<{width}}  {value:>14,.6g}" for key, value in figures.items()]
    return "\n".join([title, *rows])


def machine() -> dict[str, Any]:
    """The machine in words and numbers, without its name."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory_gib": _memory_gib(),
        "system": platform.system(),
        # What else ran beside the benchmark, in busy cores over the last minute, its own included.
        "load_average": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else 0.0,
        **({"gpu": gpu} if (gpu := _gpu_model()) else {}),
    }


def _rounded(value: float) -> float:
    """Six significant digits: more would be noise in the committed file."""
    return float(f"{float(value):.6g}")


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory_gib() -> float:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 0.0
    return round(total / 2**30, 1)


def _gpu_model() -> str:
    """The first GPU as its driver names it; "" where there is none."""
    try:
        run = subprocess.run(
            ("nvidia-smi", "--query-gpu=name", "--format=csv,noheader"),
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return run.stdout.strip().split("\n")[0]
