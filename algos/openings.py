"""Transcripts of openings, some of which may be too long for the context."""

from __future__ import annotations

import sys

from algos.models import VisionLanguageModel
from algos.tokens import Transcript
from mmsr_env.errors import InvalidSettingError
from mmsr_env.types import Conversation


def open_transcript(
    vlm: VisionLanguageModel, opening: Conversation, max_tokens: int
) -> Transcript | None:
    """A transcript of an opening; None where it leaves no room for a single token.

    Args:
        vlm: The model whose tokenizer and template the transcript follows.
        opening: The messages before the assistant's first.
        max_tokens: What the whole transcript may take, counted with pads expanded.

    Raises:
        InvalidSettingError: The opening cannot be encoded at all.
    """
    try:
        return Transcript(vlm, opening, max_tokens)
    except InvalidSettingError:
        Transcript(vlm, opening, sys.maxsize)  # raises once more where length is not the reason
        return None
