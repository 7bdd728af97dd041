"""Task sets in FVQA's parquet form (MMSearch-R1, arXiv 2506.20670)."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mmsr_env.errors import MissingExtraError, TaskDataError
from mmsr_env.pictures import picture_problem
from mmsr_env.tasks.files import FileTasks, RowProblem
from mmsr_env.tasks.rows import (
    FieldError,
    Row,
    answers_field,
    category_field,
    optional_text,
    text_field,
)

_BATCH_ROWS = 256  # bounds what is held twice while a file is read
_IMAGE_MARK = "<image>"  # some copies of the data put the chat template's mark in the question
_SHOWN_PROBLEMS = 3


def read_fvqa(paths: str | Path | Iterable[str | Path], name: str = "") -> FileTasks:
    """The questions of one or more parquet files in FVQA's form.

    Encoded pictures are held in memory, as the files hold them. Rows that do not fit are left
    out, told of in a warning and listed in the task set's `problems`.

    Args:
        paths: A parquet file, a folder of them (read in the order of their names), or several.
        name: What the task set is called; by default the first path's name.

    Raises:
        TaskDataError: A file is missing or no parquet, a column is missing or of another type,
            or no row can be used.
        MissingExtraError: pyarrow is not installed.
    """
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    files = [file for path in given for file in _parquet_files(Path(path))]
    if not files:
        raise TaskDataError("expected the path of a parquet file or a folder, got none")
    rows: dict[str, Row] = {}
    problems: list[RowProblem] = []
    for file in files:
        _read(file, rows, problems)
    name = name or Path(given[0]).stem
    if problems or not rows:
        _report(name, len(rows), problems)
    return FileTasks(name, rows.values(), problems)


def _report(name: str, usable: int, problems: list[RowProblem]) -> None:
    """Warn of rows that do not fit; raise where there is no other."""
    first = "; ".join(map(str, problems[:_SHOWN_PROBLEMS]))
    summary = f"{name}: {len(problems)} of {usable + len(problems)} rows do not fit: {first}"
    if not usable:
        raise TaskDataError(summary if problems else f"{name} has no rows")
    more = "; ..." if len(problems) > _SHOWN_PROBLEMS else ""
    warnings.warn(f"{summary}{more} (all of them are in `problems`)", stacklevel=3)


def _parquet_files(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(path.glob("*.parquet"))
        if not files:
            raise TaskDataError(f"no .parquet file in {path}")
        return files
    if not path.is_file():
        raise TaskDataError(f"no such file: {path}")
    return [path]


def _read(file: Path, rows: dict[str, Row], problems: list[RowProblem]) -> None:
    """Add a file's rows to `rows`, by id, and what does not fit to `problems`."""
    number = 0
    for batch in _batches(file):
        for record in batch:
            try:
                row = _row(record, f"{file.name}, row {number}")
                if row.id in rows:
                    raise FieldError("data_id", f"{row.id!r} has come before")
                rows[row.id] = row
            except FieldError as error:
                problems.append(RowProblem(file.name, number, error.field, str(error)))
            number += 1


def _batches(file: Path) -> Iterator[list[dict[str, Any]]]:
    try:
        import pyarrow as pa  # type: ignore[import-untyped]
        import pyarrow.parquet as pq  # type: ignore[import-untyped]
    except ImportError:
        raise MissingExtraError("pyarrow", "data", "reading parquet files") from None
    from mmsr_env.tasks.fvqa_schema import check_schema

    try:
        with pq.ParquetFile(file) as parquet:
            columns = check_schema(parquet.schema_arrow, file.name)
            for batch in parquet.iter_batches(_BATCH_ROWS, columns=columns):
                yield batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise TaskDataError(f"{file} cannot be read as parquet: {error}") from error


def _row(record: Mapping[str, Any], place: str) -> Row:
    metadata = {"entity": record.get("entity"), "image_urls": record.get("image_urls")}
    return Row(
        id=text_field("data_id", record["data_id"]),
        question=_question(record["prompt"]),
        image=_image(record["images"]),
        answers=_answers(record["reward_model"]),
        category=category_field("category", record.get("category")),
        kind=optional_text("kind", record.get("kind")),
        source=optional_text("data_source", record.get("data_source")),
        place=place,
        metadata={key: value for key, value in metadata.items() if value is not None},
    )


def _question(prompt: Any) -> str:
    said = [m["content"] for m in prompt or () if m and m["role"] == "user"]
    if len(said) != 1:
        raise FieldError("prompt", f"expected one user message, got {len(said)}")
    question = text_field("prompt", said[0]).strip().removeprefix(_IMAGE_MARK).strip()
    return text_field("prompt", question)


def _image(images: Any) -> bytes:
    if not isinstance(images, list) or len(images) != 1:
        count = len(images) if isinstance(images, list) else 0
        raise FieldError("images", f"expected one picture, got {count}")
    data = images[0] and images[0]["bytes"]
    if not data:
        raise FieldError("images", "the picture has no bytes")
    if problem := picture_problem(data):
        raise FieldError("images", problem)
    return bytes(data)


def _answers(reward_model: Any) -> tuple[str, ...]:
    if reward_model is None:
        raise FieldError("reward_model", "expected a ground truth, got none")
    gold = text_field("reward_model.ground_truth", reward_model["ground_truth"])
    name = "reward_model.candidate_answers"
    others = reward_model.get("candidate_answers")
    if isinstance(others, str):
        others = _json_list(name, others) if others.strip() else None
    if isinstance(others, list):
        others = [other for other in others if other not in (None, "")]  # as good as not there
    return tuple(dict.fromkeys((gold, *answers_field(name, others or []))))


def _json_list(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise FieldError(name, f"expected a JSON list, got {text[:80]!r}") from None
