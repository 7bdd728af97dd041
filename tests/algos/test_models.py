"""Loading models: the same path for every Qwen2.5-VL folder, and what a model implies."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import torch
from tiny_models import (
    BARE_TEMPLATE,
    TEXTS,
    hf_messages,
    picture,
    plain_positions,
    tiny,
    transcript_of,
)

from algos.chat import neutralise
from algos.models import bundle, load_model
from algos.tiny import make_tiny
from mmsr_env.errors import InvalidSettingError
from mmsr_env.types import Message

QUESTION = (Message("user", (picture(1), "When was it founded?")),)


def test_a_saved_model_loads_as_it_was(tmp_path: Path) -> None:
    made = tiny()
    made.save(tmp_path)
    loaded = load_model(tmp_path)
    weights = loaded.model.state_dict()
    assert all(torch.equal(weights[name], w) for name, w in made.model.state_dict().items())
    assert not loaded.model.training
    for name in ("pad_id", "end_of_turn_id", "image_id", "suppressed_ids"):
        assert getattr(loaded, name) == getattr(made, name)
    text = "<reason>Naïve 日本 in 1873?</reason>\n"
    assert loaded.chat.encode(text) == made.chat.encode(text)
    assert loaded.chat.opening_ids(QUESTION) == made.chat.opening_ids(QUESTION)
    for mine, theirs in zip(*(m.pictures.process(picture(1)) for m in (made, loaded)), strict=True):
        assert torch.equal(mine, theirs)


def test_settings_of_loading_are_kept(tmp_path: Path) -> None:
    tiny().save(tmp_path)
    loaded = load_model(
        str(tmp_path), dtype=torch.bfloat16, attention="eager", min_pixels=3136, max_pixels=12544
    )
    assert loaded.model.dtype == torch.bfloat16
    assert loaded.model.config._attn_implementation == "eager"
    assert loaded.device == torch.device("cpu")
    assert loaded.pictures.tokens(loaded.pictures.process(picture(1, 28, 28))[1]) == 4
    assert loaded.pictures.tokens(loaded.pictures.process(picture(1, 500, 500))[1]) == 16


def test_rows_of_the_vocabulary_without_a_token_are_suppressed(tmp_path: Path) -> None:
    """The large model's vocabulary is longer than its tokenizer."""
    made = make_tiny(TEXTS)
    made.model.resize_token_embeddings(len(made.tokenizer) + 5, mean_resizing=False)
    made.save(tmp_path)
    loaded = load_model(tmp_path)
    known = len(made.tokenizer)
    assert loaded.suppressed_ids - made.suppressed_ids == set(range(known, known + 5))


def test_the_processors_template_goes_before_the_tokenizers(tmp_path: Path) -> None:
    """Hub repositories of the first releases keep it in a file of the processor's own."""
    made = make_tiny(TEXTS)
    made.save(tmp_path)
    (tmp_path / "chat_template.jinja").unlink()
    (tmp_path / "chat_template.json").write_text(json.dumps({"chat_template": BARE_TEMPLATE}))
    loaded = load_model(tmp_path)
    assert loaded.chat.render(QUESTION, prompt=False).startswith("[<|vision_start|>")


@pytest.mark.parametrize(
    ("broken", "match"),
    [
        (BARE_TEMPLATE.replace("<|image_pad|>", ""), "picture pad"),
        (BARE_TEMPLATE.replace("<|im_end|>", ""), "after an assistant"),
    ],
)
def test_a_template_that_does_not_fit_is_refused(broken: str, match: str) -> None:
    tokenizer = copy.deepcopy(tiny().tokenizer)
    tokenizer.chat_template = broken
    with pytest.raises(InvalidSettingError, match=match):
        bundle(tiny().model, tokenizer, tiny().pictures.image_processor)


def test_neutralised_text_holds_no_special_string() -> None:
    specials = ["<|im_end|>", "<s>", "#", "aa"]
    hostile = "b<|im_end|><s>#b<|im_<s>end|><<s><#s>aaa"
    expected = "b< |im_end|>< s> b<|im_< s>end|><< s>< s>a a a"
    assert neutralise(hostile, specials) == expected


def test_opening_ids_are_those_of_the_template() -> None:
    vlm = tiny()
    text = vlm.tokenizer.apply_chat_template(
        hf_messages(QUESTION), tokenize=False, add_generation_prompt=True
    )
    assert vlm.chat.opening_ids(QUESTION) == vlm.tokenizer.encode(text)


@pytest.mark.parametrize("side", ["left", "right"])
def test_positions_do_not_see_padding(side: str) -> None:
    vlm = tiny()
    rows = [transcript_of(vlm, n, turns=n, pictures=n).expanded() for n in range(3)]
    length = max(len(row.input_ids) for row in rows)
    ids = torch.full((3, length), vlm.pad_id)
    mask = torch.zeros(3, length, dtype=torch.bool)
    for number, row in enumerate(rows):
        size = len(row.input_ids)
        place = slice(length - size, length) if side == "left" else slice(0, size)
        ids[number, place], mask[number, place] = row.input_ids, True
    found = vlm.positions(ids, mask, torch.cat([row.image_grid_thw for row in rows]))
    for number, row in enumerate(rows):
        expected = plain_positions(
            row.input_ids.tolist(), vlm.image_id, row.image_grid_thw.tolist()
        )
        assert found[:, number, mask[number]].tolist() == expected
    assert not found.transpose(0, 1)[:, :][(~mask)[:, None].expand(3, 3, length)].any()


def test_decoding_leaves_special_tokens_out_and_keeps_tags() -> None:
    vlm = tiny()
    ids = [vlm.image_id, *vlm.chat.encode("<answer> 1911 </answer>"), vlm.end_of_turn_id]
    assert vlm.decode(ids) == "<answer> 1911 </answer>"
