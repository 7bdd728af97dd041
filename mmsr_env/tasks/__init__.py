"""Where questions come from: Atlas, FVQA-form parquet and JSON lines, by name or path."""

from mmsr_env.tasks.base import NamedTasks, TaskSet, UnknownTaskError, find_task, named
from mmsr_env.tasks.files import FileTasks, RowProblem
from mmsr_env.tasks.fvqa import read_fvqa
from mmsr_env.tasks.jsonl import read_jsonl, write_tasks
from mmsr_env.tasks.loading import TASK_SETS, load_tasks

__all__ = [
    "TASK_SETS",
    "FileTasks",
    "NamedTasks",
    "RowProblem",
    "TaskSet",
    "UnknownTaskError",
    "find_task",
    "load_tasks",
    "named",
    "read_fvqa",
    "read_jsonl",
    "write_tasks",
]
