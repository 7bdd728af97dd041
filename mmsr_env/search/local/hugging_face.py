"""A `PictureEmbedder` that is any vision model of Hugging Face transformers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mmsr_env.errors import InvalidSettingError, MissingExtraError
from mmsr_env.search.local.embedder import Vectors, unit_rows
from mmsr_env.search.local.pixels import as_rgb
from mmsr_env.types import Picture


class HuggingFaceEmbedder:
    """Pictures by a pretrained vision model, such as CLIP, SigLIP or DINOv2.

    The features are those that the model itself offers for pictures (`get_image_features`), or
    else the mean of its last hidden state over all positions; never a pooling layer, which many
    checkpoints do not carry and which would be random then.

    Args:
        model: A model's id, or a folder with a model and its image processor.
        device: Where it runs.
        batch_size: Pictures in one forward pass.

    Raises:
        MissingExtraError: torch or transformers is not installed.
    """

    def __init__(self, model: str | Path, device: str = "cpu", batch_size: int = 32) -> None:
        if batch_size < 1:
            raise InvalidSettingError(f"batch_size must be 1 or more, got {batch_size!r}")
        try:
            import torch
            from transformers import AutoImageProcessor, AutoModel
        except ImportError as error:
            raise MissingExtraError("torch and transformers", "train", "this embedder") from error
        self.name = f"huggingface:{Path(model).name if Path(model).is_dir() else model}"
        self._torch = torch
        self._device = device
        self._batch_size = batch_size
        self._processor: Any = AutoImageProcessor.from_pretrained(str(model))  # type: ignore[no-untyped-call]
        self._model: Any = AutoModel.from_pretrained(str(model)).eval().to(device)
        self._dim = int(self._forward([Image.new("RGB", (64, 64))]).shape[1])

    @property
    def dim(self) -> int:
        return self._dim

    def embed(self, images: Sequence[Picture]) -> Vectors:
        """[n, dim] float32, each row of unit length."""
        starts = range(0, len(images), self._batch_size)
        parts = [self._forward(images[start : start + self._batch_size]) for start in starts]
        return unit_rows(np.concatenate([np.zeros((0, self._dim), np.float32), *parts]))

    def _forward(self, images: Sequence[Picture]) -> Vectors:
        inputs = self._processor(images=[as_rgb(image) for image in images], return_tensors="pt")
        with self._torch.inference_mode():
            pixels = inputs["pixel_values"].to(self._device, self._model.dtype)
            features = self._features(pixels)
        vectors: Vectors = features.float().cpu().numpy()
        return vectors

    def _features(self, pixels: Any) -> Any:
        """[n, dim] of [n, 3, height, width]."""
        if hasattr(self._model, "get_image_features"):
            found = self._model.get_image_features(pixel_values=pixels)
            return found if self._torch.is_tensor(found) else found.pooler_output
        hidden = self._model(pixel_values=pixels).last_hidden_state
        # [n, positions, dim] of a transformer, [n, dim, height, width] of a convolutional network
        return hidden.mean(dim=1) if hidden.ndim == 3 else hidden.flatten(2).mean(dim=2)
