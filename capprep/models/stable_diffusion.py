"""Stable Diffusion base models, frozen, from a diffusers folder or one checkpoint file, without any network.

Shapes: B pictures, C channels, H and W pixels or latent cells.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers.utils.logging
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, DDPMScheduler, UNet2DConditionModel
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from capprep.errors import ModelMismatch, ModelMissing
from capprep.models import pretrained
from capprep.models.device import torch_device
from capprep.models.single_file import Parts, load_parts

_COMPONENTS = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")
_ANOTHER = "give a Stable Diffusion 1.x or 2.x model: a diffusers folder, or one .safetensors or .ckpt file"


@dataclass(frozen=True)
class BaseModel:
    """A base model that is read and never changed.

    Attributes:
        name: Stem of the file, or the folder's name.
        path: Where it was loaded from.
        kind: "Stable Diffusion 1.x" or "Stable Diffusion 2.x", by the text encoder's family, for people.
        vae: The autoencoder in float32: it runs once per picture, where precision is cheap.
        vae_name: Which autoencoder that is, for the log.
        unet: The denoiser in `dtype`.
        text_encoder: CLIP's text tower in float32.
        tokenizer: CLIP's tokenizer; its padding token is the family's.
        noise: The noise schedule the model was trained with.
        resolution: Side in pixels of the squares the model was trained on.
        device: Where the networks are.
        dtype: Of the UNet's weights.
    """

    name: str
    path: Path
    kind: str
    vae: Any
    vae_name: str
    unet: Any
    text_encoder: Any
    tokenizer: Any
    noise: Any
    resolution: int
    device: torch.device
    dtype: torch.dtype

    @property
    def prediction_type(self) -> str:
        """What the UNet predicts: "epsilon" (the noise) or "v_prediction"."""
        return str(self.noise.config.prediction_type)

    @property
    def latent_scale(self) -> int:
        """Pixels per latent cell along a side."""
        return _latent_scale(self.vae)

    def encode(self, pixels_BCHW: Tensor) -> Tensor:
        """Scaled latents of RGB pixels in -1..1: the posterior's mean times the VAE's scaling factor, float32.

        Args:
            pixels_BCHW: On any device, height and width divisible by `latent_scale`.
        """
        with torch.no_grad():
            encoded = self.vae.encode(pixels_BCHW.to(_device_of(self.vae), torch.float32))
            mean_BCHW: Tensor = encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.mode()
            return mean_BCHW * float(self.vae.config.scaling_factor)

    def decode(self, latents_BCHW: Tensor) -> Tensor:
        """RGB pixels, about -1..1 and not clipped, of scaled latents."""
        with torch.no_grad():
            latents_BCHW = latents_BCHW.to(_device_of(self.vae), torch.float32)
            pixels_BCHW: Tensor = self.vae.decode(latents_BCHW / self.vae.config.scaling_factor).sample
            return pixels_BCHW


def load_base(path: Path, device: str, dtype: torch.dtype, configs: Path | None = None) -> BaseModel:
    """A base model with everything frozen and in evaluation mode.

    A single file holds weights only; what shape they have ships with the program. Of Stable Diffusion 2.x
    a single file is taken as the 768 pixel model with v-prediction; a diffusers folder says it itself.

    Args:
        path: A diffusers folder, or one .safetensors, .ckpt or .pt file with CompVis key names.
        device: "cpu", "cuda" or "auto".
        dtype: Of the UNet; autoencoder and text encoder stay float32.
        configs: Where the shapes of single files are described; the package's own folder if None.

    Raises:
        ModelMissing: There is nothing at `path`.
        ModelMismatch: It is something else, or damaged.
        DeviceError: The device is not there.
    """
    where = torch.device(torch_device(device))
    if not path.exists():
        raise ModelMissing(f"there is no base model at {path}", _ANOTHER)
    with quiet():
        parts = _load_folder(path) if path.is_dir() else load_parts(path, configs)
        _check_fits_together(path, parts)
        for network, kept in ((parts.unet, dtype), (parts.vae, torch.float32), (parts.text, torch.float32)):
            network.to(where, kept).requires_grad_(False).eval()
    own = "the folder's own" if path.is_dir() else "the checkpoint's own"
    return BaseModel(
        name=path.resolve().name if path.is_dir() else path.stem,
        path=path,
        kind=parts.kind,
        vae=parts.vae,
        vae_name=f"{own} ({type(parts.vae).__name__})",
        unet=parts.unet,
        text_encoder=parts.text,
        tokenizer=parts.tokenizer,
        noise=parts.noise,
        resolution=int(parts.unet.config.sample_size) * _latent_scale(parts.vae),
        device=where,
        dtype=dtype,
    )


@contextmanager
def moved(network: nn.Module, device: torch.device) -> Iterator[None]:
    """A network on a device for a while, and back where it was afterwards."""
    home = _device_of(network)
    network.to(device)
    try:
        yield
    finally:
        network.to(home)


def _device_of(network: nn.Module) -> torch.device:
    return next(network.parameters()).device


def _latent_scale(vae: Any) -> int:
    tiny = isinstance(vae, AutoencoderTiny)
    widths = vae.config.encoder_block_out_channels if tiny else vae.config.block_out_channels
    return int(2 ** (len(widths) - 1))


def _load_folder(folder: Path) -> Parts:
    configs = {part: _config(folder, part) for part in ("unet", "vae", "text_encoder")}
    vae_class = {"AutoencoderKL": AutoencoderKL, "AutoencoderTiny": AutoencoderTiny}.get(configs["vae"]["_class_name"])
    if vae_class is None:
        raise ModelMismatch(f"{folder} has the autoencoder {configs['vae']['_class_name']}", _ANOTHER)
    if configs["unet"]["_class_name"] != "UNet2DConditionModel" or (folder / "text_encoder_2").exists():
        raise ModelMismatch(f"{folder} is not a Stable Diffusion 1.x or 2.x model", _ANOTHER)
    try:
        tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
        noise = DDPMScheduler.from_pretrained(folder / "scheduler", local_files_only=True)
    except Exception as error:  # the tokenizers library raises bare Exception for a malformed file
        raise _broken(folder, error) from error
    return Parts(
        # the families differ in how a prompt is filled up
        kind="Stable Diffusion 1.x" if tokenizer.pad_token_id == tokenizer.eos_token_id else "Stable Diffusion 2.x",
        unet=_network(UNet2DConditionModel, folder / "unet"),
        vae=_network(vae_class, folder / "vae"),
        text=_network(CLIPTextModel, folder / "text_encoder"),
        tokenizer=tokenizer,
        noise=noise,
    )


def _network(network: Any, folder: Path) -> Any:
    """A network with all its weights: the libraries would draw a missing one at random and go on."""
    weights = [path.name for path in folder.iterdir() if path.suffix in {".safetensors", ".bin"}]
    # half-precision downloads hold only NAME.fp16.safetensors, which has to be asked for
    variant = {"variant": "fp16"} if weights and all(".fp16." in name for name in weights) else {}
    try:
        model, report = network.from_pretrained(folder, local_files_only=True, output_loading_info=True, **variant)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise _broken(folder, error) from error
    if report["missing_keys"]:
        count, first = len(report["missing_keys"]), min(report["missing_keys"])
        raise ModelMismatch(f"{folder} lacks {count} weights, {first} among them", "get the whole folder again")
    return model


def _broken(folder: Path, error: Exception) -> ModelMismatch:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return ModelMismatch(f"{folder} cannot be loaded: {lines[0]}", "get the whole folder again")


def _config(folder: Path, part: str) -> Any:
    missing = [name for name in _COMPONENTS if not (folder / name).is_dir()]
    if missing:
        raise ModelMismatch(f"{folder} is not a whole diffusers folder: it has no {missing[0]}/", _ANOTHER)
    try:
        config = json.loads((folder / part / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelMismatch(f"{folder / part / 'config.json'} cannot be read", "get the whole folder again") from error
    return {"_class_name": "", **config}


def _check_fits_together(path: Path, parts: Parts) -> None:
    """Refuse what loads and cannot be trained on: other inputs, widths that do not meet, no known size."""
    unet, text = parts.unet.config, parts.text.config
    if unet.in_channels != parts.vae.config.latent_channels:
        what = {9: "an inpainting model", 8: "an instruction or upscaling model", 5: "a depth model"}
        known = what.get(unet.in_channels, f"a model with {unet.in_channels} input channels")
        raise ModelMismatch(f"{path} is {known}", _ANOTHER)
    if unet.cross_attention_dim != text.hidden_size or not isinstance(unet.sample_size, int):
        raise ModelMismatch(
            f"{path} is not a Stable Diffusion 1.x or 2.x model: its parts do not fit together", _ANOTHER
        )
    if parts.noise.config.prediction_type not in {"epsilon", "v_prediction"}:
        kind = parts.noise.config.prediction_type
        raise ModelMismatch(f"{path} predicts {kind!r}, which cannot be trained on", _ANOTHER)


def quiet() -> AbstractContextManager[None]:
    """No progress bars and no load reports on stderr: what is wrong is raised here in our words."""
    return pretrained.quiet(diffusers.utils.logging)
