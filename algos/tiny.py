"""A small Qwen2.5-VL made from scratch, to train and test everything with on a laptop.

The architecture, the chat template's form and the files are those of the large model, so nothing
else in the package knows the difference. What differs: the tokenizer is trained on given texts,
takes numbers of up to four digits as one word, and does not normalise, so that it is lossless.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn
from transformers import (
    GenerationConfig,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from algos.models import VisionLanguageModel, bundle
from mmsr_env.errors import InvalidSettingError

PROTOCOL_TAGS = (
    "<reason>",
    "</reason>",
    "<search>",
    "<img>",
    "</search>",
    "<text_search>",
    "</text_search>",
    "<answer>",
    "</answer>",
    "<information>",
    "</information>",
)

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)

_WORDS = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,4}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"

_CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for block in message['content'] %}"
    "{% if block['type'] in ('image', 'image_url') %}"
    "{{ '<|vision_start|><|image_pad|><|vision_end|>' }}"
    "{% elif block['type'] == 'text' %}{{ block['text'] }}{% endif %}"
    "{% endfor %}{% endif %}"
    "{{ '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@dataclass(frozen=True, slots=True)
class TinySize:
    """How large the small model is.

    Attributes:
        hidden: Width of the language model.
        layers: Its depth.
        heads: Query heads; `hidden / heads`, the head size, must be 32 or more for vLLM.
        kv_heads: Key and value heads.
        feed_forward: Width of its feed-forward layers.
        vision_hidden: Width of the vision part.
        vision_layers: Its depth.
        vision_heads: Its heads.
        min_pixels: Smaller pictures are enlarged to this area: one token.
        max_pixels: Larger pictures are reduced to this area: four tokens.
        max_tokens: The longest sequence.
    """

    hidden: int = 128
    layers: int = 4
    heads: int = 4
    kv_heads: int = 2
    feed_forward: int = 384
    vision_hidden: int = 64
    vision_layers: int = 2
    vision_heads: int = 2
    min_pixels: int = 28 * 28
    max_pixels: int = 56 * 56
    max_tokens: int = 4096

    def __post_init__(self) -> None:
        head_size, rest = divmod(self.hidden, self.heads)
        if rest or head_size < 32 or head_size % 8:
            raise InvalidSettingError(
                "expected hidden / heads to be a whole number, 32 or more and a multiple of 8, "
                f"got {self.hidden} / {self.heads}"
            )


def make_tiny(
    texts: Iterable[str],
    tags: Sequence[str] = PROTOCOL_TAGS,
    *,
    vocab_size: int = 600,
    seed: int = 0,
    size: TinySize | None = None,
) -> VisionLanguageModel:
    """Makes the small model, untrained.

    Args:
        texts: What its tokenizer is trained on; the same texts in the same order give the same.
        tags: Strings that become one plain token each.
        vocab_size: Byte-pair tokens at most, the 256 bytes included, tags and special tokens not.
        seed: Of the weights. The global random state is neither read nor changed.
        size: How large it is.
    """
    size = TinySize() if size is None else size
    tokenizer = make_tokenizer(texts, tags, vocab_size, size.max_tokens)
    config = _config(size, tokenizer)
    with torch.random.fork_rng(devices=[]):  # the constructor draws weights of its own
        model = Qwen2_5_VLForConditionalGeneration(config)
    initialise(model, seed)
    ends = [tokenizer.eos_token_id, tokenizer.pad_token_id]
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=True, eos_token_id=ends, pad_token_id=tokenizer.pad_token_id
    )
    image_processor = Qwen2VLImageProcessorPil(
        size={"shortest_edge": size.min_pixels, "longest_edge": size.max_pixels}
    )
    model.train(False)
    return bundle(model, tokenizer, image_processor)


def make_tokenizer(
    texts: Iterable[str], tags: Sequence[str], vocab_size: int, max_tokens: int
) -> PreTrainedTokenizerFast:
    """A lossless byte-level BPE tokenizer with Qwen's special tokens and the given tags."""
    core = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(_WORDS), behavior="isolated")
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.pre_tokenizer = pre_tokenizers.Sequence([split, to_bytes])
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    # Tags are cut out of the texts, as they will be when the tokenizer is used.
    cut = re.compile("|".join(map(re.escape, (*SPECIAL_TOKENS, *tags))))
    core.train_from_iterator((part for text in texts for part in cut.split(text)), trainer)
    core.add_special_tokens(
        [AddedToken(token, normalized=False, special=True) for token in SPECIAL_TOKENS]
    )
    core.add_tokens([AddedToken(tag, normalized=False) for tag in tags])
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=core,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        model_max_length=max_tokens,
        clean_up_tokenization_spaces=False,
        chat_template=_CHAT_TEMPLATE,
    )


def initialise(model: nn.Module, seed: int) -> None:
    """Draws every weight anew: normal, with the deviation 1 / sqrt(fan-in).

    A constant deviation suits one width only; at these widths the usual 0.02 hardly learns.
    Embeddings count as having the model's width as their fan-in; biases are 0, norms 1.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, weight in sorted(model.named_parameters()):
            if weight.ndim >= 2:
                weight.normal_(0.0, 1.0 / math.sqrt(weight[0].numel()), generator=generator)
        for name, weight in model.named_parameters():
            if weight.ndim == 1:
                weight.fill_(0.0 if name.endswith("bias") else 1.0)


def _config(size: TinySize, tokenizer: PreTrainedTokenizerFast) -> Qwen2_5_VLConfig:
    ids = tokenizer.get_vocab()
    section = size.hidden // size.heads // 8
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": size.hidden,
        "intermediate_size": size.feed_forward,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "num_key_value_heads": size.kv_heads,
        "max_position_embeddings": size.max_tokens,
        "rms_norm_eps": 1e-6,
        "bos_token_id": ids["<|endoftext|>"],
        "eos_token_id": ids["<|im_end|>"],
        # Half the head size in rotary pairs, shared 2 : 3 : 3 as in the large model.
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 1_000_000.0,
            "mrope_section": [section, 3 * section - 3 * section // 2, 3 * section // 2],
        },
        "tie_word_embeddings": False,
    }
    vision = {
        "depth": size.vision_layers,
        "hidden_size": size.vision_hidden,
        "intermediate_size": 4 * size.vision_hidden,
        "num_heads": size.vision_heads,
        "out_hidden_size": size.hidden,
        "fullatt_block_indexes": list(range(size.vision_layers)),
    }
    return Qwen2_5_VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=False,
    )
