"""What is learnt from, computed once: the pictures' latents and the text states of their filled templates.

Shapes: N pictures, C channels, H and W latent cells, T text states, D their width.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from capprep.errors import DatasetError
from capprep.images import files
from capprep.images.decode import decode
from capprep.images.unusable import Unusable
from capprep.manifest import Entry, Manifest
from capprep.models.stable_diffusion import BaseModel, moved
from capprep.train import text
from capprep.train.batches import generator_of

PICTURES_AT_ONCE = 2
"""In one pass of the autoencoder: its memory is the largest of the whole run, its speed is no matter."""


@dataclass(frozen=True)
class Examples:
    """The training set as the loop reads it.

    Attributes:
        latents_NCHW: Scaled posterior means, float32, on the training device.
        states: For each picture its text states (T, D), float32, on the training device.
    """

    latents_NCHW: Tensor
    states: tuple[Tensor, ...]

    def __len__(self) -> int:
        return len(self.states)


def prepare(manifest: Manifest, base: BaseModel, template: Sequence[str], name: str, seed: int) -> Examples:
    """Latents and text states of a manifest, in an order that depends on its content only.

    A template with several lines gives each picture one of them, drawn once for the whole run.

    Args:
        manifest: Square pictures, at least as large as the base model's resolution.
        base: The bare base model.
        template: Lines with `[filewords]` and `[name]`.
        name: What stands for `[name]`.
        seed: Of the choice of lines.

    Raises:
        DatasetError: A picture is gone, changed, cannot be decoded, is not square or is too small.
    """
    entries = sorted(manifest.entries, key=lambda entry: (entry.sha256, entry.text))
    lines_N = torch.randint(len(template), (len(entries),), generator=generator_of(seed, "template"))
    prompts = [
        text.fill(template[line], entry.text, name) for line, entry in zip(lines_N.tolist(), entries, strict=True)
    ]
    latents = [
        base.encode(
            torch.stack([pixels(entry, base.resolution) for entry in entries[first : first + PICTURES_AT_ONCE]])
        )
        for first in range(0, len(entries), PICTURES_AT_ONCE)
    ]
    states = [text.encode(base.tokenizer, base.text_encoder, prompt) for prompt in prompts]
    return Examples(torch.cat(latents), tuple(states))


@contextmanager
def parked(base: BaseModel) -> Iterator[None]:
    """VAE and text encoder off the GPU while nothing needs them; nothing to do where there is none."""
    if base.device.type == "cpu":
        yield
        return
    with ExitStack() as stack:
        for network in (base.vae, base.text_encoder):
            stack.enter_context(moved(network, torch.device("cpu")))
        torch.cuda.empty_cache()
        yield


def pixels(entry: Entry, resolution: int) -> Tensor:
    """A picture as RGB in -1..1, shape (3, resolution, resolution), reduced if it is larger.

    Raises:
        DatasetError: It is gone, changed since the manifest was made, unreadable, not square or too small.
    """
    try:
        content = files.read(entry.image)
        picture = Image.fromarray(decode(content).pixels_HWC)
    except Unusable as error:
        hint = "run `capprep ingest` again, or take the picture out"
        raise DatasetError(f"{entry.image} cannot be used: {error.message}", hint) from error
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise DatasetError(f"{entry.image} changed while it was being read", "start `capprep train` again")
    if picture.width != picture.height:
        size = f"{picture.width}x{picture.height}"
        hint = f"make squares with: capprep ingest FOLDER --size {resolution}"
        raise DatasetError(f"{entry.image} is {size} pixels, not square", hint)
    if picture.width < resolution:
        raise DatasetError(
            f"{entry.image} is {picture.width} pixels wide; this base model needs {resolution}",
            f"prepare the pictures again with: capprep ingest FOLDER --size {resolution}",
        )
    if picture.width > resolution:
        picture = picture.resize((resolution, resolution), Image.Resampling.LANCZOS)
    pixels_HWC = torch.from_numpy(np.array(picture, dtype=np.float32))
    return (pixels_HWC / 127.5 - 1).permute(2, 0, 1)
