"""Which pictures, timesteps and noise an update sees: a pure function of the seed and the update's number.

So a run can be taken up anywhere from weights, optimizer state and step alone.

Shapes: B pictures of a batch, C channels, H and W latent cells.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Draw:
    """What one update sees.

    Attributes:
        pictures: Their numbers in the training set.
        timesteps_B: 0..999 for each, int64, on the CPU.
        noise_BCHW: Standard normal, float32, on the CPU.
        epoch: How often the whole set was seen before the first of them.
    """

    pictures: tuple[int, ...]
    timesteps_B: Tensor
    noise_BCHW: Tensor
    epoch: int


def generator_of(seed: int, purpose: str, number: int = 0) -> torch.Generator:
    """A fresh generator on the CPU for one purpose of one step, the same on every machine."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{number}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big", signed=True))


def draw(
    seed: int, step: int, *, count: int, batch_size: int, latent_shape: tuple[int, ...], timesteps: int = 1000
) -> Draw:
    """What update number `step`, counted from 0, sees.

    Epochs follow each other without a gap: each shows every picture once in an order of its own, and a batch
    may begin in one and end in the next, so that no picture is ever left out.

    Args:
        seed: Of the run.
        step: The update's number.
        count: Pictures in the training set.
        batch_size: Pictures in a batch; may be larger than `count`.
        latent_shape: (C, H, W).
        timesteps: Of the base model's noise schedule.
    """
    first = step * batch_size
    pictures = tuple(_order(seed, place // count, count)[place % count] for place in range(first, first + batch_size))
    generator = generator_of(seed, "step", step)
    timesteps_B = torch.randint(timesteps, (batch_size,), generator=generator)
    noise_BCHW = torch.randn((batch_size, *latent_shape), generator=generator)
    return Draw(pictures, timesteps_B, noise_BCHW, first // count)


def _order(seed: int, epoch: int, count: int) -> list[int]:
    order: list[int] = torch.randperm(count, generator=generator_of(seed, "epoch", epoch)).tolist()
    return order
