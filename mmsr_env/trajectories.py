"""Trajectories as JSON lines: everything to read an episode by, without its pictures' pixels."""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from PIL import Image
from PIL.Image import Image as Picture

from mmsr_env.errors import TaskDataError
from mmsr_env.types import Message, SearchResult, Trajectory, Turn


def to_record(trajectory: Trajectory) -> dict[str, Any]:
    """A trajectory as JSON values.

    A picture becomes `{"size": [width, height], "mode", "sha256"}`, the hash being that of its
    pixels. The timings are left out, so that equal episodes give equal records.
    """
    task = trajectory.task
    return {
        "task": {
            "id": task.id,
            "question": task.question,
            "answers": list(task.answers),
            "category": task.category.value,
            "kind": task.kind,
            "source": task.source,
            "image": _picture(task.image),
        },
        "opening": _message(trajectory.opening),
        "turns": [_turn(turn) for turn in trajectory.turns],
        "answer": trajectory.answer,
        "correct": trajectory.correct,
        "format_kept": trajectory.format_kept,
        "searches": trajectory.searches,
        "failed_searches": trajectory.failed_searches,
        "reward": trajectory.reward,
        "reward_parts": dict(trajectory.reward_parts),
        "stop_reason": trajectory.stop_reason.value,
    }


def without_pictures(trajectory: Trajectory) -> Trajectory:
    """The same trajectory with every picture left out, and one pixel as the task's.

    It is for keeping many: a task's picture may take megabytes.
    """
    task = replace(trajectory.task, image=Image.new("RGB", (1, 1)))
    turns = tuple(map(_turn_without_pictures, trajectory.turns))
    opening = _message_without_pictures(trajectory.opening)
    return replace(trajectory, task=task, opening=opening, turns=turns)


def write_records(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write JSON lines; the file is there whole or, where writing fails, as it was before."""
    with replacing(path) as file:
        for record in records:
            # Escaped, since a model may write lone surrogates, which UTF-8 cannot hold.
            file.write(json.dumps(record, allow_nan=False) + "\n")


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a file, one at a time.

    Raises:
        TaskDataError: A line is not a JSON object; the message names file and line.
    """
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                record = json.loads(line)
            except ValueError as error:
                raise TaskDataError(f"{path}, line {number}: not JSON: {error}") from error
            if not isinstance(record, dict):
                raise TaskDataError(
                    f"{path}, line {number}: expected an object, got {type(record).__name__}"
                )
            yield record


@contextmanager
def replacing(path: Path) -> Iterator[IO[str]]:
    """A file to write to that takes the place of `path` when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    new = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            yield file
        new.chmod(0o644)  # a temporary file is its owner's alone
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def _turn_without_pictures(turn: Turn) -> Turn:
    result, reply = turn.result, turn.reply
    if result is not None:
        result = replace(result, hits=tuple(replace(hit, image=None) for hit in result.hits))
    if reply is not None:
        reply = _message_without_pictures(reply)
    return replace(turn, result=result, reply=reply)


def _message_without_pictures(message: Message) -> Message:
    return Message(message.role, (message.text,))


def _turn(turn: Turn) -> dict[str, Any]:
    action = turn.action
    return {
        "text": turn.text,
        "action": {
            "kind": action.kind.value,
            "text": action.text,
            "reason": action.reason,
            "problem": action.problem,
        },
        "result": None if turn.result is None else _result(turn.result),
        "reply": None if turn.reply is None else _message(turn.reply),
    }


def _result(result: SearchResult) -> dict[str, Any]:
    return {
        "ok": result.ok,
        "cause": result.cause,
        "detail": result.detail,
        "hits": [
            {
                "title": hit.title,
                "url": hit.url,
                "text": hit.text,
                "score": hit.score if math.isfinite(hit.score) else None,
                "image": None if hit.image is None else _picture(hit.image),
            }
            for hit in result.hits
        ],
    }


def _message(message: Message) -> dict[str, Any]:
    content = [
        {"type": "text", "text": block}
        if isinstance(block, str)
        else {"type": "image", "image": _picture(block)}
        for block in message.content
    ]
    return {"role": message.role, "content": content}


def _picture(picture: Picture) -> dict[str, Any]:
    digest = hashlib.sha256(picture.tobytes()).hexdigest()
    return {"size": list(picture.size), "mode": picture.mode, "sha256": digest}
