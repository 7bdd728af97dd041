"""`mmsr-train` from its command line: runs, resumes, and errors of one line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from small_configs import SMALL, provide_conf, save_beginner
from transformers.utils.logging import enable_progress_bar

from algos.metrics_log import read_metrics
from algos.train import main

QUICK = (
    *SMALL,
    "trainer.iterations=1",
    "trainer.tasks_per_iteration=1",
    "evaluation.tasks=0",
    "evaluation.validation=0",
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    provide_conf(tmp_path_factory.mktemp("package"))
    return save_beginner(tmp_path_factory.mktemp("model"))


@pytest.fixture
def train(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")  # so that what main sets is taken back
    enable_progress_bar()

    def train(*arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["mmsr-train", *arguments])
        main()

    return train


def iterations(folder: Path) -> list[int]:
    return [row["iteration"] for row in read_metrics(folder / "metrics.jsonl")]


def test_groups_and_settings_are_chosen_on_the_command_line(train, model, tmp_path: Path) -> None:
    groups = ("algo=grpo", "env=atlas", "model=tiny", "sampler=hf", "search=atlas")
    train(*groups, model, *QUICK, "folder=run", "seed=7")
    assert iterations(tmp_path / "run") == [0]
    saved = OmegaConf.load(tmp_path / "run" / "settings.yaml")
    assert (saved.seed, saved.algo.name, saved.trainer.iterations) == (7, "grpo", 1)
    assert saved.env.test.world.size == 120  # what refers to others is written out


def test_a_run_writes_to_its_folder_and_nowhere_else(train, model, tmp_path: Path) -> None:
    train(model, *QUICK, "folder=run")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    train("resume=run")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_the_default_folder_is_new_for_every_run(train, model, tmp_path: Path) -> None:
    train(model, *QUICK)
    (folder,) = (tmp_path / "runs").iterdir()
    assert iterations(folder) == [0]


def test_a_run_is_resumed_with_its_own_settings_and_those_that_are_new(
    train, model, tmp_path: Path
) -> None:
    train(model, *QUICK, "folder=run", "seed=5", "update.learning_rate=3e-4")
    train("resume=run", "trainer.iterations=3", "trainer.save_every=0")
    assert iterations(tmp_path / "run") == [0, 1, 2]
    saved = OmegaConf.load(tmp_path / "run" / "settings.yaml")
    assert (saved.seed, saved.trainer.iterations, saved.trainer.save_every) == (5, 3, 0)
    assert saved["update"].learning_rate == 3e-4


def test_runs_of_a_sweep_have_folders_of_their_own(train, model, tmp_path: Path) -> None:
    train("-m", model, *QUICK, "folder=sweep", "seed=0,1")
    folders = sorted(path for path in (tmp_path / "sweep").iterdir())
    assert [path.name for path in folders] == ["0", "1"]
    assert [OmegaConf.load(path / "settings.yaml").seed for path in folders] == [0, 1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("algo=grop",), "algo/grop"),
        (("trainer.iteration=3",), "trainer.iteration"),
        (("experiment=mmsearch_r1",), "env.path"),
        (("env=fvqa", "env.path=nowhere", "search=index", "search.path=x"), "nowhere"),
        (("model.path=nowhere",), "nowhere"),
        (("trainer.group_size=0",), "group_size"),
        (("update.learning_rate=much",), "learning_rate"),
        (("env.grammar=mmsearch",), "mmsearch_r1"),
        (("+model.max_token=3",), "max_tokens"),
        (("resume=nowhere",), "nowhere"),
        (("trainer.iterations",), "trainer.iterations"),
        (("env=fvqa", "env.path=x"), "env.world"),
    ],
)
def test_an_error_is_one_line_and_exit_code_2(
    train, model, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    given = () if any("model" in one for one in arguments) else (model,)
    with pytest.raises(SystemExit) as stopped:
        train(*given, *arguments, "folder=run")
    assert stopped.value.code == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert line.startswith("mmsr-train: error: ")
    assert said in line


@pytest.mark.parametrize("argument", ["algo=grpo", "experiment=demo", "env=fvqa", "+new.key=1"])
def test_a_resumed_run_keeps_its_groups(
    train, model, tmp_path: Path, capsys: pytest.CaptureFixture[str], argument: str
) -> None:
    train(model, *QUICK, "folder=run")
    before = (tmp_path / "run" / "settings.yaml").read_text()
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        train("resume=run", argument)
    assert stopped.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert (tmp_path / "run" / "settings.yaml").read_text() == before
