"""Task sets as JSON lines: written and read back, and errors that say where."""

import base64
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mmsr_env.errors import TaskDataError
from mmsr_env.tasks import TaskSet, read_jsonl, write_tasks
from mmsr_env.types import Category, Task

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)


def png(colour=(1, 2, 3)):
    buffer = io.BytesIO()
    Image.new("RGB", (5, 4), colour).save(buffer, "PNG")
    return buffer.getvalue()


URI = "data:image/png;base64," + base64.b64encode(png()).decode()
GOOD = {"id": "a", "question": "Who?", "image": URI, "answers": ["x"]}


def write_lines(path, *records):
    lines = (r if isinstance(r, str) else json.dumps(r) for r in records)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def task(**changes):
    picture = Image.new("RGB", (7, 3), (10, 20, 30))
    picture.putpixel((2, 1), (200, 100, 0))
    given = {"id": "t", "question": "Who?", "image": picture, "answers": ("x", "y")}
    return Task(**{**given, **changes})


@given(
    question=TEXT,
    answers=st.lists(TEXT, min_size=1, unique=True),
    category=st.sampled_from(Category),
    kind=st.one_of(st.just(""), TEXT),
    source=st.one_of(st.just(""), TEXT),
    metadata=st.dictionaries(TEXT, st.one_of(TEXT, st.integers(), st.none())),
)
def test_what_is_written_is_read_back(tmp_path_factory, question, answers, **rest):
    path = tmp_path_factory.mktemp("jsonl") / "tasks.jsonl"
    written = [task(id=i, question=question, answers=tuple(answers), **rest) for i in ("a", "b")]
    assert write_tasks(path, written) == 2
    tasks = read_jsonl(path)
    assert list(tasks) == written


def test_writing_twice_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_tasks(tmp_path / name, [task()])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_metadata_that_is_not_json_fails(tmp_path):
    with pytest.raises(TaskDataError, match="task 't', field metadata"):
        write_tasks(tmp_path / "x.jsonl", [task(metadata={"a": object()})])


def test_the_least_that_a_line_needs(tmp_path):
    tasks = read_jsonl(write_lines(tmp_path / "mine.jsonl", GOOD))
    assert isinstance(tasks, TaskSet)
    assert (tasks.name, len(tasks)) == ("mine", 1)
    assert tasks[0] == Task("a", "Who?", Image.new("RGB", (5, 4), (1, 2, 3)), ("x",))


def test_a_picture_file_is_found_beside_the_file(tmp_path, monkeypatch):
    (tmp_path / "data" / "pictures").mkdir(parents=True)
    (tmp_path / "data" / "pictures" / "one.png").write_bytes(png((9, 8, 7)))
    record = {**GOOD, "image": "pictures/one.png"}
    path = write_lines(tmp_path / "data" / "tasks.jsonl", record)
    monkeypatch.chdir(tmp_path)
    assert read_jsonl(path)[0].image.getpixel((0, 0)) == (9, 8, 7)
    assert read_jsonl("data/tasks.jsonl")[0].image.size == (5, 4)


def test_empty_lines_and_a_byte_order_mark_are_passed_over(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(GOOD).encode() + b"\r\n\r\n  \n")
    assert len(read_jsonl(path)) == 1


BAD = [
    ("id", {"id": None}),
    ("id", {"id": 3}),
    ("id", {"id": "first"}),  # which has come before
    ("question", {"question": " "}),
    ("question", {"question": ["Who?"]}),
    ("answers", {"answers": []}),
    ("answers", {"answers": "x"}),
    ("answers", {"answers": None}),
    ("answers", {"answers": ["x", ""]}),
    ("answers", {"answers": [None]}),
    ("image", {"image": None}),
    ("image", {"image": "no/such/file.png"}),
    ("image", {"image": "a\x00b"}),
    ("image", {"image": "."}),
    ("image", {"image": "data:image/png;base64,####"}),
    ("image", {"image": "data:image/png;base64,aGVsbG8="}),
    ("image", {"image": "data:text/plain,hello"}),
    ("category", {"category": "hard"}),
    ("kind", {"kind": 3}),
    ("source", {"source": {}}),
    ("metadata", {"metadata": [1]}),
]


@pytest.mark.parametrize(("field", "changes"), BAD)
def test_an_error_names_file_line_and_field(tmp_path, field, changes):
    path = write_lines(tmp_path / "x.jsonl", {**GOOD, "id": "first"}, "", {**GOOD, **changes})
    with pytest.raises(TaskDataError) as caught:
        read_jsonl(path)
    assert str(caught.value).startswith(f"{path}, line 3, field {field}: ")


def test_a_misspelt_field_is_met_with_the_nearest(tmp_path):
    path = write_lines(tmp_path / "x.jsonl", {**GOOD, "categry": "search_free"})
    with pytest.raises(TaskDataError, match=r"line 1, .*'categry'.*Did you mean 'category'"):
        read_jsonl(path)


@pytest.mark.parametrize("line", ["{", "[]", '"text"', "3", "null", "[" * 100_000])
def test_a_line_that_is_no_object_fails(tmp_path, line):
    with pytest.raises(TaskDataError, match="line 1"):
        read_jsonl(write_lines(tmp_path / "x.jsonl", line))


def test_files_that_cannot_be_read_fail(tmp_path):
    with pytest.raises(TaskDataError, match="cannot be read"):
        read_jsonl(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(TaskDataError, match="no tasks"):
        read_jsonl(tmp_path / "empty.jsonl")
    (tmp_path / "latin.jsonl").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(TaskDataError, match="not UTF-8"):
        read_jsonl(tmp_path / "latin.jsonl")


def test_a_picture_file_that_went_away_fails_when_it_is_wanted(tmp_path):
    (tmp_path / "one.png").write_bytes(png())
    tasks = read_jsonl(write_lines(tmp_path / "x.jsonl", {**GOOD, "image": "one.png"}))
    (tmp_path / "one.png").unlink()
    with pytest.raises(TaskDataError, match="line 1, task 'a'"):
        tasks[0]
