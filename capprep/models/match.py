"""BLIP's matcher: pictures and texts as unit vectors whose product says how well they fit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import normalize
from transformers import BlipForImageTextRetrieval

from capprep.models import pretrained

# N pictures, M texts, L tokens, D numbers of an embedding

TEXT_TOKENS = 35
"""BLIP was trained for retrieval on texts cut to that many tokens."""


class BlipMatcher:
    """A `BlipForImageTextRetrieval` taken apart, so that each picture and each text is seen once.

    `image_embeddings(p) @ text_embeddings(t).T` is what the class itself answers with `use_itm_head=False`.

    Args:
        folder: The model's files as published, see `BlipCaptioner`.
        device: "cpu" or "cuda".
        dtype: "float32", "float16" or "bfloat16".

    Raises:
        ModelMissing: A file is not there.
        ModelMismatch: A file cannot be read, or is of another network.
    """

    def __init__(self, folder: Path, device: str = "cpu", dtype: str = "float32") -> None:
        self._blip = pretrained.load(BlipForImageTextRetrieval, folder, device, dtype)

    @torch.inference_mode()
    def image_embeddings(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Pictures of (H, W, 3) uint8 and any size as unit vectors, shape (N, D)."""
        if not pictures:
            return self._none()
        x_NCHW = self._blip.pixel_batch(pictures)
        states_NLC = self._blip.model.vision_model(pixel_values=x_NCHW).last_hidden_state
        return _unit(self._blip.model.vision_proj(states_NLC[:, 0]))

    @torch.inference_mode()
    def text_embeddings(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts as unit vectors, shape (M, D); what is behind `TEXT_TOKENS` tokens is not seen."""
        if not texts:
            return self._none()
        tokens_ML = self._blip.words(
            list(texts), padding=True, truncation=True, max_length=TEXT_TOKENS, return_tensors="pt"
        ).to(self._blip.device)
        states_MLC = self._blip.model.text_encoder(
            input_ids=tokens_ML["input_ids"], attention_mask=tokens_ML["attention_mask"]
        ).last_hidden_state
        return _unit(self._blip.model.text_proj(states_MLC[:, 0]))

    def _none(self) -> NDArray[np.float32]:
        return np.empty((0, self._blip.model.config.image_text_hidden_size), dtype=np.float32)


def _unit(vectors_ND: torch.Tensor) -> NDArray[np.float32]:
    # normalised in float32: in half precision the length would be off by 1e-3
    return cast("NDArray[np.float32]", normalize(vectors_ND.float(), dim=-1).cpu().numpy())
