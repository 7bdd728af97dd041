"""Task sets as JSON lines: the simplest form to write by hand or from a script.

One object a line: {"id", "question", "image", "answers"} and, where wanted, "category", "kind",
"source" and "metadata". The image is a path relative to the file, or a base64 data URI.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mmsr_env.errors import TaskDataError, UnknownNameError
from mmsr_env.pictures import encode_png, picture_problem
from mmsr_env.settings import check_names
from mmsr_env.tasks.files import FileTasks
from mmsr_env.tasks.rows import (
    FieldError,
    Row,
    answers_field,
    category_field,
    optional_text,
    text_field,
)
from mmsr_env.types import Task

_DATA_URI = re.compile(r"data:image/[\w.+-]+;base64,", re.IGNORECASE)
_PNG_URI = "data:image/png;base64,"
_FIELDS = ("id", "question", "image", "answers", "category", "kind", "source", "metadata")


def read_jsonl(path: str | Path, name: str = "") -> FileTasks:
    """The questions of one file of JSON lines.

    Args:
        path: The file. Empty lines are skipped.
        name: What the task set is called; by default the file's name without its ending.

    Raises:
        TaskDataError: The file is missing or empty, or a line does not fit; the message names
            the file, the line (from 1) and the field.
    """
    file = Path(path)
    rows: dict[str, Row] = {}
    for number, line in _lines(file):
        place = f"{file}, line {number}"
        try:
            row = _row(_object(line), file.parent, place)
            if row.id in rows:
                raise FieldError("id", f"{row.id!r} has come before")
        except FieldError as error:
            raise TaskDataError(f"{place}, field {error.field}: {error}") from None
        rows[row.id] = row
    if not rows:
        raise TaskDataError(f"{file} has no tasks")
    return FileTasks(name or file.stem, rows.values())


def write_tasks(path: str | Path, tasks: Iterable[Task]) -> int:
    """Write tasks as JSON lines, their pictures inside as PNG; `read_jsonl` reads them back.

    Args:
        path: The file to be written; one that is there is replaced.
        tasks: What is written. Its metadata must be JSON.

    Returns:
        How many tasks were written.

    Raises:
        TaskDataError: A task's metadata is not JSON.
    """
    count = 0
    with Path(path).open("w", encoding="utf-8", newline="\n") as file:
        for task in tasks:
            try:
                file.write(json.dumps(_record(task)) + "\n")
            except (TypeError, ValueError) as error:
                raise TaskDataError(f"task {task.id!r}, field metadata: {error}") from error
            count += 1
    return count


def _record(task: Task) -> dict[str, Any]:
    record = {
        "id": task.id,
        "question": task.question,
        "image": _PNG_URI + base64.b64encode(encode_png(task.image)).decode("ascii"),
        "answers": list(task.answers),
        "category": str(task.category),
        "kind": task.kind,
        "source": task.source,
        "metadata": dict(task.metadata),
    }
    return {key: value for key, value in record.items() if value not in ("", {})}


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not empty, each with its number from 1."""
    try:
        with file.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield number, line
    except UnicodeDecodeError as error:
        raise TaskDataError(f"{file} is not UTF-8 text: {error}") from error
    except OSError as error:
        raise TaskDataError(f"{file} cannot be read: {error.strerror}") from error


def _object(line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise FieldError("(whole line)", f"expected a JSON object; {error}") from None
    if not isinstance(record, dict):
        raise FieldError("(whole line)", f"expected an object, got {type(record).__name__}")
    try:
        check_names("field", record, _FIELDS)
    except UnknownNameError as error:
        raise FieldError("(names)", str(error)) from None
    return record


def _row(record: dict[str, Any], folder: Path, place: str) -> Row:
    answers = answers_field("answers", record.get("answers"))
    if not answers:
        raise FieldError("answers", "expected at least one answer, got none")
    metadata = record.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise FieldError("metadata", f"expected an object, got {type(metadata).__name__}")
    return Row(
        id=text_field("id", record.get("id")),
        question=text_field("question", record.get("question")),
        image=_image(text_field("image", record.get("image")), folder),
        answers=answers,
        category=category_field("category", record.get("category")),
        kind=optional_text("kind", record.get("kind")),
        source=optional_text("source", record.get("source")),
        place=place,
        metadata=metadata,
    )


def _image(image: str, folder: Path) -> bytes | Path:
    """The encoded picture of a data URI, or the path of a picture file, its header checked."""
    source: bytes | Path
    if found := _DATA_URI.match(image):
        try:
            source = base64.b64decode(image[found.end() :], validate=True)
        except ValueError as error:
            raise FieldError("image", f"not base64: {error}") from None
    elif image.startswith("data:"):
        raise FieldError("image", f"expected data:image/...;base64,..., got {image[:40]!r}")
    else:
        source = folder / image
        if not source.is_file():
            raise FieldError("image", f"no such file: {source}")
    if problem := picture_problem(source):
        raise FieldError("image", problem)
    return source
