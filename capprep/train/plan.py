"""What a training run will cost, known before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from capprep.errors import ConfigError
from capprep.models.stable_diffusion import BaseModel
from capprep.train.config import TrainConfig
from capprep.train.diffusion import widths_of
from capprep.train.hypernetwork import Structure

BYTES_PER_TENSOR = 300
"""In a file, besides its numbers: names, shape, archive entry."""


@dataclass(frozen=True)
class NetworkPlan:
    """The size of a hypernetwork.

    Attributes:
        widths: What it acts on, in the order of its file.
        structure: Of each module.
        parameters: Numbers that are learnt.
        file_bytes: Of its `.pt` file, about.
        training_bytes: Memory of weights, gradients and optimizer state: 16 bytes for each parameter.
        checkpoint_bytes: A checkpoint with its optimizer state on disk, about.
        checkpoints: How many the run will leave.
    """

    widths: tuple[int, ...]
    structure: Structure
    parameters: int
    file_bytes: int
    training_bytes: int
    checkpoint_bytes: int
    checkpoints: int


def describe(config: TrainConfig, base: BaseModel) -> NetworkPlan:
    """The hypernetwork that a configuration makes for a base model.

    Raises:
        ConfigError: A width is not the base model's, or a layer would be empty.
    """
    available = widths_of(base.unet)
    widths = config.chosen_widths() or available
    unknown = [str(width) for width in widths if width not in available]
    if unknown:
        has = ", ".join(map(str, available))
        raise ConfigError(f"widths = {config.widths!r}: this base model has no {unknown[0]}", f"it has {has}")
    checkpoints = -(-config.schedule().end // config.save_every)
    return plan(widths, Structure(config.layers(), config.activation, config.layer_norm == "all"), checkpoints)


def plan(widths: Sequence[int], structure: Structure, checkpoints: int = 1) -> NetworkPlan:
    """The size of a hypernetwork of some widths.

    Raises:
        ConfigError: A layer would be empty.
    """
    if any(0 in structure.sizes(width) for width in widths):
        layers = ", ".join(f"{layer:g}" for layer in structure.layers)
        raise ConfigError(f"layer_structure = {layers!r} leaves a layer empty", "use larger numbers")
    parameters = structure.parameters(widths)
    overhead = BYTES_PER_TENSOR * structure.tensors(widths)
    return NetworkPlan(
        widths=tuple(widths),
        structure=structure,
        parameters=parameters,
        file_bytes=4 * parameters + overhead,
        training_bytes=16 * parameters,
        checkpoint_bytes=12 * parameters + 4 * overhead,
        checkpoints=checkpoints,
    )
