"""Pictures from a base model with and without a hypernetwork.

Shapes: B = 2 rows (without and with the prompt), C channels, H and W latent cells, T text states, D their width.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from diffusers import EulerDiscreteScheduler
from PIL import Image
from torch import Tensor

from capprep.errors import CapprepError
from capprep.files import write_atomically
from capprep.models.stable_diffusion import BaseModel, moved, quiet
from capprep.train import text
from capprep.train.diffusion import attached, autocast, check_bare
from capprep.train.hypernetwork import Hypernetwork

GAP = 8
"""Pixels between two pictures side by side, for each 512 of their height."""


def sample(
    base: BaseModel,
    prompt: str,
    *,
    hypernetwork: Hypernetwork | None = None,
    strength: float = 1.0,
    steps: int = 20,
    guidance: float = 7.0,
    seed: int = 0,
) -> Image.Image:
    """One picture at the base model's resolution, the same for the same arguments.

    Euler steps with classifier-free guidance against the empty prompt; the text goes the same way as in
    training. The hypernetwork acts on both, as in the webui.

    Args:
        base: The bare base model.
        prompt: What to draw.
        hypernetwork: On the base model's device, or None.
        strength: Of the hypernetwork.
        steps: Of the sampler.
        guidance: Classifier-free guidance scale.
        seed: Of the starting noise, which is drawn on the CPU and so the same everywhere.

    Raises:
        CapprepError: What came out is not a picture: numbers are not finite.
        ModelMismatch: Something is attached to the base model.
    """
    with torch.no_grad(), moved(base.text_encoder, base.device), moved(base.vae, base.device):
        states_BTD = text.stack([text.encode(base.tokenizer, base.text_encoder, words) for words in ("", prompt)])
        with _acting(base, hypernetwork, strength):
            latents_BCHW = _denoised(base, states_BTD, steps, guidance, seed)
        pixels_CHW = base.decode(latents_BCHW)[0]
    if not torch.isfinite(pixels_CHW).all():
        raise CapprepError("the picture is not finite numbers", "use a lower strength or an earlier checkpoint")
    return _picture(pixels_CHW)


def side_by_side(left: Image.Image, right: Image.Image) -> Image.Image:
    """Two pictures of one size on one white sheet."""
    gap = max(1, GAP * left.height // 512)
    sheet = Image.new("RGB", (left.width + gap + right.width, left.height), "white")
    sheet.paste(left, (0, 0))
    sheet.paste(right, (left.width + gap, 0))
    return sheet


def write_picture(path: Path, picture: Image.Image) -> None:
    """Write a picture as PNG, whole or not at all."""
    content = io.BytesIO()
    picture.save(content, "PNG")
    write_atomically(path, content.getvalue())


@contextmanager
def _acting(base: BaseModel, hypernetwork: Hypernetwork | None, strength: float) -> Iterator[None]:
    """The hypernetwork, if any, attached in evaluation mode; afterwards it is as it was."""
    if hypernetwork is None:
        check_bare(base.unet)
        yield
        return
    training = hypernetwork.training
    hypernetwork.eval().set_strength(strength)
    try:
        with attached(base.unet, hypernetwork):
            yield
    finally:
        hypernetwork.train(training).set_strength(1.0)


def _denoised(base: BaseModel, states_BTD: Tensor, steps: int, guidance: float, seed: int) -> Tensor:
    with quiet():
        scheduler = EulerDiscreteScheduler.from_config(base.noise.config)
    scheduler.set_timesteps(steps, device=base.device)
    side = base.unet.config.sample_size
    shape = (1, base.unet.config.in_channels, side, side)
    x_BCHW: Tensor = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(base.device)
    x_BCHW = x_BCHW * scheduler.init_noise_sigma
    for timestep in scheduler.timesteps:
        both_BCHW = scheduler.scale_model_input(torch.cat([x_BCHW, x_BCHW]), timestep)
        with autocast(base.device, base.dtype):
            predicted_BCHW = base.unet(both_BCHW, timestep, encoder_hidden_states=states_BTD, return_dict=False)[0]
        without, wanted = predicted_BCHW.float().chunk(2)
        x_BCHW = scheduler.step(without + guidance * (wanted - without), timestep, x_BCHW, return_dict=False)[0]
    return x_BCHW


def _picture(pixels_CHW: Tensor) -> Image.Image:
    bytes_HWC = ((pixels_CHW.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0)
    return Image.fromarray(np.ascontiguousarray(bytes_HWC.cpu().numpy()))
