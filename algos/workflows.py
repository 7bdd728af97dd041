"""Fixed workflows: turns whose action is given, so that only their content is the model's.

What a model gains by deciding for itself is measured against these: answering at once, and the
RAG workflow of MMSearch-R1 (one image search, one text search, the answer).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeAlias

from algos.models import VisionLanguageModel
from algos.samplers.base import Sampler
from algos.tokens import Transcript
from mmsr_env.protocol.grammar import ANSWER, IMAGE_SEARCH, REASON, TAGS, TEXT_SEARCH
from mmsr_env.registry import look_up

Workflow: TypeAlias = tuple[str, ...]
"""How the action of each turn begins; turns beyond are the policy's own."""
_ENDINGS: Mapping[str, str] = MappingProxyType(dict((TEXT_SEARCH, ANSWER)))
_TAG = re.compile("|".join(map(re.escape, TAGS)))

ON_DEMAND: Workflow = ()
DIRECT: Workflow = (ANSWER[0],)
RAG: Workflow = (IMAGE_SEARCH, TEXT_SEARCH[0], ANSWER[0])
WORKFLOWS: Mapping[str, Workflow] = MappingProxyType(
    {"on_demand": ON_DEMAND, "direct": DIRECT, "rag": RAG}
)


def get_workflow(name: str) -> Workflow:
    """The workflow of that name.

    Raises:
        UnknownNameError: There is none; the message names the nearest.
    """
    return look_up("workflow", name, WORKFLOWS)


async def force_turn(
    vlm: VisionLanguageModel,
    sampler: Sampler,
    transcript: Transcript,
    action: str,
    question: str,
    temperature: float,
    max_tokens: int,
) -> str | None:
    """A turn that reasons freely and then takes the given action, whatever the policy is like.

    The policy writes a message; its reasoning is kept, the action is put in place of its own,
    and where the action takes words the policy writes on from there. Words that it does not
    close are closed for it, and in place of a query that it leaves out stands the question.
    Nothing of the turn counts as sampled for training but words that it closed itself.

    Args:
        vlm: Whose tokenizer the sampler's ids are of.
        sampler: The policy.
        transcript: Where the turn is appended.
        action: How the action begins: what a `Workflow` holds.
        question: The task's question.
        temperature: Of sampling; 0 is greedy.
        max_tokens: The most tokens of each of the policy's two pieces.

    Returns:
        The text of the whole message; None where there is no room for the action.
    """
    ending = _ENDINGS.get(action, "")
    free = await sampler.sample(transcript.request(max_tokens, temperature))
    reasoning, closed, _ = vlm.decode(free.ids).partition(REASON[1])
    forced = (reasoning + closed if closed else "".join(REASON)) + action
    if _length(vlm, forced + ending) >= transcript.room_tokens:
        forced = "".join(REASON) + action
    if _length(vlm, forced + ending) >= transcript.room_tokens:
        return None
    text = transcript.append_forced(forced)
    if not ending:
        return text
    written = await sampler.sample(transcript.request(max_tokens, temperature))
    words, closed, rest = vlm.decode(written.ids).partition(ending)
    if closed and words.strip() and not rest.strip() and not _TAG.search(words):
        return transcript.append_completion(written)
    said = _TAG.split(words)[0].strip()
    if not said and action == TEXT_SEARCH[0]:
        said = _TAG.sub(" ", question)
    return transcript.append_forced(_shortened(vlm, said, ending, transcript.room_tokens))


def _shortened(vlm: VisionLanguageModel, words: str, ending: str, room_tokens: int) -> str:
    """As many of the words, and the ending, as there is room for."""
    while words and _length(vlm, words + ending) > room_tokens:
        words = words[: len(words) * 3 // 4]
    return words + ending


def _length(vlm: VisionLanguageModel, text: str) -> int:
    return len(vlm.chat.encode_plain(text))
