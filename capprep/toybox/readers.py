"""Tiny readers of the drawn world with random weights, in the real classes and the real file layout."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from transformers import BertTokenizer, BlipConfig, BlipForConditionalGeneration, BlipForImageTextRetrieval

from capprep.files import write_atomically
from capprep.toybox.drawing import BACKGROUNDS, COLOURS
from capprep.toybox.shapes import KINDS
from capprep.toybox.world import TAGS, WORDS, draw, plural, scene

# N pictures, F numbers of a picture's 16x16 mosaic, K hidden numbers, T tags

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]")
VOCABULARY = (*SPECIAL, *WORDS)
SIDE = 96
"""The readers' pictures, in pixels; small enough that a caption takes milliseconds."""

_CODES = {"general": "0", "meta": "5", "rating": "9"}
_MOSAIC, _HIDDEN, _TAGGER_SIDE = 16, 48, 512


def build_readers(folder: Path, seed: int) -> None:
    """Write `caption/`, `match/` and `booru/`: a captioner, a matcher and a tagger that know nothing yet.

    The same seed gives the same bytes with the same versions of the libraries.

    Raises:
        ImportError: The package onnx, a development dependency, is not installed.
    """
    captioner = _untrained(BlipForConditionalGeneration, seed)
    _make_it_speak(captioner)
    _write_blip(captioner, folder / "caption")
    _write_blip(_untrained(BlipForImageTextRetrieval, seed + 1), folder / "match")
    write_atomically(folder / "booru" / "model.onnx", _tagger(seed + 2))
    rows = ["name,category", *(f"{tag},{_CODES[category]}" for tag, category in TAGS.items())]
    write_atomically(folder / "booru" / "labels.csv", "\n".join([*rows, ""]).encode())


def _config() -> BlipConfig:
    number = {word: index for index, word in enumerate(VOCABULARY)}
    text = {
        "vocab_size": len(VOCABULARY),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 128,
        "bos_token_id": number["[DEC]"],
        "eos_token_id": number["[SEP]"],
        "sep_token_id": number["[SEP]"],
        "pad_token_id": number["[PAD]"],
    }
    vision = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "image_size": SIDE,
        "patch_size": 16,
    }
    return BlipConfig(text_config=text, vision_config=vision, image_text_hidden_size=32)


def _untrained(cls: Any, seed: int) -> Any:
    """A network with weights large enough that what it says depends on what it sees."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = cls(_config()).eval()
        for name, weight in sorted(model.named_parameters()):
            if weight.ndim > 1:
                torch.nn.init.normal_(weight, std=_spread(name, weight))
    model.config.architectures = [cls.__name__]
    return model


def _spread(name: str, weight: torch.Tensor) -> float:
    """Standard deviation of a weight's first values: whatever makes random sentences vary and end."""
    if "word_embeddings" in name:
        return 0.5
    if "position_embedding" in name or "class_embedding" in name:
        return 4.0 if "text" in name else 1.0  # louder than the words, or one word would follow itself
    gain = 0.3 if "crossattention.output" in name else 2.0
    return gain / math.sqrt(weight[0].numel())


def _make_it_speak(captioner: Any) -> None:
    """Let it choose among the words of captions only, and end a sentence now and then."""
    spoken = {"a", "two", "three", "and", "on", "under", *KINDS, *map(plural, KINDS), *COLOURS}
    spoken |= {word for name in BACKGROUNDS for word in name.split()}
    head = captioner.text_decoder.cls.predictions
    with torch.no_grad():
        head.bias.copy_(torch.tensor([0.0 if word in spoken else -1000.0 for word in VOCABULARY]))
        head.bias[VOCABULARY.index("[SEP]")] = 6.0


def _write_blip(model: Any, folder: Path) -> None:
    tied = getattr(type(model), "_tied_weights_keys", None) or {}
    weights = {name: value.half().contiguous() for name, value in model.state_dict().items() if name not in tied}
    write_atomically(folder / "model.safetensors", save(weights, metadata={"format": "pt"}))
    write_atomically(folder / "config.json", model.config.to_json_string().encode())
    write_atomically(folder / "preprocessor_config.json", _as_json(_preprocessor()))
    words = BertTokenizer(vocab={word: index for index, word in enumerate(VOCABULARY)}, model_max_length=128)
    words.add_special_tokens({"additional_special_tokens": ["[DEC]", "[ENC]"]})
    words.save_pretrained(str(folder))


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
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
    }


def _as_json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def _tagger(seed: int) -> bytes:
    """An ONNX graph from (N, 512, 512, 3) in 0..1 over a 16x16 mosaic and one hidden layer to probabilities."""
    from onnx import TensorProto, helper, numpy_helper  # a development dependency

    weights = {name: numpy_helper.from_array(value, name) for name, value in _tagger_weights(seed).items()}
    cell = _TAGGER_SIDE // _MOSAIC
    nodes = [
        helper.make_node("Transpose", ["input"], ["nchw"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["nchw"], ["cells"], kernel_shape=[cell, cell], strides=[cell, cell]),
        helper.make_node("Flatten", ["cells"], ["mosaic"]),
        helper.make_node("Gemm", ["mosaic", "into", "into_bias"], ["sum"]),
        helper.make_node("Tanh", ["sum"], ["hidden"]),
        helper.make_node("Gemm", ["hidden", "out", "out_bias"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["probabilities"]),
    ]
    takes = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", _TAGGER_SIDE, _TAGGER_SIDE, 3])
    gives = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", len(TAGS)])
    graph = helper.make_graph(nodes, "booru", [takes], [gives], list(weights.values()))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return bytes(model.SerializeToString(deterministic=True))


def _tagger_weights(seed: int) -> dict[str, NDArray[np.float32]]:
    """Random weights, scaled on drawn scenes so that a handful of tags pass 0.5 and differ from picture to picture."""
    rng = np.random.default_rng(seed)
    small = [np.asarray(draw(scene(number), (4 * _MOSAIC, 4 * _MOSAIC))) for number in range(64)]
    blocks = np.stack(small).reshape(len(small), _MOSAIC, 4, _MOSAIC, 4, 3).mean(axis=(2, 4)) / 255
    x_NF = blocks.transpose(0, 3, 1, 2).reshape(len(small), -1)
    into_FK = rng.normal(size=(x_NF.shape[1], _HIDDEN)) * 3 / math.sqrt(x_NF.shape[1])
    hidden_NK = np.tanh((x_NF - x_NF.mean(axis=0)) @ into_FK)
    out_KT = rng.normal(size=(_HIDDEN, len(TAGS)))
    rating_T = np.array([category == "rating" for category in TAGS.values()])
    swing_T = np.where(rating_T, 0.5, 1.6)
    out_KT *= swing_T / (hidden_NK @ out_KT).std(axis=0)
    wanted_T = rng.normal(-1.9, 0.5, size=len(TAGS))
    wanted_T[rating_T] = (2.5, -3.0, -4.0)  # safe, questionable, explicit
    weights = {
        "into": into_FK,
        "into_bias": -x_NF.mean(axis=0) @ into_FK,
        "out": out_KT,
        "out_bias": wanted_T - (hidden_NK @ out_KT).mean(axis=0),
    }
    # rounded, so that another processor's last digit does not make another file
    return {name: value.round(4).astype(np.float32) for name, value in weights.items()}
