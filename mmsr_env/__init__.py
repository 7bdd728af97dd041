"""A Gymnasium environment of multimodal search: a picture, a question, and when to search.

Importing this package registers its environments; everything that is slow to import is
imported when it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mmsr_env.registration import register

if TYPE_CHECKING:
    from mmsr_env.env import MMSearchEnv
    from mmsr_env.episode import Episode
    from mmsr_env.reward import RewardRule
    from mmsr_env.rules import Rules
    from mmsr_env.tasks import load_tasks
    from mmsr_env.types import Task, Trajectory

__version__ = "0.1.0"
__all__ = [
    "Episode",
    "MMSearchEnv",
    "RewardRule",
    "Rules",
    "Task",
    "Trajectory",
    "load_tasks",
    "register",
]

_HOMES = {
    "Episode": "mmsr_env.episode",
    "MMSearchEnv": "mmsr_env.env",
    "RewardRule": "mmsr_env.reward",
    "Rules": "mmsr_env.rules",
    "Task": "mmsr_env.types",
    "Trajectory": "mmsr_env.types",
    "load_tasks": "mmsr_env.tasks",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


register()
