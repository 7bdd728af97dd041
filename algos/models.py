"""A vision-language model with what belongs to it: loading, and what the trainer asks of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer
from transformers.processing_utils import ProcessorMixin

from algos.chat import ChatTemplate
from algos.pictures import PictureProcessor


@dataclass(frozen=True, slots=True)
class VisionLanguageModel:
    """A model and everything that turns conversations into its input and back.

    Attributes:
        model: A Hugging Face model for conditional generation; `model.model` gives hidden
            states, `model.lm_head` logits.
        tokenizer: Its tokenizer.
        pictures: Its image processor, with a cache.
        chat: Its chat template.
        pad_id: Fills rows up to the length of a batch; always masked.
        end_of_turn_id: What the policy ends a message with.
        image_id: The pad that stands for a picture, or for one token of it.
        suppressed_ids: The ids that the policy may never emit: every special token but the
            end of turn, and the rows of the vocabulary that the tokenizer does not know.
    """

    model: Any
    tokenizer: Any
    pictures: PictureProcessor
    chat: ChatTemplate
    pad_id: int
    end_of_turn_id: int
    image_id: int
    suppressed_ids: frozenset[int]

    @property
    def device(self) -> torch.device:
        """Where the model's first parameter is, which is where input goes."""
        device: torch.device = self.model.device
        return device

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, special tokens left out, the protocol's tags kept."""
        text: str = self.tokenizer.decode(
            list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text

    def repeats(self, ids: Tensor, grids: Sequence[Tensor]) -> Tensor:
        """How many of the trainer's tokens each of the engine's ids [t] stands for: [t] int64."""
        repeats = torch.ones_like(ids)
        counts = [self.pictures.tokens(grid) for grid in grids]
        repeats[ids == self.image_id] = torch.tensor(counts, dtype=torch.int64)
        return repeats

    def positions(self, input_ids: Tensor, attention_mask: Tensor, grids: Tensor) -> Tensor:
        """Rotary positions by the model's own function.

        Args:
            input_ids: [B, T] int64, pictures' pads expanded.
            attention_mask: [B, T] bool; padding may be on either side.
            grids: [I, 3] int64, the pictures' grids, row after row.

        Returns:
            [3, B, T] int64: time, height and width; 0 at padding.
        """
        position_ids: Tensor = self.model.model.get_rope_index(
            input_ids,
            mm_token_type_ids=(input_ids == self.image_id).int(),
            image_grid_thw=grids if len(grids) else None,
            attention_mask=attention_mask.long(),
        )[0]
        return position_ids.masked_fill(~attention_mask, 0)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Writes an ordinary Hugging Face folder, which `load_model` and vLLM read."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        self.pictures.image_processor.save_pretrained(folder)


def load_model(
    name_or_path: str | os.PathLike[str],
    *,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
    attention: str = "sdpa",
    min_pixels: int | None = None,
    max_pixels: int | None = None,
    picture_cache_mib: float = 256.0,
) -> VisionLanguageModel:
    """Loads a Qwen2.5-VL model from the hub or a folder, be it large or tiny.

    Args:
        name_or_path: Such as "Qwen/Qwen2.5-VL-7B-Instruct", or a folder.
        dtype: Of the weights.
        device: Where the model goes.
        attention: The attention implementation's name in transformers.
        min_pixels: Smaller pictures are enlarged to this area; None keeps the model's own.
        max_pixels: Larger pictures are reduced to this area; None keeps the model's own.
        picture_cache_mib: Memory for processed pictures.
    """
    model: Any = AutoModelForImageTextToText.from_pretrained(
        name_or_path, dtype=dtype, attn_implementation=attention
    )
    tokenizer = AutoTokenizer.from_pretrained(name_or_path)
    # A processor's template, where there is one, is the one that knows of pictures.
    settings, _ = ProcessorMixin.get_processor_dict(name_or_path)
    if "chat_template" in settings:
        tokenizer.chat_template = settings["chat_template"]
    # Loaded apart from the video processor, which cannot be had without torchvision.
    processors: Any = AutoImageProcessor  # its methods have no types
    image_processor = processors.from_pretrained(name_or_path)
    _set_pixels(image_processor, min_pixels, max_pixels)
    return bundle(model.to(device).eval(), tokenizer, image_processor, picture_cache_mib)


def bundle(
    model: Any, tokenizer: Any, image_processor: Any, picture_cache_mib: float = 256.0
) -> VisionLanguageModel:
    """The parts of a loaded model together, with the ids that they imply.

    Raises:
        InvalidSettingError: If the chat template is not fit for pictures and turns.
    """
    image_id = int(model.config.image_token_id)
    chat = ChatTemplate(tokenizer, image_id)
    unknown = range(len(tokenizer), model.config.get_text_config().vocab_size)
    return VisionLanguageModel(
        model=model,
        tokenizer=tokenizer,
        pictures=PictureProcessor(image_processor, picture_cache_mib),
        chat=chat,
        pad_id=int(tokenizer.pad_token_id),
        end_of_turn_id=chat.end_of_turn_id,
        image_id=image_id,
        suppressed_ids=frozenset(chat.special_ids.values()).union(unknown) - {chat.end_of_turn_id},
    )


def _set_pixels(image_processor: Any, min_pixels: int | None, max_pixels: int | None) -> None:
    size = dict(image_processor.size)
    if min_pixels is not None:
        size["shortest_edge"] = min_pixels
    if max_pixels is not None:
        size["longest_edge"] = max_pixels
    image_processor.size = size
