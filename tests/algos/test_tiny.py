"""The small model made from scratch: its tokenizer, its weights, its files."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tiny_models import TEXTS, picture, tiny
from torch import nn

from algos.tiny import PROTOCOL_TAGS, TinySize, make_tiny
from mmsr_env.errors import InvalidSettingError
from mmsr_env.types import Message


@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=60))
def test_the_tokenizer_is_lossless(text: str) -> None:
    assume(not any(special in text for special in tiny().chat.special_ids))
    assert tiny().decode(tiny().chat.encode(text)) == text


@settings(max_examples=100, deadline=None)
@given(before=st.text(max_size=12), tag=st.sampled_from(PROTOCOL_TAGS), after=st.text(max_size=12))
def test_a_tag_is_one_plain_token_that_leaves_its_neighbours_alone(
    before: str, tag: str, after: str
) -> None:
    assume(not any(special in before + tag + after for special in tiny().chat.special_ids))
    encode = tiny().chat.encode
    index = tiny().tokenizer.convert_tokens_to_ids(tag)
    assert encode(before + tag + after) == [*encode(before), index, *encode(after)]
    assert tiny().decode(encode(before + tag + after)) == before + tag + after
    assert index not in tiny().suppressed_ids


def test_years_that_the_texts_hold_are_one_token() -> None:
    vlm = make_tiny(TEXTS * 3, vocab_size=400)
    assert len(vlm.chat.encode("1873")) == 1
    assert len(vlm.chat.encode("18731911")) == 2


def test_tags_in_the_texts_do_not_spill_into_other_tokens() -> None:
    vlm = make_tiny(["<answer>Teel</answer>"] * 50, vocab_size=300)
    tokens = [token for token in vlm.tokenizer.get_vocab() if "answer" in token]
    assert sorted(tokens) == ["</answer>", "<answer>"]


def test_the_vocabularies_are_equal() -> None:
    vlm = tiny()
    assert len(vlm.tokenizer) == vlm.model.config.text_config.vocab_size
    assert len(vlm.tokenizer) == vlm.model.lm_head.weight.shape[0]
    assert sorted(vlm.tokenizer.get_vocab().values()) == list(range(len(vlm.tokenizer)))


def test_only_the_end_of_turn_of_the_special_tokens_may_be_emitted() -> None:
    vlm = tiny()
    tokens = vlm.tokenizer.convert_ids_to_tokens(sorted(vlm.suppressed_ids))
    assert set(tokens) == {
        "<|endoftext|>",
        "<|im_start|>",
        "<|vision_start|>",
        "<|vision_end|>",
        "<|vision_pad|>",
        "<|image_pad|>",
        "<|video_pad|>",
    }
    assert vlm.tokenizer.convert_ids_to_tokens(vlm.end_of_turn_id) == "<|im_end|>"
    assert vlm.tokenizer.convert_ids_to_tokens(vlm.pad_id) == "<|endoftext|>"


def test_the_chat_template_has_qwens_form_and_no_system_prompt() -> None:
    conversation = (
        Message("user", ("See ", picture(1), " there")),
        Message("assistant", ("Yes",)),
    )
    assert tiny().chat.render(conversation, prompt=True) == (
        "<|im_start|>user\nSee <|vision_start|><|image_pad|><|vision_end|> there<|im_end|>\n"
        "<|im_start|>assistant\nYes<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    plain = tiny().tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hello"}], tokenize=False
    )
    assert plain == "<|im_start|>user\nHello<|im_end|>\n"


@torch.no_grad()
def test_weights_are_drawn_by_fan_in() -> None:
    model = make_tiny(TEXTS).model
    linear = [m for m in model.modules() if isinstance(m, nn.Linear)]
    assert len(linear) > 30
    for layer in linear:
        wanted = 1.0 / math.sqrt(layer.in_features)
        assert float(layer.weight.std()) == pytest.approx(wanted, rel=0.05)
        assert layer.bias is None or not layer.bias.any()
    patch = model.model.visual.patch_embed.proj.weight
    assert float(patch.std()) == pytest.approx(1.0 / math.sqrt(3 * 2 * 14 * 14), rel=0.05)
    norms = [p for name, p in model.named_parameters() if "norm" in name or "ln_q" in name]
    assert norms
    assert all(bool((norm == 1.0).all()) for norm in norms)


def test_one_seed_makes_one_model_and_leaves_global_randomness_alone() -> None:
    state = torch.random.get_rng_state()
    one, same, other = (make_tiny(TEXTS, seed=seed).model for seed in (3, 3, 4))
    assert torch.equal(torch.random.get_rng_state(), state)
    pairs = list(zip(one.parameters(), same.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(one.lm_head.weight, other.lm_head.weight)
    assert not torch.equal(one.lm_head.weight, one.model.language_model.embed_tokens.weight)


def test_one_set_of_texts_makes_one_tokenizer() -> None:
    first, second = (make_tiny(iter(TEXTS)).tokenizer for _ in range(2))
    assert first.get_vocab() == second.get_vocab()


def test_the_saved_folder_is_what_others_expect(tmp_path: Path) -> None:
    vlm = make_tiny(TEXTS, vocab_size=600)
    vlm.save(tmp_path)
    parameters = sum(weight.numel() for weight in vlm.model.parameters())
    assert 1_000_000 < parameters < 2_000_000
    assert (tmp_path / "model.safetensors").stat().st_size < 8 * 2**20
    assert (tmp_path / "tokenizer.json").exists()
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["architectures"] == ["Qwen2_5_VLForConditionalGeneration"]
    text = config["text_config"]
    head_size = text["hidden_size"] // text["num_attention_heads"]
    assert head_size >= 32
    assert sum(text["rope_parameters"]["mrope_section"]) == head_size // 2
    processor = json.loads((tmp_path / "preprocessor_config.json").read_text())
    assert processor["image_processor_type"] == "Qwen2VLImageProcessor"
    assert processor["size"] == {"shortest_edge": 784, "longest_edge": 3136}
    generation = json.loads((tmp_path / "generation_config.json").read_text())
    assert vlm.end_of_turn_id in generation["eos_token_id"]


@pytest.mark.parametrize(("hidden", "heads"), [(128, 8), (100, 3), (144, 4)])
def test_a_head_size_that_engines_refuse_is_refused(hidden: int, heads: int) -> None:
    with pytest.raises(InvalidSettingError, match="32 or more"):
        TinySize(hidden=hidden, heads=heads)


def test_other_sizes_work() -> None:
    size = TinySize(hidden=80, heads=2, kv_heads=1, layers=1, feed_forward=64, vision_layers=1)
    vlm = make_tiny(TEXTS, size=size)
    ids = torch.tensor([vlm.chat.encode("I know")])
    assert vlm.model(input_ids=ids).logits.shape == (1, ids.shape[1], len(vlm.tokenizer))
