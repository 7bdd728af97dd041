"""Checks in environments of their own, where `make test` has everything in one.

Run one with `nox -s core`. A check of another framework, whose dependencies would not go with
those of the others, is one more session: a call of `tested_with`.
"""

from __future__ import annotations

import nox

TEST_TOOLS = ("pytest", "pytest-asyncio", "hypothesis", "scipy")

nox.options.default_venv_backend = "venv"
nox.options.sessions = ["core"]


def tested_with(session: nox.Session, install: str, *tests: str) -> None:
    """Install the project and run tests.

    Args:
        session: The session, whose environment is empty.
        install: What to install of the project, such as ".[web]".
        *tests: Files and folders of tests.
    """
    session.install("-c", "constraints.txt", "-e", install, *TEST_TOOLS)
    chosen = session.posargs or ("-m", "not slow and not gpu")
    session.run("python", "-m", "pytest", *tests, *chosen)


@nox.session
def core(session: nox.Session) -> None:
    """The environment without torch, which whoever brings a trainer of their own installs."""
    tested_with(session, ".[data]", "tests/mmsr_env", "tests/test_imports.py")
    absent = "import importlib.util as u, sys; sys.exit(u.find_spec('torch') is not None)"
    session.run("python", "-c", absent)
