"""The tiny readers of the drawn world: the real classes at a thousandth of the size, and their files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from transformers import BertTokenizer, BlipConfig

from capprep.files import write_atomically
from capprep.toybox.training.pool import CELL, SIDE
from capprep.toybox.world import TAGS, WORDS

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]")
VOCABULARY = (*SPECIAL, *WORDS)
PAD = VOCABULARY.index("[PAD]")
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""What BLIP subtracts from and divides by, for red, green and blue in 0..1."""

_CODES = {"general": "0", "meta": "5", "rating": "9"}


def blip_config() -> BlipConfig:
    """The size of both BLIP models: 5 layers of vision 192 wide, 3 of text 160 wide."""
    number = {word: index for index, word in enumerate(VOCABULARY)}
    text = {
        "vocab_size": len(VOCABULARY),
        "hidden_size": 160,
        "intermediate_size": 480,
        "num_hidden_layers": 3,
        "num_attention_heads": 5,
        "max_position_embeddings": 64,
        "bos_token_id": number["[DEC]"],
        "eos_token_id": number["[SEP]"],
        "sep_token_id": number["[SEP]"],
        "pad_token_id": number["[PAD]"],
    }
    vision = {
        "hidden_size": 192,
        "intermediate_size": 768,
        "num_hidden_layers": 5,
        "num_attention_heads": 6,
        "image_size": SIDE,
        "patch_size": CELL,
        "initializer_range": 0.02,  # the class's own default of 1e-10 is nothing to start a training from
    }
    return BlipConfig(text_config=text, vision_config=vision, image_text_hidden_size=96)


def tokenizer() -> BertTokenizer:
    """The world's words, one token each."""
    words = BertTokenizer(vocab={word: index for index, word in enumerate(VOCABULARY)}, model_max_length=64)
    words.add_special_tokens({"additional_special_tokens": ["[DEC]", "[ENC]"]})
    return words


def begun(words: BertTokenizer, texts: Sequence[str], first: str) -> torch.Tensor:
    """Texts as padded tokens (N, L), begun with a token of their own instead of [CLS]."""
    tokens_NL: torch.Tensor = words(list(texts), padding=True, return_tensors="pt")["input_ids"]
    tokens_NL[:, 0] = VOCABULARY.index(first)
    return tokens_NL


def write_blip(model: Any, folder: Path) -> None:
    """Write a BLIP model with its tokenizer and preprocessor as transformers does, in float16."""
    model.config.architectures = [type(model).__name__]
    tied = getattr(type(model), "_tied_weights_keys", None) or {}
    weights = {
        name: value.detach().cpu().half().contiguous() if value.is_floating_point() else value.cpu()
        for name, value in model.state_dict().items()
        if name not in tied
    }
    write_atomically(folder / "model.safetensors", save(weights, metadata={"format": "pt"}))
    write_atomically(folder / "config.json", model.config.to_json_string().encode())
    write_atomically(folder / "preprocessor_config.json", _as_json(_preprocessor()))
    tokenizer().save_pretrained(str(folder))


def write_labels(folder: Path) -> None:
    """Write the names and categories of the tagger's outputs."""
    rows = ["name,category", *(f"{tag},{_CODES[category]}" for tag, category in TAGS.items())]
    write_atomically(folder / "labels.csv", "\n".join([*rows, ""]).encode())


def pixels(images_NSSC: torch.Tensor) -> torch.Tensor:
    """uint8 pictures (N, S, S, 3) as BLIP's input (N, 3, S, S)."""
    x_NCHW = images_NSSC.permute(0, 3, 1, 2).float() / 255
    return (x_NCHW - torch.tensor(MEAN).to(x_NCHW)[:, None, None]) / torch.tensor(STD).to(x_NCHW)[:, None, None]


def _preprocessor() -> dict[str, Any]:
    return {
        "image_processor_type": "BlipImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"height": SIDE, "width": SIDE},
        "resample": 3,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(MEAN),
        "image_std": list(STD),
    }


def _as_json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()
