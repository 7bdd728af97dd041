"""Tasks that were read from files, whatever the files' form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from mmsr_env.tasks.base import UnknownTaskError
from mmsr_env.tasks.rows import Row
from mmsr_env.types import Task


@dataclass(frozen=True, slots=True)
class RowProblem:
    """A row that was left out.

    Attributes:
        file: The file it is in.
        row: Its number in that file, from 0.
        column: The column that does not fit.
        problem: What was expected and what came.
    """

    file: str
    row: int
    column: str
    problem: str

    def __str__(self) -> str:
        return f"{self.file}, row {self.row}, column {self.column}: {self.problem}"


class FileTasks(Sequence[Task]):
    """A task set in memory; pictures stay encoded, and each is decoded when its task is wanted.

    Args:
        name: What the task set is called.
        rows: The tasks, their ids all different.
        problems: The rows that were left out.
    """

    def __init__(self, name: str, rows: Iterable[Row], problems: Iterable[RowProblem] = ()) -> None:
        self.name = name
        self.problems = tuple(problems)
        self._rows = tuple(rows)
        self._places = {row.id: place for place, row in enumerate(self._rows)}

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Task: ...
    @overload
    def __getitem__(self, index: slice) -> list[Task]: ...
    def __getitem__(self, index: int | slice) -> Task | list[Task]:
        """The task or tasks there.

        Raises:
            TaskDataError: A picture cannot be decoded.
        """
        if isinstance(index, slice):
            return [row.task() for row in self._rows[index]]
        return self._rows[index].task()

    def __iter__(self) -> Iterator[Task]:
        return (row.task() for row in self._rows)

    def index_of(self, task_id: str) -> int:
        """The place of the task with that id.

        Raises:
            UnknownTaskError: There is none.
        """
        try:
            return self._places[task_id]
        except KeyError:
            raise UnknownTaskError(f"{self.name} has no task with the id {task_id!r}") from None

    def __repr__(self) -> str:
        return f"FileTasks({self.name!r}, {len(self)} tasks, {len(self.problems)} problems)"
