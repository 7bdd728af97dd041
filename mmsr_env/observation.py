"""What an environment shows of an episode: observation, info, and the whole conversation."""

from __future__ import annotations

from typing import Any

from gymnasium import spaces

from mmsr_env.episode import Episode
from mmsr_env.pictures import to_pixels
from mmsr_env.rules import Rules
from mmsr_env.spaces import Picture, Utterance
from mmsr_env.types import Conversation, Message, Turn

_OBSERVED_CHARS = 1 << 30  # more than any result or question has, so that nothing is cut


def observation_space(rules: Rules) -> spaces.Dict:
    """The space of what `observe` gives under these rules."""
    return spaces.Dict(
        {
            "text": Utterance(_OBSERVED_CHARS),
            "images": spaces.Sequence(Picture()),
            "turns_left": spaces.Discrete(rules.max_turns + 1),
            "searches_left": spaces.Discrete(rules.max_searches + 1),
            "image_search_allowed": spaces.Discrete(2),
        }
    )


def observe(episode: Episode, message: Message | None) -> dict[str, Any]:
    """The newest message to the model, and what is left.

    Args:
        episode: The episode, not waiting for a search.
        message: What the model sees now; None at the end, where nothing more is said.
    """
    return {
        "text": message.text if message is not None else "",
        "images": tuple(map(to_pixels, message.images)) if message is not None else (),
        "turns_left": episode.turns_left,
        "searches_left": episode.searches_left,
        "image_search_allowed": int(episode.image_search_allowed),
    }


def describe(episode: Episode, turn: Turn | None) -> dict[str, Any]:
    """The info that goes with an observation: plain values, made anew by each call.

    Args:
        episode: The episode, not waiting for a search.
        turn: The turn just made; None before the first.
    """
    task, ended = episode.task, episode.trajectory
    info: dict[str, Any] = {
        "task_id": task.id,
        "question": task.question,
        "kind": task.kind,
        "category": str(task.category),
    }
    if turn is not None:
        info |= {"action": str(turn.action.kind), "problem": turn.action.problem}
        if turn.result is not None:
            info |= {"search_ok": turn.result.ok, "search_cause": turn.result.cause}
    if ended is not None:
        info |= {"stop_reason": str(ended.stop_reason), "reward_parts": dict(ended.reward_parts)}
    return info


def to_messages(conversation: Conversation) -> list[dict[str, Any]]:
    """A conversation in the content-block form that Hugging Face chat templates take.

    Each message is {"role", "content"}, its content a list of {"type": "text", "text"} and
    {"type": "image", "image"}, the image a PIL picture, in their order.
    """
    return [
        {
            "role": message.role,
            "content": [
                {"type": "text", "text": block}
                if isinstance(block, str)
                else {"type": "image", "image": block}
                for block in message.content
            ],
        }
        for message in conversation
    ]
