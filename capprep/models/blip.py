"""BLIP's captioner: pictures to sentences, the same ones every time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import BlipForConditionalGeneration, GenerationConfig

from capprep.errors import ConfigError
from capprep.models import pretrained

# B pictures, L tokens


class BlipCaptioner:
    """A `BlipForConditionalGeneration` with its tokenizer and pixel recipe.

    Args:
        folder: The model's files as published: `config.json`, `model.safetensors` or `pytorch_model.bin`,
            `preprocessor_config.json`, `tokenizer.json` or `vocab.txt`.
        device: "cpu" or "cuda".
        dtype: "float32", "float16" or "bfloat16".

    Raises:
        ModelMissing: A file is not there.
        ModelMismatch: A file cannot be read, or is of another network.
    """

    def __init__(self, folder: Path, device: str = "cpu", dtype: str = "float32") -> None:
        self._blip = pretrained.load(BlipForConditionalGeneration, folder, device, dtype)
        # a configuration may carry beams and lengths of its own; what is decoded depends on the arguments alone
        self._blip.model.text_decoder.generation_config = GenerationConfig()

    @torch.inference_mode()
    def captions(
        self,
        pictures: Sequence[NDArray[np.uint8]],
        *,
        prompt: str = "",
        num_beams: int = 1,
        min_new_tokens: int = 0,
        max_new_tokens: int = 30,
        no_repeat_ngram_size: int = 0,
        repetition_penalty: float = 1.0,
    ) -> list[str]:
        """One sentence for each picture of the batch, found greedily or by beams, never sampled.

        Args:
            pictures: (H, W, 3) uint8 each, of any size.
            prompt: The words the decoder starts from; they are not part of the answer.
            num_beams: 1 for greedy search.
            min_new_tokens: Least length in tokens behind the prompt.
            max_new_tokens: Greatest length in tokens behind the prompt.
            no_repeat_ngram_size: No run of that many tokens comes twice; 0 for no such rule.
            repetition_penalty: Divides the score of tokens that were used before; 1 for none (CTRL, 1909.05858).

        Raises:
            ConfigError: The least length is over the greatest, or prompt and caption together are longer
                than the decoder has positions.
        """
        if min_new_tokens > max_new_tokens:
            raise ConfigError(
                f"a caption of at least {min_new_tokens} and at most {max_new_tokens} tokens is not possible",
                "lower the least or raise the greatest length",
            )
        if not pictures:
            return []
        start_L = self._start(prompt, max_new_tokens)
        start_BL = torch.tensor([start_L] * len(pictures), device=self._blip.device)
        tokens_BL = self._blip.model.generate(
            pixel_values=self._blip.pixel_batch(pictures),
            input_ids=start_BL,
            attention_mask=torch.ones_like(start_BL),
            do_sample=False,
            num_beams=num_beams,
            min_new_tokens=min_new_tokens,
            max_new_tokens=max_new_tokens,
            no_repeat_ngram_size=no_repeat_ngram_size,
            repetition_penalty=float(repetition_penalty),
        )
        # the last token given is the separator, which generate() takes off again
        answers_BL = tokens_BL[:, len(start_L) - 1 :]
        return [text.strip() for text in self._blip.words.batch_decode(answers_BL, skip_special_tokens=True)]

    def _start(self, prompt: str, max_new_tokens: int) -> list[int]:
        """[CLS] prompt [SEP], as BLIP's generate() wants it: it makes [CLS] the [DEC] that starts a caption."""
        start_L: list[int] = self._blip.words(prompt.strip())["input_ids"]
        room = self._blip.model.config.text_config.max_position_embeddings
        given = len(start_L) - 1
        if given + max_new_tokens > room:
            raise ConfigError(
                f"{given} tokens of prompt and {max_new_tokens} new ones are more than this captioner's {room}",
                "shorten the prompt or lower the maximum length of a caption",
            )
        return start_L
