"""The seam of task sets, finding tasks by id, and task sets by name or path."""

import pytest
from PIL import Image

from mmsr_env.atlas import AtlasTasks, World
from mmsr_env.errors import InvalidSettingError, TaskDataError, UnknownNameError
from mmsr_env.tasks import (
    TASK_SETS,
    NamedTasks,
    TaskSet,
    UnknownTaskError,
    find_task,
    load_tasks,
    named,
    write_tasks,
)
from mmsr_env.types import Task

PICTURE = Image.new("RGB", (4, 4))


def task(id_):
    return Task(id_, "Who?", PICTURE, ("x",))


class Counted(list):
    """A list of tasks that counts how often it was asked for one."""

    asked = 0

    def __getitem__(self, index):
        self.asked += 1
        return super().__getitem__(index)


def test_a_sequence_becomes_a_task_set_by_getting_a_name():
    tasks = [task("a"), task("b")]
    assert not isinstance(tasks, TaskSet)
    tasks_named = named(tasks, "mine")
    assert isinstance(tasks_named, TaskSet)
    assert (tasks_named.name, len(tasks_named)) == ("mine", 2)
    assert list(tasks_named) == tasks
    assert tasks_named[1] is tasks[1]
    assert tasks_named[:1] == tasks[:1]
    assert named(tasks_named, "other") is tasks_named


@pytest.mark.parametrize("wrap", [lambda tasks: tasks, lambda tasks: NamedTasks(tasks, "n")])
def test_a_task_is_found_by_id_wherever_it_is(wrap):
    tasks = wrap([task("x"), task("q-2"), task("q-1"), task("q-99999999999999")])
    for place, one in enumerate(tasks):
        assert find_task(tasks, one.id) == place
    for absent in ("q-3", "q-0", "", "1", "q"):
        with pytest.raises(UnknownTaskError, match="none of the 4 tasks"):
            find_task(tasks, absent)


def test_an_id_that_ends_in_its_index_is_found_at_once():
    tasks = Counted(task(f"set-{i}") for i in range(1000))
    assert find_task(tasks, "set-900") == 900
    assert tasks.asked == 1


def test_an_unknown_task_is_also_a_lookup_error():
    with pytest.raises(LookupError):
        find_task([task("a")], "b")


def test_atlas_by_name_is_the_same_as_atlas_by_hand():
    world = {"size": 300, "seed": 4, "difficulty": "hard"}
    tasks = load_tasks("atlas", world=world, split="test", count=20, seed=3, mix={"visible": 1})
    by_hand = load_tasks("atlas", world=World(300, 4), split="test", count=20, seed=3)
    assert isinstance(tasks, TaskSet)
    assert (tasks.name, len(tasks)) == ("atlas-test", 20)
    assert {one.kind for one in tasks} == {"visible"}
    assert list(by_hand) == list(AtlasTasks(World(300, 4), "test", 20, 3))
    assert len(load_tasks("atlas")) > 10_000
    assert find_task(tasks, "atlas-test-3-17") == 17


def test_a_path_is_read_by_its_ending(tmp_path):
    path = tmp_path / "mine.JSONL"
    write_tasks(path, [task("a"), task("b")])
    for tasks in (load_tasks(path), load_tasks(str(path)), load_tasks("jsonl", path=path)):
        assert (tasks.name, [one.id for one in tasks]) == ("mine", ["a", "b"])
    assert load_tasks(path, name="other").name == "other"


@pytest.mark.parametrize("spec", ["nothing.parquet", "nothing.jsonl"])
def test_a_file_that_is_not_there_fails(spec):
    with pytest.raises(TaskDataError, match="nothing"):
        load_tasks(spec)


def test_a_file_of_another_kind_fails(tmp_path):
    (tmp_path / "x.csv").write_text("a,b")
    with pytest.raises(TaskDataError, match=r"\.parquet, \.jsonl"):
        load_tasks(tmp_path / "x.csv")


def test_unknown_names_are_met_with_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'atlas'"):
        load_tasks("atlass")
    with pytest.raises(UnknownNameError, match="Did you mean 'split'"):
        load_tasks("atlas", splitt="test")
    with pytest.raises(UnknownNameError, match="Did you mean 'difficulty'"):
        load_tasks("atlas", world={"dificulty": "easy"})
    with pytest.raises(UnknownNameError, match="Did you mean 'medium'"):
        load_tasks("atlas", world={"difficulty": "medum"})
    with pytest.raises(UnknownNameError, match="Did you mean 'lookalikes'"):
        load_tasks("atlas", world={"difficulty": {"lookalike": 3}})
    with pytest.raises(UnknownNameError, match="setting of task set 'jsonl'"):
        load_tasks("x.jsonl", split="test")


def test_wrong_values_fail():
    with pytest.raises(InvalidSettingError, match="needs the setting 'path'"):
        load_tasks("fvqa")
    with pytest.raises(InvalidSettingError, match=r"world\.size"):
        load_tasks("atlas", world={"size": 1})
    with pytest.raises(InvalidSettingError, match="world"):
        load_tasks("atlas", world={"size": "large"})
    with pytest.raises(InvalidSettingError, match="world must be a mapping or a World"):
        load_tasks("atlas", world=3)


def test_every_name_is_documented():
    assert all(f'"{name}"' in load_tasks.__doc__ for name in TASK_SETS)
