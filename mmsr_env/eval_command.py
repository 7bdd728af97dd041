"""`mmsr eval`: the table of agents and task sets."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from mmsr_env.play_options import add_play_options, add_task_options, benches, play, task_settings

_DEFAULT_AGENTS = ("oracle", "reader", "never_search", "always_search", "random")


def add_parser(subparsers: Any) -> None:
    """Add the subcommand `eval`."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "eval",
        help="let agents work on task sets and print how they do",
        description="Accuracy, searching and reward of agents on task sets, with 95 % intervals.",
    )
    parser.add_argument(
        "--agent",
        action="append",
        metavar="NAME",
        help=f"an agent; may be repeated; the default is {', '.join(_DEFAULT_AGENTS)}",
    )
    add_task_options(parser)
    add_play_options(parser)
    parser.add_argument("--limit", type=int, default=256, help="episodes at a time")
    parser.add_argument("--format", default="text", choices=("text", "markdown"))
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="write results.json and all trajectories there"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Evaluate, print the table, and say where the files are."""
    from mmsr_env.agents.registry import Circumstances, make_agent
    from mmsr_env.evaluation import evaluate
    from mmsr_env.table import format_table, notes

    how = play(options)
    given = Circumstances(how.grammar, how.rules, options.seed)
    names = dict.fromkeys(options.agent or _DEFAULT_AGENTS)
    agents = {name: make_agent(name, given) for name in names}
    rows = asyncio.run(
        evaluate(
            agents,
            benches(options),
            how,
            out=options.out,
            limit=options.limit,
            settings=task_settings(options),
            progress=_show if sys.stderr.isatty() else None,
        )
    )
    print("\n".join([format_table(rows, options.format), *notes(rows)]))
    if options.out is not None:
        print(f"written to {options.out}", file=sys.stderr)
    return 0


def _show(agent: str, tasks: str, ended: int, total: int) -> None:
    """Keep one line of the terminal up to date."""
    end = "\n" if ended == total else ""
    print(f"\r{agent} on {tasks}: {ended}/{total}\x1b[K", end=end, file=sys.stderr, flush=True)
