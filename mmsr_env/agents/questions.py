"""Understanding Atlas's questions about facts, from the message that asks one."""

from __future__ import annotations

import re
from typing import NamedTuple

from mmsr_env.types import Message

_FACT = re.compile(r"What is the (?P<attribute>\w+) of (?P<subject>[^?\n]+)\?\s*\Z")
_LABEL = "Question:"


class FactQuestion(NamedTuple):
    """A question about a fact.

    Attributes:
        attribute: What is asked for.
        name: Whose it is; "" where the question means what the picture shows.
    """

    attribute: str
    name: str


def question_of(message: Message) -> str:
    """The question at the end of a first message, without the instructions before it."""
    return message.text.rpartition(_LABEL)[2].strip()


def fact_asked(question: str) -> FactQuestion | None:
    """What a question about a fact asks for; None where it is another sort of question."""
    found = _FACT.search(question)
    if found is None:
        return None
    subject = found["subject"].strip()
    return FactQuestion(found["attribute"], "" if subject.startswith("this ") else subject)
