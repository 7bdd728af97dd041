"""The command line: tables, files, errors in one line, and playing by hand."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from mmsr_env.cli import COMMANDS, main
from mmsr_env.play_command import written_out
from mmsr_env.protocol.grammar import MMSearchR1Grammar
from mmsr_env.trajectories import read_records

SMALL = ["--size", "120", "--count", "24"]


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    status = main(list(argv))
    out, err = capsys.readouterr()
    return status, out, err


@pytest.fixture
def task_file(tmp_path: Path) -> Path:
    Image.new("RGB", (8, 8), "red").save(tmp_path / "red.png")
    rows = [
        {"id": f"q{i}", "question": f"Question {i}?", "image": "red.png", "answers": ["gold"]}
        for i in range(3)
    ]
    path = tmp_path / "quiz.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_eval_prints_the_table_and_writes_the_files(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    agents = ["--agent", "oracle", "--agent", "reader"]
    status, out, _ = run(capsys, "eval", *agents, *SMALL, "--out", str(tmp_path / "runs"))
    assert status == 0
    header, *lines = out.splitlines()
    assert header.split()[:4] == ["agent", "tasks", "kind", "n"]
    oracle = next(line for line in lines if line.startswith("oracle") and " all " in line)
    assert oracle.split()[3:6] == ["24", "100.0", "[86.2,"]
    document = json.loads((tmp_path / "runs" / "results.json").read_text())
    assert document["settings"]["size"] == 120
    assert document["settings"]["difficulty"] == "medium"
    assert [row["agent"] for row in document["results"]] == ["oracle", "reader"]
    records = list(read_records(tmp_path / "runs" / "trajectories-reader.jsonl"))
    assert [record["task"]["id"] for record in records] == [f"atlas-test-0-{i}" for i in range(24)]


def test_two_runs_are_equal_and_another_seed_is_not(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def play(name: str, *more: str) -> tuple[str, dict[str, bytes]]:
        agents = ["--agent", "random", "--agent", "always_search"]
        status, out, _ = run(capsys, "eval", *agents, *SMALL, "--out", str(tmp_path / name), *more)
        assert status == 0
        return out, {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}

    first = play("a")
    assert first == play("b")
    assert first == play("c", "--limit", "1")
    assert first != play("d", "--seed", "1")


def test_options_reach_rules_and_reward(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    options = (
        "--max-turns 4 --max-searches 3 --results 2 --on-malformed feedback --search-penalty 0.2 "
        "--per-search --match contains --prompts compact --format markdown --split train "
        "--difficulty hard"
    ).split()
    argv = ["eval", "--agent", "oracle", *SMALL, *options, "--out", str(tmp_path)]
    status, out, _ = run(capsys, *argv)
    assert status == 0
    assert out.startswith("| agent | tasks | kind | n |")
    settings = json.loads((tmp_path / "results.json").read_text())["settings"]
    assert settings["rules"] == {
        "max_turns": 4,
        "max_searches": 3,
        "image_search_first_turn_only": True,
        "results": 2,
        "on_malformed": "feedback",
        "max_result_chars": 4000,
    }
    assert settings["reward"]["search_penalty"] == 0.2
    assert settings["reward"]["per_search"] is True
    assert settings["reward"]["match"] == "contains"
    assert (settings["prompts"], settings["split"]) == ("compact", "train")
    rewards = {r["task"]["kind"]: r["reward"] for r in _records(tmp_path, "oracle")}
    assert rewards["picture_fact"] == pytest.approx(0.9 * 0.8**2 + 0.1)
    assert rewards["named_fact"] == pytest.approx(0.9 * 0.8 + 0.1)


def _records(folder: Path, agent: str) -> list[dict]:  # type: ignore[type-arg]
    return list(read_records(folder / f"trajectories-{agent}.jsonl"))


def test_a_task_file_without_a_search(
    capsys: pytest.CaptureFixture[str], task_file: Path, tmp_path: Path
) -> None:
    argv = ["eval", "--agent", "oracle", "--tasks", str(task_file)]
    status, _, err = run(capsys, *argv)
    assert (status, err.count("\n")) == (2, 1)
    assert "give --index DIR, or --max-searches 0" in err
    argv += ["--max-searches", "0", "--count", "2", "--out", str(tmp_path / "out")]
    status, out, _ = run(capsys, *argv)
    assert status == 0
    assert [r["task"]["id"] for r in _records(tmp_path / "out", "oracle")] == ["q0", "q1"]
    assert " - " in out, "no budget can be used"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["eval", "--agent", "orcle"], "no agent is named 'orcle'. Did you mean 'oracle'?"),
        (["eval", "--difficulty", "medum"], "Did you mean 'medium'?"),
        (["eval", "--tasks", "nowhere.parquet"], "nowhere.parquet"),
        (["eval", "--max-turns", "0"], "rules.max_turns must be 1 or more, got 0"),
        (["eval", "--search-penalty", "2"], "reward.search_penalty must lie in [0, 1], got 2.0"),
        (["eval", "--count", "0"], "--count must be 1 or more, got 0"),
        (["eval", "--size", "120", "--limit", "0"], "limit must be 1 or more, got 0"),
        (["eval", "--index", "no-such-folder"], "no-such-folder"),
        (["eval", "--size", "120", "--out", "/dev/null/x"], "/dev/null"),
        (["play", "--size", "120", "--task", "999"], "--task must lie in [0, 199], got 999"),
    ],
)
def test_wrong_use_is_one_line_and_status_2(
    capsys: pytest.CaptureFixture[str], argv: list[str], message: str
) -> None:
    status, out, err = run(capsys, *argv)
    assert (status, out) == (2, "")
    assert err.startswith("mmsr: error: ")
    assert err.count("\n") == 1
    assert message in err


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    assert all(module.split(".")[1].removesuffix("_command") in shown for module in COMMANDS)
    with pytest.raises(SystemExit) as stopped:
        main([])
    assert stopped.value.code == 2


def test_the_command_loads_nothing_heavy() -> None:
    code = (
        "import sys; from mmsr_env.cli import build_parser; build_parser();"
        "heavy = ('torch', 'transformers', 'pyarrow', 'mmsr_env.atlas');"
        "print([module for module in heavy if module in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def play(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: str) -> str:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    status, out, _ = run(capsys, "play", "--size", "120", "--task", "1")
    assert status == 0
    return out


def test_play_goes_through_an_episode(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = play(monkeypatch, capsys, "/image\n/text what is it\n/answer nothing\n")
    assert out.count("\n<information>") == 2, "the instructions name the tag as well"
    assert out.count("\n> ") == 3
    assert "wrong, 2 searches, format kept, answered" in out
    assert "\x1b" not in out, "no colours where the output is no terminal"


@pytest.mark.parametrize("typed", ["", "/image\n"])
def test_play_ends_with_the_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: str
) -> None:
    out = play(monkeypatch, capsys, typed)
    assert out.endswith("left before the end\n")


def test_play_takes_whole_messages_and_shows_a_broken_one_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = play(monkeypatch, capsys, "hello\n")
    assert "wrong, no search, format broken, malformed" in out


def test_short_commands_stand_for_well_formed_messages() -> None:
    grammar = MMSearchR1Grammar()
    for line, kind, text in (
        ("/image", "search_image", ""),
        ("/text red moth ", "search_text", "red moth"),
        ("/answer elm", "answer", "elm"),
    ):
        action = grammar.parse(written_out(line, grammar))
        assert (action.kind, action.text, action.well_formed) == (kind, text, True)
    for line in ("<reason>r</reason><answer>a</answer>", "/answer <answer>", "/else", ""):
        assert written_out(line, grammar) == line
