"""The seam of task sets: a sequence of tasks with a name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Protocol, overload, runtime_checkable

from mmsr_env.errors import TaskDataError
from mmsr_env.types import Task

_TRAILING_NUMBER = re.compile(r"\d+\Z")


class UnknownTaskError(TaskDataError, LookupError):
    """A task set has no task with the id that was asked for."""


@runtime_checkable
class TaskSet(Protocol):
    """Where questions come from: a `Sequence[Task]` with a name.

    Task i is always the same task. A task set may make it when it is asked for, so iterating
    may cost more than its length tells. One that can find a task by its id without looking at
    all of them also has `index_of(task_id) -> int`, which raises `UnknownTaskError`.
    """

    @property
    def name(self) -> str:
        """What the task set is called in tables."""
        ...

    def __len__(self) -> int: ...

    @overload
    def __getitem__(self, index: int, /) -> Task: ...
    @overload
    def __getitem__(self, index: slice, /) -> Sequence[Task]: ...

    def __iter__(self) -> Iterator[Task]: ...


class NamedTasks(Sequence[Task]):
    """Any sequence of tasks, under a name.

    Args:
        tasks: The tasks; held, not copied.
        name: What they are called.
    """

    def __init__(self, tasks: Sequence[Task], name: str) -> None:
        self.tasks = tasks
        self.name = name

    def __len__(self) -> int:
        return len(self.tasks)

    @overload
    def __getitem__(self, index: int) -> Task: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Task]: ...
    def __getitem__(self, index: int | slice) -> Task | Sequence[Task]:
        return self.tasks[index]

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks)

    def index_of(self, task_id: str) -> int:
        """The place of the task with that id; as `find_task` finds it."""
        return find_task(self.tasks, task_id)

    def __repr__(self) -> str:
        return f"NamedTasks({self.name!r}, {len(self)} tasks)"


def named(tasks: Sequence[Task] | TaskSet, name: str) -> TaskSet:
    """The tasks as a task set: as they are if they have a name, else under the given one."""
    return tasks if isinstance(tasks, TaskSet) else NamedTasks(tasks, name)


def find_task(tasks: Sequence[Task] | TaskSet, task_id: str) -> int:
    """The place of the task with that id.

    Asks the task set if it can tell; else tries the number that the id ends in; else looks at
    every task.

    Raises:
        UnknownTaskError: No task has the id.
    """
    index_of = getattr(tasks, "index_of", None)
    if index_of is not None:
        return int(index_of(task_id))
    number = _TRAILING_NUMBER.search(task_id)
    if number and len(number[0]) < 10:  # so that it is an index at all
        place = int(number[0])
        if place < len(tasks) and tasks[place].id == task_id:
            return place
    for place in range(len(tasks)):
        if tasks[place].id == task_id:
            return place
    raise UnknownTaskError(f"none of the {len(tasks)} tasks has the id {task_id!r}")
