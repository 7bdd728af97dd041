"""Models of Hugging Face as embedders: small ones, made from a config."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_corpus import draw, pages, pictures, things

from mmsr_env.errors import InvalidSettingError, SearchIndexError
from mmsr_env.search.blocking import run_blocking
from mmsr_env.search.local.backend import LocalSearch
from mmsr_env.search.local.build import build_index
from mmsr_env.search.local.hugging_face import HuggingFaceEmbedder
from mmsr_env.types import ImageQuery

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

_SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
_VISION = {**_SMALL, "image_size": 32, "patch_size": 8}


def _vit() -> Any:
    return transformers.ViTModel(transformers.ViTConfig(**_VISION))


def _clip() -> Any:
    text = {**_SMALL, "vocab_size": 99, "bos_token_id": 1, "eos_token_id": 2}
    config = transformers.CLIPConfig(text_config=text, vision_config=_VISION, projection_dim=24)
    return transformers.CLIPModel(config)


def _resnet() -> Any:
    sizes = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]}
    return transformers.ResNetModel(transformers.ResNetConfig(**sizes))


MODELS = {"vit": (_vit, 32), "clip": (_clip, 24), "resnet": (_resnet, 16)}


@pytest.fixture(params=list(MODELS))
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, int]:
    make, dim = MODELS[request.param]
    torch.manual_seed(0)
    folder = tmp_path / request.param
    make().save_pretrained(folder)
    transformers.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder, dim


def test_any_vision_model_embeds_pictures(saved: tuple[Path, int]) -> None:
    folder, dim = saved
    embedder = HuggingFaceEmbedder(folder, batch_size=3)
    assert embedder.dim == dim
    assert embedder.name == f"huggingface:{folder.name}"
    images = [draw(thing) for thing in things(7)]
    vectors = embedder.embed(images)
    assert (vectors.shape, vectors.dtype) == ((7, dim), np.float32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-4)
    np.testing.assert_array_equal(HuggingFaceEmbedder(folder, batch_size=3).embed(images), vectors)
    np.testing.assert_allclose(embedder.embed(images[4:5])[0], vectors[4], atol=1e-4)
    assert len(np.unique(vectors.round(4), axis=0)) == 7
    assert embedder.embed([]).shape == (0, dim)
    assert np.isfinite(embedder.embed([Image.new("LA", (5, 90))])).all()


def test_an_index_is_searched_with_its_own_model_only(tmp_path: Path) -> None:
    make, _ = MODELS["vit"]
    torch.manual_seed(0)
    make().save_pretrained(tmp_path / "vit")
    transformers.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(
        tmp_path / "vit"
    )
    embedder = HuggingFaceEmbedder(tmp_path / "vit")
    build_index(pages(8), pictures(8), tmp_path / "index", embedder)
    index = LocalSearch.open(tmp_path / "index", embedder)
    for thing in things(8):
        found = run_blocking(index.search_image(ImageQuery(draw(thing)), 1))
        assert found.hits[0].url == thing.url
    with pytest.raises(SearchIndexError, match=r"'huggingface:vit'.*'perceptual-1'"):
        LocalSearch.open(tmp_path / "index")


def test_a_batch_size_below_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettingError, match="batch_size"):
        HuggingFaceEmbedder(tmp_path, batch_size=0)
