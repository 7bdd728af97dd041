"""The built distributions: what is in them, and that a wheel works where nothing else is.

The wheel is built from the source distribution, which is built from a copy of this tree. It is
installed into an empty environment as a user of the environment would do it, which takes the
core's dependencies from where pip takes them; and into one that sees the libraries of the tests,
so that torch is not installed a second time.
"""

from __future__ import annotations

import configparser
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.xdist_group("packaging")

ROOT = Path(__file__).parents[1]
CODE = {"mmsr_env": "mmsr_env", "algos": "algos", "conf": "mmsr_env/conf"}
"""Folder of this tree -> where a wheel has it."""
TOP_FILES = (
    "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md", "constraints.txt",
    "noxfile.py", "pyproject.toml", "setup.cfg", ".ci/run",
)  # fmt: skip
NOT_SOURCE = shutil.ignore_patterns(
    ".git", ".venv", ".nox", ".*_cache", ".hypothesis", "__pycache__", "*.egg-info", "build",
    "dist", "runs", "outputs", "multirun",
)  # fmt: skip


def run(*command: str | Path, cwd: Path) -> str:
    """What a command prints. It sees neither this tree nor anything installed for the user."""
    hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    done = subprocess.run(
        command,
        cwd=cwd,
        env=kept | {"PYTHONNOUSERSITE": "1", "HYDRA_FULL_ERROR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def bin_of(environment: Path) -> Path:
    return environment / "bin"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this tree, so that building leaves nothing behind here."""
    copy = tmp_path_factory.mktemp("packaging") / "tree"
    shutil.copytree(ROOT, copy, ignore=NOT_SOURCE)
    return copy


@pytest.fixture(scope="module")
def built(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, tree, cwd=out)
    return out


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


@pytest.fixture(scope="module")
def core(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and what it asks for, and nothing else."""
    folder = tmp_path_factory.mktemp("core")
    venv.create(folder / "env", with_pip=True)
    pip = (bin_of(folder / "env") / "python", "-m", "pip", "--disable-pip-version-check")
    run(*pip, "install", "-q", "-c", ROOT / "constraints.txt", wheel, cwd=folder)
    run(*pip, "check", cwd=folder)
    return folder / "env"


@pytest.fixture(scope="module")
def train(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel that borrows every library from that of the tests."""
    folder = tmp_path_factory.mktemp("train")
    venv.create(folder / "env")
    here = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    there = bin_of(folder / "env") / "python"
    run(*here, "--python", there, "install", "-q", "--no-deps", "--no-index", wheel, cwd=folder)
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    own = Path(run(there, "-c", ask, cwd=folder).strip())
    lent = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    # A folder that is added so brings its libraries, but not its own .pth files, and with them
    # not the editable installation of this tree.
    (own / "lent.pth").write_text("\n".join(lent) + "\n")
    return folder / "env"


def test_every_folder_with_code_is_a_package() -> None:
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    listed = settings["options"]["packages"].split()
    found = {
        ".".join([*Path(place).parts, *source.parent.relative_to(ROOT / folder).parts])
        for folder, place in CODE.items()
        for source in (ROOT / folder).rglob("*.py")
    }
    assert sorted(listed) == sorted(found)


def test_the_wheel_has_all_files_of_the_packages_and_no_others(tree: Path, wheel: Path) -> None:
    expected = {
        f"{place}/{name}" for folder, place in CODE.items() for name in files(tree / folder)
    }
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name for name in names if ".dist-info/" not in name} == expected
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_the_source_distribution_can_be_tested(tree: Path, built: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {m.name.partition("/")[2] for m in opened.getmembers() if m.isfile()}
    folders = (*CODE, "benchmarks", "docs", "tests")
    expected = {f"{folder}/{name}" for folder in folders for name in files(tree / folder)}
    assert {*expected, *TOP_FILES} <= names


def test_the_metadata_say_what_it_is(metadata: Message) -> None:
    assert metadata["Name"] == "mmsr"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])
    assert set(metadata.get_all("Provides-Extra", [])) == {"train", "web", "data", "dev"}


def test_every_requirement_has_a_tested_version_within_its_range(metadata: Message) -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    tested = {canonicalize_name(pin.name): str(pin.specifier) for pin in pins}
    assert all(version.startswith("==") for version in tested.values())
    for line in metadata.get_all("Requires-Dist", []):
        wanted = Requirement(line)
        pin = tested[canonicalize_name(wanted.name)]
        assert wanted.specifier.contains(pin.removeprefix("==")), line


def test_the_core_is_installed_without_what_trains(core: Path, tmp_path: Path) -> None:
    names = ("torch", "transformers", "hydra", "aiohttp", "pyarrow", "gymnasium", "mmsr_env")
    code = (
        "import importlib.util as u, json; "
        f"print(json.dumps([n for n in {names!r} if u.find_spec(n)]))"
    )
    found = json.loads(run(bin_of(core) / "python", "-c", code, cwd=tmp_path))
    assert found == ["gymnasium", "mmsr_env"]


EPISODE = """
import gymnasium, pathlib, sys

env = gymnasium.make("mmsr_env:mmsr/Search-v0")
observation, info = env.reset(seed=0, options={"task": 0})
assert observation in env.observation_space
search = "<reason>r</reason><search><img></search>"
observation, reward, terminated, truncated, info = env.step(search)
assert info["search_ok"] and observation["images"] and not terminated
answer = f"<reason>r</reason><answer>{env.unwrapped.tasks[0].answers[0]}</answer>"
observation, reward, terminated, truncated, info = env.step(answer)
assert terminated and reward == 0.91, (reward, info)
import mmsr_env
assert pathlib.Path(mmsr_env.__file__).is_relative_to(sys.prefix)
"""


def test_an_episode_runs_in_the_core_installation(core: Path, tmp_path: Path) -> None:
    run(bin_of(core) / "python", "-W", "error", "-c", EPISODE, cwd=tmp_path)
    assert not files(tmp_path)


def test_the_command_runs_in_the_core_installation(core: Path, tmp_path: Path) -> None:
    command = ("eval", "--agent", "oracle", "--count", "20", "--out", "out")
    table = run(bin_of(core) / "mmsr", *command, cwd=tmp_path)
    (overall,) = (line.split() for line in table.splitlines() if " all " in line)
    assert overall[:5] == ["oracle", "atlas-test", "all", "20", "100.0"]
    assert "out/results.json" in files(tmp_path)


COMPOSE = """
import pathlib, sys
import hydra
from omegaconf import OmegaConf
import mmsr_env

assert pathlib.Path(mmsr_env.__file__).is_relative_to(sys.prefix)
with hydra.initialize_config_module("mmsr_env.conf", version_base=None):
    for choice in sys.argv[1:]:
        group, _, name = choice.partition("=")
        config = hydra.compose("config", overrides=[choice])
        assert group == "experiment" or config[group], choice
        print(choice, OmegaConf.to_container(config, resolve=False)["algo"]["name"])
"""


def test_every_setting_of_every_group_composes(train: Path, tmp_path: Path) -> None:
    choices = sorted(f"{p.parent.name}={p.stem}" for p in (ROOT / "conf").glob("*/*.yaml"))
    assert {choice.partition("=")[0] for choice in choices} >= {"algo", "env", "experiment"}
    lines = run(bin_of(train) / "python", "-c", COMPOSE, *choices, cwd=tmp_path).splitlines()
    assert [line.split()[0] for line in lines] == choices


def test_the_trainer_shows_its_settings_from_any_folder(train: Path, tmp_path: Path) -> None:
    command = bin_of(train) / "mmsr-train"
    assert "experiment: demo, mmsearch_r1" in run(command, "--help", cwd=tmp_path)
    shown = run(command, "--cfg", "job", "seed=7", "model=qwen2_5_vl_7b", cwd=tmp_path)
    assert "seed: 7" in shown.splitlines()
    assert "Qwen/Qwen2.5-VL-7B-Instruct" in shown
    assert not files(tmp_path)


def test_an_installed_wheel_trains_from_any_folder(train: Path, tmp_path: Path) -> None:
    settings = (
        "folder=run", "env.world.size=200", "threads=1", "evaluation.tasks=4",
        "evaluation.validation=4", "trainer.iterations=1", "trainer.tasks_per_iteration=2",
        "trainer.group_size=2", "trainer.evaluate_every=1", "trainer.save_every=1",
    )  # fmt: skip
    run(bin_of(train) / "mmsr-train", *settings, cwd=tmp_path)
    results = json.loads((tmp_path / "run" / "results.json").read_text(encoding="utf-8"))
    assert results["settings"]["trainer"]["iterations"] == 1
    assert {"direct", "rag", "trained"} <= set(results["agents"])
    assert {name.split("/")[0] for name in files(tmp_path)} == {"run"}
