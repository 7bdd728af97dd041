"""`mmsr play`: a person plays an episode in the terminal."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from typing import Any

from mmsr_env.errors import InvalidSettingError
from mmsr_env.play_options import add_play_options, add_task_options, benches, play
from mmsr_env.protocol.grammar import Grammar
from mmsr_env.types import Action, ActionKind, Conversation, Task

_SHORT = {
    "/image": ActionKind.SEARCH_IMAGE,
    "/text": ActionKind.SEARCH_TEXT,
    "/answer": ActionKind.ANSWER,
}
_HELP = "/image, /text WORDS, /answer WORDS, or a whole message with its tags; Ctrl-D ends"


def add_parser(subparsers: Any) -> None:
    """Add the subcommand `play`."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "play",
        help="play an episode yourself",
        description=f"Answer a task's question in the terminal, a message a line: {_HELP}.",
    )
    parser.add_argument("--task", type=int, default=0, help="which task of the set, from 0")
    add_task_options(parser)
    add_play_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Play one episode; the end of the input ends it."""
    from mmsr_env.rendering import to_ansi
    from mmsr_env.rollout import PolicyError, run_episode

    how, bench = play(options), benches(options)[0]
    if not 0 <= options.task < len(bench.tasks):
        raise InvalidSettingError(
            f"--task must lie in [0, {len(bench.tasks) - 1}], got {options.task}"
        )
    task = bench.tasks[options.task]
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    person = _Person(task, how.grammar, colour)
    try:
        ended = asyncio.run(run_episode(how.begin(task), person, bench.search))
    except PolicyError as error:
        if not isinstance(error.__cause__, EOFError):
            raise
        print("\nleft before the end")
        return 0
    print(to_ansi(task, (), ended, colour))
    return 0


class _Person:
    """Shows what is new in the conversation, and reads a message from the input."""

    def __init__(self, task: Task, grammar: Grammar, colour: bool) -> None:
        self._task = task
        self._grammar = grammar
        self._colour = colour
        self._shown = 0

    async def respond(self, conversation: Conversation) -> str:
        from mmsr_env.rendering import to_ansi

        print(to_ansi(self._task, conversation[self._shown :], None, self._colour))
        self._shown = len(conversation)
        print(_HELP)
        return written_out(input("> "), self._grammar)


def written_out(line: str, grammar: Grammar) -> str:
    """A short command as the message that it stands for; any other line as it is."""
    word, _, rest = line.strip().partition(" ")
    kind = _SHORT.get(word)
    if kind is None:
        return line
    try:
        return grammar.render(Action(kind, "" if word == "/image" else rest.strip()))
    except InvalidSettingError:  # the words hold tags, so there is no such message
        return line
