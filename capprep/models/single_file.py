"""One checkpoint file with CompVis key names taken apart into UNet, VAE and text encoder, and other files named."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from diffusers.loaders.single_file_utils import (
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
    convert_open_clip_checkpoint,
)
from safetensors.torch import load_file
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from capprep.errors import ModelMismatch

UNET = "model.diffusion_model."
VAE = "first_stage_model."
CLIP = "cond_stage_model.transformer."
OPEN_CLIP = "cond_stage_model.model."
SUFFIXES = (".safetensors", ".ckpt", ".pt", ".pth", ".bin")

_HERE = Path(__file__).parent
_ANOTHER = "give a whole Stable Diffusion 1.x or 2.x checkpoint, or a diffusers folder"

_OTHER_KINDS = (
    # (what a key of it contains, what it is); the first that occurs decides
    ("lora_", "a LoRA"),
    (".lora", "a LoRA"),
    ("conditioner.embedders.1.", "Stable Diffusion XL"),
    ("conditioner.embedders.0.", "the Stable Diffusion XL refiner"),
    ("control_model.", "a ControlNet"),
    ("controlnet_", "a ControlNet"),
    ("joint_blocks.", "Stable Diffusion 3"),
    ("double_blocks.", "Flux"),
    ("label_emb.", "a model with a second condition (unCLIP or Stable Diffusion XL)"),
    ("string_to_param", "a textual inversion embedding"),
    ("emb_params", "a textual inversion embedding"),
    ("dropout_structure", "a hypernetwork"),
    ("layer_structure", "a hypernetwork"),
)


@dataclass(frozen=True)
class Parts:
    """A base model's networks as they come out of a file or folder.

    Attributes:
        kind: "Stable Diffusion 1.x" or "Stable Diffusion 2.x".
        unet, vae, text: The networks on the CPU.
        tokenizer: CLIP's tokenizer.
        noise: The noise schedule.
    """

    kind: str
    unet: Any
    vae: Any
    text: Any
    tokenizer: Any
    noise: Any


class _ModelCheckpoint:
    """Stands for Lightning's class, which training checkpoints of 2022 name as a key and never need."""


def load_parts(path: Path, configs: Path | None = None) -> Parts:
    """The parts of one checkpoint file.

    Args:
        path: A .safetensors file, or a .ckpt, which is read through `torch.load(weights_only=True)`.
        configs: A folder with `sd1/` and `sd2/`, each with unet.json, vae.json, text_encoder.json and scheduler.json.

    Raises:
        ModelMismatch: The file is damaged, holds other things, or lacks a part.
    """
    tensors = _read(path)
    _refuse_other_kinds(path, tensors)
    open_clip = any(key.startswith(OPEN_CLIP) for key in tensors)
    folder = (configs or _HERE / "sd_configs") / ("sd2" if open_clip else "sd1")
    unet, vae, text, noise = (_json(folder, part) for part in ("unet", "vae", "text_encoder", "scheduler"))
    # Stable Diffusion 2.x pads a prompt with "!" (token 0), 1.x with the end-of-text token
    padding = {"pad_token": "!"} if open_clip else {}
    return Parts(
        kind="Stable Diffusion 2.x" if open_clip else "Stable Diffusion 1.x",
        unet=_filled(path, UNet2DConditionModel, unet, convert_ldm_unet_checkpoint(_under(tensors, UNET), unet)),
        vae=_filled(path, AutoencoderKL, vae, convert_ldm_vae_checkpoint(_under(tensors, VAE), vae)),
        text=_text_encoder(path, tensors, text),
        tokenizer=CLIPTokenizer.from_pretrained(_HERE / "clip_tokenizer", local_files_only=True, **padding),
        noise=DDPMScheduler.from_config(noise),
    )


def _json(folder: Path, part: str) -> Any:
    return json.loads((folder / f"{part}.json").read_text(encoding="utf-8"))


def _read(path: Path) -> dict[str, Tensor]:
    """Every tensor of a file by its key; a torch file's other entries are named as keys with an empty tensor."""
    if path.suffix.lower() not in SUFFIXES:
        raise ModelMismatch(f"{path} is not a checkpoint: its suffix is {path.suffix or 'missing'}", _ANOTHER)
    try:
        if path.suffix.lower() == ".safetensors":
            return dict(load_file(path))
        stub = (_ModelCheckpoint, "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint")
        with torch.serialization.safe_globals([stub]):
            mapped = zipfile.is_zipfile(path)  # the format before 2020 cannot be mapped into memory
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        raise ModelMismatch(
            f"{path} holds more than weights, or is no checkpoint, and was not loaded",
            "get the same model as a .safetensors file",
        ) from error
    except Exception as error:  # torch's restricted unpickler raises whatever garbage makes it stumble over
        raise ModelMismatch(f"{path} is damaged or no checkpoint", "get the file again") from error
    if not isinstance(content, Mapping):
        raise ModelMismatch(f"{path} is no checkpoint", _ANOTHER)
    inner = content.get("state_dict")
    entries = inner if isinstance(inner, Mapping) else content
    return {str(key): value if isinstance(value, Tensor) else torch.empty(0) for key, value in entries.items()}


def _refuse_other_kinds(path: Path, tensors: Mapping[str, Tensor]) -> None:
    for part, kind in _OTHER_KINDS:
        if any(part in key for key in tensors):
            raise ModelMismatch(f"{path} is {kind}", _ANOTHER)
    first = tensors.get(f"{UNET}input_blocks.0.0.weight")
    if first is None:
        only_vae = any(key.startswith(("encoder.", VAE)) for key in tensors)
        kind = "only a VAE" if only_vae else "not a Stable Diffusion checkpoint with the original key names"
        raise ModelMismatch(f"{path} is {kind}", _ANOTHER)
    if first.ndim == 4 and first.shape[1] == 9:
        raise ModelMismatch(f"{path} is an inpainting model", _ANOTHER)
    for prefixes, name in (((VAE,), "VAE"), ((CLIP, OPEN_CLIP), "text encoder")):
        if not any(key.startswith(prefixes) for key in tensors):
            raise ModelMismatch(f"{path} holds no {name}", _ANOTHER)


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries with a prefix, which stays: the converters look for it."""
    return {key: tensor for key, tensor in tensors.items() if key.startswith(prefix)}


def _filled(path: Path, network: Any, config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Any:
    """A network that takes the file's tensors as its own, without first drawing random ones."""
    with torch.device("meta"):
        model = network.from_config(config)
    try:
        # strict: the library's own single-file loading leaves a missing weight random and says nothing
        model.load_state_dict(weights, strict=True, assign=True)
    except RuntimeError as error:
        raise ModelMismatch(f"{path} does not have the weights of a {network.__name__}", _ANOTHER) from error
    return model


def _text_encoder(path: Path, tensors: Mapping[str, Tensor], shape: Mapping[str, Any]) -> Any:
    config = CLIPTextConfig(**shape)
    if any(key.startswith(OPEN_CLIP) for key in tensors):
        # the converter reads nothing of the model but its width
        named = convert_open_clip_checkpoint(SimpleNamespace(config=config), _under(tensors, OPEN_CLIP), OPEN_CLIP)
        layers = tuple(f"text_model.encoder.layers.{i}." for i in range(config.num_hidden_layers))
        weights = {k: v for k, v in named.items() if "layers." not in k or k.startswith(layers)}
        weights.pop("text_projection.weight", None)
    else:
        weights = {key.removeprefix(CLIP): tensor for key, tensor in _under(tensors, CLIP).items()}
        # some files carry the constant 0..76 as a weight
        weights.pop("text_model.embeddings.position_ids", None)
    try:
        model, report = CLIPTextModel.from_pretrained(
            None, config=config, state_dict=weights, output_loading_info=True, dtype=torch.float32
        )
    except RuntimeError as error:
        raise ModelMismatch(f"{path} does not have the weights of a CLIP text encoder", _ANOTHER) from error
    if report["missing_keys"] or report["unexpected_keys"] or report["mismatched_keys"]:
        raise ModelMismatch(f"{path} does not have the weights of a CLIP text encoder", _ANOTHER)
    return model
