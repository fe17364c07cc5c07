"""A toy base model: the real classes and the real file layout at a tiny size, with random weights.

Only the interface is real: nothing was learnt, so its pictures mean nothing. It is there so that ingesting,
captioning and training can be run whole, offline and in seconds. Its native resolution is 64 pixels.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from safetensors.torch import save_file
from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from capprep.models.stable_diffusion import quiet
from capprep.toybox.world import WORDS

BASE = Path(__file__).parent / "weights" / "base"
"""The toy base model that ships with the package, made by `build_base(BASE, 0)`."""

SPELT = tuple(word for word in WORDS if word.isalpha())
"""The words of the drawn world, each one token; any other text is spelt in letters."""

END_OF_WORD = "</w>"
START, END = "<|startoftext|>", "<|endoftext|>"

CONTEXT = 48
"""Width of a text state, unlike every width of the UNet, as in the real models."""


def build_base(folder: Path, seed: int) -> None:
    """Write a toy base model as a diffusers folder, half precision, under 1 MB.

    Args:
        folder: Made if missing; files of the same names are replaced.
        seed: Of the random weights; the global random state is left as it was.
    """
    tokenizer = _tokenizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet, vae = UNet2DConditionModel(**_UNET), AutoencoderKL(**_VAE)
        text = CLIPTextModel(_text_config(tokenizer))
    with quiet():
        unet.half().save_pretrained(folder / "unet")
        vae.half().save_pretrained(folder / "vae")
        _save_text_encoder(text.half(), folder / "text_encoder")
    tokenizer.save_pretrained(folder / "tokenizer")
    DDPMScheduler(**_NOISE).save_pretrained(folder / "scheduler")
    (folder / "model_index.json").write_text(json.dumps(_INDEX, indent=2) + "\n", encoding="utf-8")


def merges_of(words: Sequence[str]) -> list[tuple[str, str]]:
    """Byte-pair merges, in order of priority, after which each word is one token.

    A word is run through the merges so far and what is left of it is joined from the left. Merges of
    words that came before go first, so none of them comes apart again.
    """
    merges: list[tuple[str, str]] = []
    for word in words:
        while len(parts := _spelt(word, merges)) > 1:
            merges.append((parts[0], parts[1]))
    return merges


def _spelt(word: str, merges: Sequence[tuple[str, str]]) -> list[str]:
    """A word's tokens by byte-pair encoding: the pair of the highest priority is joined until none is left."""
    rank = {pair: number for number, pair in enumerate(merges)}
    parts = [*word[:-1], word[-1] + END_OF_WORD]
    while len(parts) > 1:
        best = min(pairwise(parts), key=lambda pair: rank.get(pair, len(rank)))
        if best not in rank:
            break
        joined: list[str] = []
        for part in parts:
            if joined and (joined[-1], part) == best:
                joined[-1] += part
            else:
                joined.append(part)
        parts = joined
    return parts


def _tokenizer() -> Any:
    letters = sorted(ByteLevel.alphabet())
    merges = merges_of(SPELT)
    tokens = [*letters, *(letter + END_OF_WORD for letter in letters), *("".join(pair) for pair in merges), START, END]
    vocabulary = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=77)


def _text_config(tokenizer: Any) -> Any:
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=CONTEXT,
        intermediate_size=2 * CONTEXT,
        projection_dim=CONTEXT,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=77,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def _save_text_encoder(text: Any, folder: Path) -> None:
    """With the key names of every published model, which newer libraries no longer write by themselves."""
    text.config.save_pretrained(folder)
    named = {f"text_model.{key.removeprefix('text_model.')}": tensor for key, tensor in text.state_dict().items()}
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config |= {"architectures": ["CLIPTextModel"], "dtype": "float16"}
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    save_file(named, folder / "model.safetensors", metadata={"format": "pt"})


_UNET: dict[str, Any] = {
    "sample_size": 8,
    "in_channels": 4,
    "out_channels": 4,
    "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    "block_out_channels": (16, 32),
    "layers_per_block": 1,
    "cross_attention_dim": CONTEXT,
    "attention_head_dim": 4,
    "norm_num_groups": 8,
}
_VAE: dict[str, Any] = {
    "sample_size": 64,
    "latent_channels": 4,
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (4, 8, 16, 16),
    "layers_per_block": 1,
    "norm_num_groups": 1,
    "mid_block_add_attention": False,
    "scaling_factor": 4.6,  # gives latents about unit variance, as the real factor does
}
_NOISE: dict[str, Any] = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "prediction_type": "epsilon",
    "steps_offset": 1,
}
_INDEX: dict[str, Any] = {
    "_class_name": "StableDiffusionPipeline",
    "feature_extractor": [None, None],
    "image_encoder": [None, None],
    "requires_safety_checker": False,
    "safety_checker": [None, None],
    "scheduler": ["diffusers", "DDPMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}
