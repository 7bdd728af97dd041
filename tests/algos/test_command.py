"""The console script says what is missing, and hides no other error."""

from __future__ import annotations

import subprocess
import sys

import pytest

_RUN = """
import sys
sys.modules[{missing!r}] = None  # importing it then fails as if it were not installed
from algos.command import main
main()
"""


def run_without(module: str) -> subprocess.CompletedProcess[str]:
    code = _RUN.format(missing=module)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("module", ["hydra", "torch"])
def test_a_missing_library_ends_in_a_line_that_names_the_extra(module: str) -> None:
    done = run_without(module)
    assert done.returncode == 2
    *advice, said = done.stderr.splitlines()  # transformers may say something of its own first
    assert said == f"mmsr-train: error: mmsr-train needs {module}: pip install 'mmsr[train]'"
    assert "Traceback" not in "".join(advice)


def test_a_broken_installation_is_not_taken_for_a_missing_extra() -> None:
    done = run_without("mmsr_env.origin")
    assert done.returncode == 1
    assert "ModuleNotFoundError" in done.stderr
