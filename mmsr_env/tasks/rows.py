"""One question as a file keeps it: everything checked, its picture still encoded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmsr_env.errors import TaskDataError
from mmsr_env.pictures import decode_picture
from mmsr_env.types import Category, Task


class FieldError(ValueError):
    """A field of one row does not fit; the reader of the file says which row it is.

    Attributes:
        field: The field's name.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(problem)
        self.field = field


@dataclass(frozen=True, slots=True)
class Row:
    """A task whose picture is decoded when the task is asked for.

    Attributes:
        image: The encoded picture, or the file that holds it.
        place: Where the row is, for errors.

    The others are a `Task`'s.
    """

    id: str
    question: str
    image: bytes | Path
    answers: tuple[str, ...]
    category: Category
    kind: str
    source: str
    place: str
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def task(self) -> Task:
        """The task, its picture decoded.

        Raises:
            TaskDataError: The picture cannot be decoded.
        """
        try:
            image = decode_picture(self.image)
        except OSError as error:
            raise TaskDataError(f"{self.place}, task {self.id!r}: {error}") from error
        return Task(
            self.id,
            self.question,
            image,
            self.answers,
            self.category,
            self.kind,
            self.source,
            dict(self.metadata),
        )


def text_field(name: str, value: object) -> str:
    """A field that must be text with something in it.

    Raises:
        FieldError: It is not.
    """
    if not isinstance(value, str) or not value.strip():
        raise FieldError(name, f"expected text, got {_short(value)}")
    return value


def optional_text(name: str, value: object) -> str:
    """A field that may be text or missing; "" where it is missing.

    Raises:
        FieldError: It is something else.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise FieldError(name, f"expected text or nothing, got {_short(value)}")
    return value


def category_field(name: str, value: object) -> Category:
    """FVQA's label; UNKNOWN where it is missing or empty.

    Raises:
        FieldError: It is no label that there is.
    """
    label = optional_text(name, value)
    if not label:
        return Category.UNKNOWN
    if label not in tuple(Category):
        known = ", ".join(Category)
        raise FieldError(name, f"expected one of {known}, got {_short(value)}")
    return Category(label)


def answers_field(name: str, values: object) -> tuple[str, ...]:
    """Answers in their order, each once; numbers are taken as they are written.

    Raises:
        FieldError: It is no list of texts and numbers, or an answer is empty.
    """
    if not isinstance(values, list | tuple):
        raise FieldError(name, f"expected a list of answers, got {_short(values)}")
    answers = []
    for value in values:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        answers.append(text_field(name, str(value) if number else value))
    return tuple(dict.fromkeys(answers))


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."
