"""The captioner: from the trained vision to sentences."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import BlipForConditionalGeneration

from capprep.toybox.readers import PAD, begun, blip_config, tokenizer
from capprep.toybox.training.pool import Batch
from capprep.toybox.training.tower import HEADS_SHARE, Heads, TowerTask, states

# N captions, L tokens


class CaptionerTask:
    """`BlipForConditionalGeneration` learning to say the caption of what it sees.

    Args:
        tower: The trained vision and its heads; both learn on.
    """

    def __init__(self, tower: TowerTask) -> None:
        self.model = BlipForConditionalGeneration(blip_config())
        self.model.vision_model.load_state_dict(tower.vision.state_dict())
        self.heads: Heads = tower.heads
        self.net = nn.ModuleList([self.model, self.heads])
        self._words = tokenizer()

    def losses(self, batch: Batch, rng: np.random.RandomState) -> dict[str, torch.Tensor]:
        """The words of the true captions, and what lies where."""
        seen = states(self.model.vision_model, batch)
        tokens_NL, logits_NLV = self._read(seen, batch)
        wanted = tokens_NL[:, 1:].masked_fill(tokens_NL[:, 1:] == PAD, -100)
        words = cross_entropy(logits_NLV[:, :-1].flatten(0, 1).float(), wanted.flatten())
        kept = self.heads.losses(seen, batch)
        return {"words": words} | {name: HEADS_SHARE * loss for name, loss in kept.items()}

    def measures(self, batch: Batch) -> dict[str, float]:
        """Share of captions of which every word, given the true ones before it, would be said."""
        seen = states(self.model.vision_model, batch)
        tokens_NL, logits_NLV = self._read(seen, batch)
        right = (logits_NLV[:, :-1].argmax(dim=-1) == tokens_NL[:, 1:]) | (tokens_NL[:, 1:] == PAD)
        words = {"caption_right": float(right.all(dim=1).float().mean()), "word_right": float(right.float().mean())}
        return words | self.heads.measures(seen, batch)

    def _read(self, seen: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """The true captions as tokens and the next word's logits after each of them."""
        tokens_NL = begun(self._words, [shown.caption for shown in batch.scenes], "[DEC]").to(seen.device)
        answer = self.model.text_decoder(
            input_ids=tokens_NL,
            attention_mask=(tokens_NL != PAD).long(),
            encoder_hidden_states=seen,
            return_dict=True,
        )
        return tokens_NL, answer.logits
