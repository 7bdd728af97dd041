"""Importing the package: ids registered, and nothing heavy loaded."""

import json
import subprocess
import sys
import warnings

import gymnasium
import pytest

import mmsr_env

HEAVY = ("torch", "transformers", "vllm", "hydra", "aiohttp", "pyarrow", "PIL", "algos")


def run(code):
    paths = f"import sys; sys.path[:0] = {[path for path in sys.path if path]!r}\n"
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", paths + code], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_make_imports_and_registers():
    out = run(
        "import gymnasium\n"
        "env = gymnasium.make('mmsr_env:mmsr/Search-v0')\n"
        "env.reset(seed=0)\n"
        "print(env.spec.id, env.spec.max_episode_steps, env.spec.nondeterministic)"
    )
    assert out.split() == ["mmsr/Search-v0", "None", "False"]


def test_import_registers():
    out = run(
        "import gymnasium, mmsr_env\n"
        "gymnasium.register_envs(mmsr_env)\n"
        "print(type(gymnasium.make('mmsr/Search-v0').unwrapped).__name__)"
    )
    assert out.strip() == "MMSearchEnv"


def test_registering_again_changes_nothing():
    spec = gymnasium.spec("mmsr/Search-v0")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mmsr_env.register()
    assert gymnasium.spec("mmsr/Search-v0") is spec


@pytest.mark.parametrize("module", ["mmsr_env", "mmsr_env.env"])
def test_what_is_heavy_is_not_imported(module):
    out = run(f"import json, {module}\nprint(json.dumps(sorted(sys.modules)))")
    loaded = set(json.loads(out))
    allowed = {"PIL"} if module == "mmsr_env.env" else set()
    assert loaded & set(HEAVY) <= allowed


def test_public_names_are_there_when_asked_for():
    for name in mmsr_env.__all__:
        assert getattr(mmsr_env, name).__name__ == name
        assert name in dir(mmsr_env)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = mmsr_env.nothing
