"""Where a result comes from: the versions and the commit that made it."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("mmsr", "numpy", "pillow", "gymnasium")


def versions(packages: Sequence[str] = _PACKAGES) -> dict[str, str]:
    """Python's version and those of the distributions that are installed."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def commit(ignoring: str = "") -> str:
    """The commit of the checkout that this package lies in; "" where it lies in none.

    "+changes" is added where files differ from the commit.

    Args:
        ignoring: A folder of the checkout whose changes say nothing about the code.
    """
    root = Path(__file__).resolve().parent.parent
    try:
        # An installed package may lie below some other repository, whose commit says nothing.
        if Path(_git(root, "rev-parse", "--show-toplevel")).resolve() != root:
            return ""
        head = _git(root, "rev-parse", "HEAD")
        paths = ("--", ":/", *((f":(top,exclude){ignoring}",) if ignoring else ()))
        changed = _git(root, "status", "--porcelain", "--untracked-files=no", *paths)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return head + ("+changes" if changed else "")


def _git(folder: Path, *arguments: str) -> str:
    run = subprocess.run(
        ("git", *arguments), cwd=folder, capture_output=True, text=True, check=True
    )
    return run.stdout.strip()
