"""The agents by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

from mmsr_env.agents.random_text import RandomText
from mmsr_env.agents.reader import Reader
from mmsr_env.agents.scripted import AlwaysSearch, NeverSearch, Oracle
from mmsr_env.errors import UnknownNameError
from mmsr_env.protocol.grammar import Grammar, MMSearchR1Grammar
from mmsr_env.rollout import Agent, Policy
from mmsr_env.rules import Rules
from mmsr_env.types import Task


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What an agent may be made from, besides the task.

    Attributes:
        grammar: How actions are written.
        rules: The limits of the episodes.
        seed: For agents that draw.
    """

    grammar: Grammar = field(default_factory=MMSearchR1Grammar)
    rules: Rules = field(default_factory=Rules)
    seed: int = 0


AgentRow: TypeAlias = Callable[[Circumstances], Agent]
"""One row of the registry: the agent for the given circumstances."""


def _oracle(given: Circumstances) -> Agent:
    return lambda task: Oracle(task, given.grammar, given.rules)


def _reader(given: Circumstances) -> Agent:
    return _shared(Reader(given.grammar))


def _never_search(given: Circumstances) -> Agent:
    return _shared(NeverSearch(given.grammar))


def _always_search(given: Circumstances) -> Agent:
    return _shared(AlwaysSearch(given.grammar))


def _random(given: Circumstances) -> Agent:
    return lambda task: RandomText(task, given.grammar, given.seed)


def _shared(policy: Policy) -> Agent:
    """The same policy for every task, for one that holds nothing between turns."""

    def agent(task: Task) -> Policy:  # noqa: ARG001
        return policy

    return agent


AGENTS: Mapping[str, AgentRow] = MappingProxyType(
    {
        "oracle": _oracle,
        "reader": _reader,
        "never_search": _never_search,
        "always_search": _always_search,
        "random": _random,
    }
)


def make_agent(name: str, given: Circumstances | None = None) -> Agent:
    """The agent of that name.

    Raises:
        UnknownNameError: There is none; the message names the nearest.
    """
    try:
        row = AGENTS[name]
    except KeyError:
        raise UnknownNameError("agent", name, AGENTS) from None
    return row(given or Circumstances())
