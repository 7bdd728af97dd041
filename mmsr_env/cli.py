"""The command `mmsr`: finds the subcommand, runs it, and says in one line what went wrong."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from mmsr_env.errors import MMSRError

COMMANDS = (
    "mmsr_env.demo_command",
    "mmsr_env.eval_command",
    "mmsr_env.play_command",
    "mmsr_env.index_command",
)
"""A module for each subcommand. It has `add_parser(subparsers)`, which adds its parser with a
default `run`, a function of the parsed arguments that returns the exit status. Whatever is
slow to import it imports when it runs."""

WRONG_USE = 2
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line.

    Args:
        argv: The arguments after the command's name; those of this process by default.

    Returns:
        0; or 2 where something was used wrongly, which one line on the error output tells; or
        130 where it was interrupted.
    """
    arguments = build_parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
    except (MMSRError, OSError) as error:
        print(f"mmsr: error: {' '.join(str(error).split())}", file=sys.stderr)
        return WRONG_USE
    except KeyboardInterrupt:
        print("mmsr: interrupted", file=sys.stderr)
        return INTERRUPTED
    return status


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="mmsr", description="Multimodal search agents: an environment and its measures."
    )
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in COMMANDS:
        importlib.import_module(module).add_parser(subparsers)
    return parser
