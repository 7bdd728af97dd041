"""Reading parquet files in FVQA's form: what is taken, what is reported, what fails."""

import io
import json
import pickle
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mmsr_env.errors import TaskDataError
from mmsr_env.tasks import TaskSet, UnknownTaskError, read_fvqa
from mmsr_env.types import Category

FLAGS = Path(__file__).parents[4] / "shared" / "data" / "flags"


def encoded(colour=(200, 30, 40), size=(24, 16), form="PNG"):
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, form)
    return buffer.getvalue()


def row(number=0, **changes):
    record = {
        "prompt": [{"content": f"What is number {number}?", "role": "user"}],
        "images": [{"bytes": encoded((number, 30, 40))}],
        "reward_model": {
            "ground_truth": f"Gold {number}",
            "candidate_answers": json.dumps([f"gold{number}", "other"]),
            "style": "rule",
        },
        "data_source": "mmsearch_r1/fvqa_train",
        "image_urls": None,
        "data_id": f"fvqa_train_{number}",
        "category": "search_required" if number % 2 else "search_free",
    }
    return {**record, **changes}


SCHEMA = pa.schema(
    {
        "prompt": pa.list_(pa.struct({"content": pa.string(), "role": pa.string()})),
        "images": pa.list_(pa.struct({"bytes": pa.binary()})),
        "reward_model": pa.struct(
            {
                "ground_truth": pa.string(),
                "candidate_answers": pa.string(),
                "style": pa.string(),
            }
        ),
        "data_source": pa.string(),
        "image_urls": pa.null(),
        "data_id": pa.string(),
        "category": pa.string(),
    }
)


@pytest.fixture
def write(tmp_path):
    def write(rows, name="data.parquet", schema=SCHEMA):
        path = tmp_path / name
        kept = [{key: r.get(key) for key in schema.names} for r in rows]
        pq.write_table(pa.Table.from_pylist(kept, schema=schema), path)
        return path

    return write


def candidates(value):
    return {"ground_truth": "Gold", "candidate_answers": value, "style": "rule"}


def replaced(schema, name, type_):
    return schema.set(schema.get_field_index(name), pa.field(name, type_))


def without(schema, name):
    return schema.remove(schema.get_field_index(name))


def with_candidates(type_):
    return replaced(
        SCHEMA,
        "reward_model",
        pa.struct({"ground_truth": pa.string(), "candidate_answers": type_}),
    )


def test_every_field_arrives(write):
    tasks = read_fvqa(write([row(0), row(1)]))
    task = tasks[1]
    assert (task.id, task.question) == ("fvqa_train_1", "What is number 1?")
    assert task.answers == ("Gold 1", "gold1", "other")
    assert task.category is Category.SEARCH_REQUIRED
    assert tasks[0].category is Category.SEARCH_FREE
    assert task.source == "mmsearch_r1/fvqa_train"
    assert (task.kind, task.metadata) == ("", {})
    assert (task.image.mode, task.image.size) == ("RGB", (24, 16))
    assert task.image.getpixel((3, 3)) == (1, 30, 40)


def test_it_is_a_task_set(write):
    tasks = read_fvqa(write([row(i) for i in range(600)]))
    assert isinstance(tasks, TaskSet)
    assert (tasks.name, len(tasks), tasks.problems) == ("data", 600, ())
    assert [task.id for task in tasks] == [f"fvqa_train_{i}" for i in range(600)]
    assert [task.id for task in tasks[5:8]] == [f"fvqa_train_{i}" for i in (5, 6, 7)]
    assert tasks[-1].id == "fvqa_train_599"
    with pytest.raises(IndexError):
        tasks[600]


def test_a_task_is_found_by_its_id(write):
    tasks = read_fvqa(write([row(3), row(9)]))
    assert tasks.index_of("fvqa_train_9") == 1
    with pytest.raises(UnknownTaskError, match="fvqa_train_4"):
        tasks.index_of("fvqa_train_4")


def test_the_test_set_has_no_category(write):
    tasks = read_fvqa(write([row(0)], schema=without(SCHEMA, "category")))
    assert tasks[0].category is Category.UNKNOWN


def test_further_columns_become_kind_and_metadata(write):
    schema = SCHEMA.append(pa.field("kind", pa.string())).append(pa.field("entity", pa.string()))
    task = read_fvqa(write([row(0, kind="name", entity="ZW")], schema=schema))[0]
    assert (task.kind, task.metadata) == ("name", {"entity": "ZW"})


def test_image_urls_are_kept_where_there_are_any(write):
    schema = replaced(SCHEMA, "image_urls", pa.list_(pa.string()))
    task = read_fvqa(write([row(0, image_urls=["https://a.example/x.jpg"])], schema=schema))[0]
    assert task.metadata == {"image_urls": ["https://a.example/x.jpg"]}


@pytest.mark.parametrize("content", ["<image>Who?", "<image>\nWho?", " <image> Who? ", "Who?"])
def test_the_picture_mark_is_no_part_of_the_question(write, content):
    prompt = [{"content": content, "role": "user"}]
    assert read_fvqa(write([row(0, prompt=prompt)]))[0].question == "Who?"


def test_a_system_message_is_no_part_of_the_question(write):
    prompt = [{"content": "Be brief.", "role": "system"}, {"content": "Who?", "role": "user"}]
    assert read_fvqa(write([row(0, prompt=prompt)]))[0].question == "Who?"


@pytest.mark.parametrize(
    ("given", "answers"),
    [
        ("[]", ("Gold",)),
        ("", ("Gold",)),
        (" ", ("Gold",)),
        (None, ("Gold",)),
        ('["a", "b", "a", "Gold"]', ("Gold", "a", "b")),
        ('["", null, "a"]', ("Gold", "a")),
        ("[1889, 2.5]", ("Gold", "1889", "2.5")),
        ('["\\u014csaka"]', ("Gold", "Ōsaka")),
    ],
)
def test_candidate_answers_in_a_string(write, given, answers):
    assert read_fvqa(write([row(0, reward_model=candidates(given))]))[0].answers == answers


@pytest.mark.parametrize("given", [["a", "b"], [], None])
def test_candidate_answers_as_a_list(write, given):
    schema = with_candidates(pa.list_(pa.string()))
    tasks = read_fvqa(write([row(0, reward_model=candidates(given))], schema=schema))
    assert tasks[0].answers == ("Gold", *(given or []))


def test_candidate_answers_may_be_null_in_the_whole_file(write):
    schema = with_candidates(pa.null())
    tasks = read_fvqa(write([row(0, reward_model=candidates(None))], schema=schema))
    assert tasks[0].answers == ("Gold",)


def oversized():
    header = encoded(size=(1, 1))
    size = (60_000).to_bytes(4, "big") * 2  # IHDR's width and height; its checksum is not read
    return header[:16] + size + header[24:]


BAD = [
    ("data_id", {"data_id": None}),
    ("data_id", {"data_id": "  "}),
    ("data_id", {"data_id": "fvqa_train_0"}),  # which has come before
    ("prompt", {"prompt": None}),
    ("prompt", {"prompt": []}),
    ("prompt", {"prompt": [{"content": "Who?", "role": "assistant"}]}),
    ("prompt", {"prompt": [{"content": "A?", "role": "user"}, {"content": "B?", "role": "user"}]}),
    ("prompt", {"prompt": [{"content": None, "role": "user"}]}),
    ("prompt", {"prompt": [{"content": "<image>", "role": "user"}]}),
    ("images", {"images": None}),
    ("images", {"images": []}),
    ("images", {"images": [{"bytes": encoded()}, {"bytes": encoded()}]}),
    ("images", {"images": [{"bytes": None}]}),
    ("images", {"images": [None]}),
    ("images", {"images": [{"bytes": b""}]}),
    ("images", {"images": [{"bytes": b"no picture at all"}]}),
    ("images", {"images": [{"bytes": oversized()}]}),
    ("reward_model", {"reward_model": None}),
    ("reward_model.ground_truth", {"reward_model": {"ground_truth": None}}),
    ("reward_model.ground_truth", {"reward_model": {"ground_truth": ""}}),
    ("reward_model.candidate_answers", {"reward_model": candidates("not JSON")}),
    ("reward_model.candidate_answers", {"reward_model": candidates('{"a": 1}')}),
    ("reward_model.candidate_answers", {"reward_model": candidates('"text"')}),
    ("reward_model.candidate_answers", {"reward_model": candidates('[["a"]]')}),
    ("reward_model.candidate_answers", {"reward_model": candidates("[true]")}),
    ("category", {"category": "search_perhaps"}),
]


@pytest.mark.parametrize(("column", "changes"), BAD)
def test_a_row_that_does_not_fit_is_reported_and_the_rest_is_usable(write, column, changes):
    path = write([row(0), row(1, **changes), row(2)])
    with pytest.warns(UserWarning, match="1 of 3 rows do not fit") as caught:
        tasks = read_fvqa(path)
    assert len(caught) == 1
    assert [task.id for task in tasks] == ["fvqa_train_0", "fvqa_train_2"]
    (problem,) = tasks.problems
    assert (problem.file, problem.row, problem.column) == ("data.parquet", 1, column)
    assert f"row 1, column {column}: " in str(problem)
    assert str(problem) in str(caught[0].message)


def test_many_problems_give_one_short_warning(write):
    rows = [row(i, **({"images": []} if i % 3 else {})) for i in range(900)]
    with pytest.warns(UserWarning, match="600 of 900 rows") as caught:
        tasks = read_fvqa(write(rows))
    assert len(caught) == 1
    assert len(str(caught[0].message)) < 600
    assert [problem.row for problem in tasks.problems] == [i for i in range(900) if i % 3]


def test_a_file_without_a_usable_row_fails(write):
    with pytest.raises(TaskDataError, match="row 0, column images"):
        read_fvqa(write([row(0, images=[])]))
    with pytest.raises(TaskDataError, match="no rows"):
        read_fvqa(write([]))


@pytest.mark.parametrize("name", ["prompt", "images", "reward_model", "data_id"])
def test_a_missing_column_fails_by_its_name(write, name):
    path = write([row(0)], schema=without(SCHEMA, name))
    with pytest.raises(TaskDataError, match=rf"data.parquet .*: {name} is missing$"):
        read_fvqa(path)


@pytest.mark.parametrize(
    ("name", "type_", "value"),
    [
        ("prompt", pa.string(), "Who?"),
        ("prompt", pa.list_(pa.string()), ["Who?"]),
        ("images", pa.list_(pa.binary()), [b"x"]),
        ("images", pa.list_(pa.struct({"path": pa.string()})), [{"path": "x"}]),
        ("reward_model", pa.string(), "Gold"),
        ("reward_model", pa.struct({"answer": pa.string()}), {"answer": "Gold"}),
        ("data_id", pa.int64(), 3),
        ("category", pa.int64(), 1),
        ("data_source", pa.list_(pa.string()), ["x"]),
    ],
)
def test_a_retyped_column_fails_by_its_name_and_type(write, name, type_, value):
    path = write([row(0, **{name: value})], schema=replaced(SCHEMA, name, type_))
    with pytest.raises(TaskDataError, match=f"{name} should be .* but is") as caught:
        read_fvqa(path)
    assert str(type_).replace("<item:", "<element:") in str(caught.value)


def test_every_wrong_column_is_named_at_once(write):
    schema = replaced(without(SCHEMA, "images"), "data_id", pa.int64())
    with pytest.raises(TaskDataError, match=r"images is missing; data_id should be text"):
        read_fvqa(write([row(0, data_id=3)], schema=schema))


def test_other_types_of_text_bytes_and_lists_are_taken(write):
    text = pa.large_string()
    schema = pa.schema(
        {
            "prompt": pa.large_list(pa.struct({"content": text, "role": text})),
            "images": pa.list_(pa.struct({"bytes": pa.large_binary(), "path": text})),
            "reward_model": pa.struct({"ground_truth": text, "candidate_answers": text}),
            "data_id": text,
            "category": pa.dictionary(pa.int32(), pa.string()),
        }
    )
    task = read_fvqa(write([row(1)], schema=schema))[0]
    assert (task.question, task.category) == ("What is number 1?", Category.SEARCH_REQUIRED)


def test_several_files_and_folders_are_one_task_set(write, tmp_path):
    write([row(2), row(3)], "b.parquet")
    write([row(0), row(1)], "a.parquet")
    (tmp_path / "notes.txt").write_text("not a parquet file")
    expected = [f"fvqa_train_{i}" for i in range(4)]
    assert [task.id for task in read_fvqa(tmp_path)] == expected
    listed = read_fvqa([tmp_path / "b.parquet", str(tmp_path / "a.parquet")], name="both")
    assert [task.id for task in listed] == [expected[i] for i in (2, 3, 0, 1)]
    assert listed.name == "both"


def test_paths_that_lead_nowhere_fail(tmp_path):
    with pytest.raises(TaskDataError, match="no such file"):
        read_fvqa(tmp_path / "none.parquet")
    with pytest.raises(TaskDataError, match=r"no \.parquet file"):
        read_fvqa(tmp_path)
    with pytest.raises(TaskDataError, match="got none"):
        read_fvqa([])
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 this is none")
    with pytest.raises(TaskDataError, match="cannot be read as parquet"):
        read_fvqa(tmp_path / "bad.parquet")


def test_a_picture_broken_behind_its_header_fails_when_it_is_wanted(write):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    tasks = read_fvqa(write([row(0, images=[{"bytes": buffer.getvalue()[:2000]}]), row(1)]))
    with pytest.raises(TaskDataError, match=r"data.parquet, row 0, task 'fvqa_train_0'"):
        tasks[0]
    assert tasks[1].id == "fvqa_train_1"


def test_pictures_come_upright_and_in_rgb(write):
    left, right = (255, 0, 0), (0, 0, 255)
    picture = Image.new("RGB", (2, 1))
    picture.putdata([left, right])
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    turned, clear, grey = io.BytesIO(), io.BytesIO(), io.BytesIO()
    picture.save(turned, "PNG", exif=exif)
    Image.new("RGBA", (3, 3), (0, 0, 0, 0)).save(clear, "PNG")
    Image.new("L", (3, 3), 7).save(grey, "PNG")
    buffers = (turned, clear, grey)
    rows = [row(i, images=[{"bytes": b.getvalue()}]) for i, b in enumerate(buffers)]
    images = [task.image for task in read_fvqa(write(rows))]
    assert [images[0].getpixel((x, 0)) for x in (0, 1)] == [right, left]
    assert images[1].getpixel((1, 1)) == (255, 255, 255)
    assert images[2].getpixel((1, 1)) == (7, 7, 7)
    assert {image.mode for image in images} == {"RGB"}


def test_the_same_task_is_the_same_each_time_and_after_pickling(write):
    tasks = read_fvqa(write([row(0), row(1)]))
    again = pickle.loads(pickle.dumps(tasks))
    assert tasks[1] == tasks[1] == again[1]
    assert again.index_of("fvqa_train_1") == 1


@pytest.mark.skipif(not FLAGS.is_dir(), reason="the flags data set is not here")
def test_the_flags_questions_load_without_a_problem():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train, test = (read_fvqa(FLAGS / f"flags_{name}.parquet") for name in ("train", "test"))
    assert (len(train), len(test)) == (1200, 400)
    free = sum(task.category is Category.SEARCH_FREE for task in train)
    assert 0.25 < free / 1200 < 0.42
    assert all(task.kind and task.answers and task.metadata["entity"] for task in test)
    assert len(read_fvqa(FLAGS)) == 1600
