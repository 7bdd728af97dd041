"""The import rules: what loads what, and which package may know of which."""

from __future__ import annotations

import ast
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = (
    "torch", "torchvision", "transformers", "vllm", "trl", "verl", "hydra", "omegaconf",
    "aiohttp", "stable_baselines3", "faiss", "openai", "pyarrow", "pandas", "algos", "benchmarks",
)  # fmt: skip


def sources(package: str) -> list[Path]:
    found = sorted((ROOT / package).rglob("*.py"))
    assert found, package
    return found


def imports(source: Path) -> Iterator[str]:
    """The modules that a file imports, wherever in it."""
    package = [*source.relative_to(ROOT).parent.parts]
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            yield ".".join([*base, *filter(None, [node.module])])
        elif isinstance(node, ast.Call) and _name(node.func) in ("import_module", "__import__"):
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value


def _name(function: ast.expr) -> str:
    return getattr(function, "attr", getattr(function, "id", ""))


def loaded_by(statement: str) -> set[str]:
    """The top-level packages that a fresh interpreter has loaded after a statement."""
    code = f"{statement}\nimport sys\nprint(*sorted({{m.partition('.')[0] for m in sys.modules}}))"
    run = subprocess.run(
        (sys.executable, "-W", "error", "-c", code),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(run.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "statement",
    [
        "import mmsr_env",
        "from mmsr_env.episode import Episode",
        "import gymnasium; gymnasium.register_envs(__import__('mmsr_env'))",
        "import mmsr_env.env, mmsr_env.rollout, mmsr_env.metrics, mmsr_env.atlas",
    ],
)
def test_importing_the_environment_loads_nothing_heavy(statement: str) -> None:
    assert not loaded_by(statement) & set(HEAVY)


def test_the_check_sees_what_is_loaded() -> None:
    assert {"json", "numpy"} <= loaded_by("import json, numpy")


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [
        ("mmsr_env", {"algos", "benchmarks", "hydra", "omegaconf"}),
        ("algos", {"benchmarks"}),
    ],
)
def test_no_file_imports_what_is_to_its_right(package: str, forbidden: set[str]) -> None:
    for source in sources(package):
        assert not {name.partition(".")[0] for name in imports(source)} & forbidden, source


def test_the_environment_imports_optional_libraries_where_it_uses_them() -> None:
    for source in sources("mmsr_env"):
        at_import = [
            node for node in ast.parse(source.read_text(encoding="utf-8")).body
            if isinstance(node, ast.Import | ast.ImportFrom)
        ]  # fmt: skip
        names = {alias.name for node in at_import if isinstance(node, ast.Import)
                 for alias in node.names}  # fmt: skip
        names |= {str(node.module) for node in at_import if isinstance(node, ast.ImportFrom)}
        assert not {name.partition(".")[0] for name in names} & {"torch", "transformers"}, source


def test_one_file_alone_imports_hydra() -> None:
    users = {
        source.relative_to(ROOT).as_posix()
        for source in (*sources("mmsr_env"), *sources("algos"))
        if {"hydra", "omegaconf"} & {name.partition(".")[0] for name in imports(source)}
    }
    assert users <= {"algos/train.py"}


def test_the_heart_needs_no_driver() -> None:
    """What drives an episode knows the episode, and never the other way round."""
    allowed = {
        "errors", "protocol", "registry", "reward", "rules", "scoring", "types", "search.base",
    }  # fmt: skip
    heart = ["episode", "reward", "rules", "scoring", "types", "errors", "registry", "search/base"]
    protocol = (source for source in sources("mmsr_env/protocol"))
    for source in (*(ROOT / f"mmsr_env/{name}.py" for name in heart), *protocol):
        for name in imports(source):
            top, _, rest = name.partition(".")
            if top == "mmsr_env":
                assert rest in allowed or rest.partition(".")[0] in allowed - {"search"}, source
            else:
                assert top in (*sys.stdlib_module_names, "PIL"), (source, name)


def test_the_suite_cannot_leave_this_machine() -> None:
    """What tests/conftest.py promises: loopback and nothing else."""
    with pytest.raises(RuntimeError, match="loopback only"):
        socket.create_connection(("192.0.2.1", 80), timeout=1)
    with pytest.raises(RuntimeError, match="loopback only"):
        socket.getaddrinfo("example.org", 80)
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=5).close()
