"""Evaluation: a table against hand-computed numbers, and the files it leaves."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mmsr_env.agents.registry import Circumstances, make_agent
from mmsr_env.errors import InvalidSettingError, TaskDataError, UnknownNameError
from mmsr_env.evaluation import Bench, Play, evaluate
from mmsr_env.metrics import mean_interval, wilson_interval
from mmsr_env.rollout import PolicyError
from mmsr_env.rules import Rules
from mmsr_env.table import format_table, notes
from mmsr_env.tasks.base import NamedTasks
from mmsr_env.trajectories import read_records, replacing, write_records
from mmsr_env.types import Category, Conversation, Hit, ImageQuery, SearchResult, Task

HIT = Image.new("RGB", (5, 3), "blue")
MIX = [
    ("picture_fact", Category.SEARCH_REQUIRED),
    ("named_fact", Category.SEARCH_REQUIRED),
    ("named_fact", Category.SEARCH_REQUIRED),
    ("visible", Category.SEARCH_FREE),
]


def tasks(name: str = "four") -> NamedTasks:
    made = [
        Task(f"{name}-{i}", f"Question {i}?", Image.new("RGB", (8, 6), (i, 0, 0)), ("gold",), c, k)
        for i, (k, c) in enumerate(MIX)
    ]
    return NamedTasks(made, name)


class Partly:
    """Finds pictures; text searches fail."""

    async def search_image(self, image: ImageQuery, k: int) -> SearchResult:
        return SearchResult((Hit("A title", "https://x.example", image=HIT, score=float("nan")),))

    async def search_text(self, query: str, k: int, question: str) -> SearchResult:
        return SearchResult.failed("timeout", "after 3 s")


class Scripted:
    """For question i says the lines of row i."""

    LINES = (
        ("<search><img></search>", "<text_search>x</text_search>", "<answer>gold</answer>"),
        ("<text_search>y</text_search>", "<answer>lead</answer>"),
        ("no action \ud800",),
        ("<answer>The Gold.</answer>",),
    )

    async def respond(self, conversation: Conversation) -> str:
        number = int(conversation[0].text.rpartition("Question ")[2][0])
        line = self.LINES[number][len(conversation) // 2]
        return f"<reason>r</reason>{line}"


def scripted(task: Task) -> Scripted:
    return Scripted()


async def run(out: Path | None = None, **agents: Any) -> Any:
    return await evaluate(agents, [Bench(tasks(), Partly())], Play(), out=out)


async def test_the_table_by_hand() -> None:
    (row,) = await run(scripted=scripted)
    # Rewards: right with searches .91, wrong with format .1, malformed 0, right at once 1.
    overall = row.figures.overall
    assert overall.accuracy == wilson_interval(2, 4)
    assert overall.search_ratio == wilson_interval(2, 4)
    assert overall.searches_per_task == mean_interval([2, 1, 0, 0])
    assert overall.search_budget_used.value == 3 / 8
    assert overall.format_kept == wilson_interval(3, 4)
    assert overall.mean_reward.value == pytest.approx(2.01 / 4)
    assert (overall.searches, overall.failed_searches) == (3, 2)
    assert dict(overall.stop_reasons) == {"answered": 3, "malformed": 1}
    assert {name: s.tasks for name, s in row.figures.by_kind.items()} == {
        "named_fact": 2,
        "picture_fact": 1,
        "visible": 1,
    }
    assert row.figures.by_category["search_required"].mean_reward.value == pytest.approx(1.01 / 3)


async def test_the_table_as_text_and_as_markdown() -> None:
    rows = await run(scripted=scripted)
    lines = format_table(rows).splitlines()
    assert len({len(line) for line in lines}) == 1, "columns are aligned"
    cells = [cell.strip() for cell in lines[1].split("  ") if cell.strip()]
    assert cells == [
        "scripted",
        "four",
        "all",
        "4",
        "50.0 [15.0, 85.0]",
        "50.0 [15.0, 85.0]",
        "0.750 [0.000, 1.688]",
        "37.5 [0.0, 84.4]",
        "75.0 [30.1, 95.4]",
        "0.503 [0.000, 1.017]",
    ]
    markdown = format_table(rows, "markdown").splitlines()
    assert markdown[1] == "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    assert markdown[2] == "| " + " | ".join(cells) + " |"
    assert "| scripted | four | visible | 1 |" in markdown[5]
    assert "| 0.000 |" in markdown[5], "one value has no interval"
    assert notes(rows) == ["scripted on four: 2 of 3 searches failed"]
    with pytest.raises(UnknownNameError, match="no table form is named 'html'"):
        format_table(rows, "html")


async def test_tasks_without_kinds_are_parted_by_category() -> None:
    plain = [Task("a", "?", HIT, ("x",), Category.SEARCH_FREE), Task("b", "?", HIT, ("x",))]
    bench = Bench(NamedTasks(plain, "plain"), Partly())
    rows = await evaluate({"n": make_agent("never_search")}, [bench], Play())
    labels = [line.split()[2] for line in format_table(rows).splitlines()[1:]]
    assert labels == ["all", "search_free", "unknown"]


async def test_agents_times_task_sets_and_the_files(tmp_path: Path) -> None:
    agents = {"oracle": make_agent("oracle"), "scripted": scripted}
    benches = [Bench(tasks("one"), Partly()), Bench(tasks("two"), Partly())]
    seen: list[tuple[str, str, int, int]] = []
    rows = await evaluate(
        agents,
        benches,
        Play(Rules(results=3)),
        out=tmp_path / "new" / "folder",
        settings={"seed": 7},
        progress=lambda *event: seen.append(event),
    )
    order = [(row.agent, row.tasks) for row in rows]
    assert order == [(a, t) for a in ("oracle", "scripted") for t in ("one", "two")]
    assert seen == [(a, t, n, 4) for a, t in order for n in (1, 2, 3, 4)]
    out = tmp_path / "new" / "folder"
    assert sorted(path.name for path in out.iterdir()) == [
        "results.json",
        "trajectories-oracle.jsonl",
        "trajectories-scripted.jsonl",
    ]
    document = json.loads((out / "results.json").read_text())
    assert document["settings"]["seed"] == 7
    assert document["settings"]["rules"]["results"] == 3
    assert document["settings"]["reward"]["search_penalty"] == 0.1
    assert {"versions", "commit"} <= document.keys()
    assert [(r["agent"], r["task_set"]) for r in document["results"]] == order
    accuracy = document["results"][0]["overall"]["accuracy"]
    assert accuracy == {"value": 1.0, "low": pytest.approx(0.5101, abs=1e-4), "high": 1.0}
    one_value = document["results"][0]["by_kind"]["visible"]["mean_reward"]
    assert one_value == {"value": 1.0, "low": None, "high": None}


async def test_a_record_tells_the_whole_episode(tmp_path: Path) -> None:
    await run(tmp_path, scripted=scripted)
    records = list(read_records(tmp_path / "trajectories-scripted.jsonl"))
    assert [record["task"]["id"] for record in records] == [f"four-{i}" for i in range(4)]
    first, _, broken, _ = records
    assert first["task"]["image"] == {
        "size": [8, 6],
        "mode": "RGB",
        "sha256": hashlib.sha256(bytes((0, 0, 0)) * 48).hexdigest(),
    }
    image_turn, text_turn, last = first["turns"]
    assert image_turn["action"]["kind"] == "search_image"
    (hit,) = image_turn["result"]["hits"]
    assert (hit["title"], hit["url"], hit["score"]) == ("A title", "https://x.example", None)
    assert hit["image"]["size"] == [5, 3]
    assert [block["type"] for block in image_turn["reply"]["content"]] == ["text", "image", "text"]
    assert text_turn["result"]["cause"] == "timeout"
    assert last["reply"] is None
    assert (first["reward"], first["reward_parts"]["penalty"]) == (pytest.approx(0.91), 0.9)
    assert broken["turns"][0]["text"].endswith("no action \ud800"), "as the model wrote it"
    assert (broken["stop_reason"], broken["format_kept"]) == ("malformed", False)


async def test_two_runs_write_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        random = make_agent("random", Circumstances(seed=3))
        await run(tmp_path / name, random=random, scripted=scripted)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


async def test_what_had_ended_is_kept_when_a_policy_raises(tmp_path: Path) -> None:
    class Fails(Scripted):
        async def respond(self, conversation: Conversation) -> str:
            if "Question 2?" in conversation[0].text:
                raise RuntimeError("out of order")
            return await super().respond(conversation)

    with pytest.raises(PolicyError, match="'four-2': RuntimeError: out of order"):
        await run(tmp_path, scripted=scripted, fails=lambda task: Fails())
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "trajectories-fails.partial.jsonl",
        "trajectories-scripted.jsonl",
    ]
    kept = list(read_records(tmp_path / "trajectories-fails.partial.jsonl"))
    assert [record["task"]["id"] for record in kept] == ["four-0", "four-1", "four-3"]
    await run(tmp_path, fails=scripted)
    assert not (tmp_path / "trajectories-fails.partial.jsonl").exists()


async def test_names_that_cannot_be_told_apart_are_refused(tmp_path: Path) -> None:
    bench = Bench(tasks(), Partly())
    with pytest.raises(InvalidSettingError, match="names must differ"):
        await evaluate({"n": scripted}, [bench, bench], Play())
    with pytest.raises(InvalidSettingError, match=r"must fit a file name, got '\.\./n'"):
        await evaluate({"../n": scripted}, [bench], Play())


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")

    def half() -> None:
        with replacing(path) as file:
            file.write("new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    assert path.read_text() == "old"
    with replacing(path) as file:
        file.write("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]


def test_records_are_read_back_and_bad_lines_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    records = [{"a": "\u2028\ud800\n"}, {"b": 1.5}]
    write_records(path, records)
    assert list(read_records(path)) == records
    path.write_text('{"a": 1}\n[2]\n')
    with pytest.raises(TaskDataError, match=r"x\.jsonl, line 2: expected an object, got list"):
        list(read_records(path))
    path.write_text("{\n")
    with pytest.raises(TaskDataError, match="line 1: not JSON"):
        list(read_records(path))
