"""The hypernetwork itself: for each width one module for keys and one for values, built and drawn as the webui does.

x + M(x) * strength acts on what goes into `to_k` and `to_v` of every attention of that width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

ACTIVATIONS: dict[str, type[nn.Module] | None] = {
    "linear": None,
    "relu": nn.ReLU,
    "leakyrelu": nn.LeakyReLU,
    "elu": nn.ELU,
    "swish": nn.Hardswish,  # the webui's swish is not SiLU
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "softsign": nn.Softsign,
    "mish": nn.Mish,
}
"""The activations that the webui and ComfyUI both know, by the names that stand in files."""


@dataclass(frozen=True)
class Structure:
    """The shape of every module of a hypernetwork.

    Attributes:
        layers: Widths as multiples of the input's; the first and the last are 1.
        activation: A key of `ACTIVATIONS`.
        layer_norm: A LayerNorm after every Linear, the last one too.
        activate_output: The activation after the last Linear as well; old files only.
        dropout: A probability for each entry of `layers`, 0 for none; read from files, inert outside training.
    """

    layers: tuple[float, ...] = (1.0, 2.0, 1.0)
    activation: str = "linear"
    layer_norm: bool = False
    activate_output: bool = False
    dropout: tuple[float, ...] = ()

    def sizes(self, width: int) -> tuple[int, ...]:
        """Layer widths for an input width; the product is truncated, as in the webui."""
        return tuple(int(width * layer) for layer in self.layers)

    def parameters(self, widths: Sequence[int]) -> int:
        """How many numbers a hypernetwork of these widths learns."""
        total = 0
        for width in widths:
            sizes = self.sizes(width)
            for fan_in, fan_out in pairwise(sizes):
                total += fan_in * fan_out + fan_out + (2 * fan_out if self.layer_norm else 0)
        return 2 * total

    def tensors(self, widths: Sequence[int]) -> int:
        """How many tensors hold them."""
        return 2 * len(widths) * (len(self.layers) - 1) * (4 if self.layer_norm else 2)


class HypernetworkModule(nn.Module):
    """x + M(x) * strength on the last dimension; the strength acts outside training only.

    Args:
        width: Size of the last dimension.
        structure: Of M.
    """

    def __init__(self, width: int, structure: Structure) -> None:
        super().__init__()
        self.strength = 1.0
        sizes = structure.sizes(width)
        dropout = structure.dropout or (0.0,) * len(sizes)
        activation = ACTIVATIONS[structure.activation]
        layers: list[nn.Module] = []
        for i in range(len(sizes) - 1):
            layers.append(nn.Linear(sizes[i], sizes[i + 1]))
            last = i == len(sizes) - 2
            if activation is not None and (not last or structure.activate_output):
                layers.append(activation())
            if structure.layer_norm:
                layers.append(nn.LayerNorm(sizes[i + 1]))
            if dropout[i + 1] > 0:
                layers.append(nn.Dropout(dropout[i + 1]))
        # layers without weights count in the keys too: `linear.3.weight`
        self.linear = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """The input with what was learnt added, same shape."""
        change: Tensor = self.linear(x)
        return x + (change if self.training or self.strength == 1 else change * self.strength)


class Hypernetwork(nn.Module):
    """A pair of modules, for keys and for values, for each width.

    Args:
        widths: In the order in which files and optimizers list them.
        structure: Of every module.
    """

    def __init__(self, widths: Sequence[int], structure: Structure) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.structure = structure
        self.pairs = nn.ModuleDict(
            {
                str(width): nn.ModuleList([HypernetworkModule(width, structure), HypernetworkModule(width, structure)])
                for width in widths
            }
        )

    def pair(self, width: int) -> tuple[HypernetworkModule, HypernetworkModule] | None:
        """The modules for keys and for values of a width, or None where it has none."""
        if str(width) not in self.pairs:
            return None
        pair: Any = self.pairs[str(width)]
        return pair[0], pair[1]

    def set_strength(self, strength: float) -> None:
        """How much of what was learnt is added outside training; 1 is all of it, 0 is the base model."""
        for module in self.modules():
            if isinstance(module, HypernetworkModule):
                module.strength = strength


def build(widths: Sequence[int], structure: Structure, init: str, generator: torch.Generator) -> Hypernetwork:
    """A hypernetwork with drawn weights.

    Distributions are the webui's: Normal has standard deviation 0.01; Kaiming has gain sqrt(2) and fan-in;
    biases are 0; the weight of a LayerNorm is N(0, 0.01^2) and not 1, whatever the name. `zero-out` is
    Normal with a zero last Linear, so that the first step starts from exactly the base model.

    Args:
        widths: See `Hypernetwork`.
        structure: See `Hypernetwork`.
        init: One of `config.INIT_NAMES`; all but `zero-out` are the webui's.
        generator: Where the random numbers come from, on the CPU.
    """
    network = Hypernetwork(widths, structure)
    for module in network.modules():
        if isinstance(module, HypernetworkModule):
            _draw(module, init, generator)
    return network


def _draw(module: HypernetworkModule, init: str, generator: torch.Generator) -> None:
    linears = [layer for layer in module.linear if isinstance(layer, nn.Linear)]
    with torch.no_grad():
        for layer in module.linear:
            if isinstance(layer, nn.Linear):
                _draw_weight(layer.weight, init, generator)
                layer.bias.zero_()
            elif isinstance(layer, nn.LayerNorm):
                layer.weight.normal_(0.0, 0.01, generator=generator)
                layer.bias.zero_()
        if init == "zero-out":
            linears[-1].weight.zero_()


def _draw_weight(weight_OI: Tensor, init: str, generator: torch.Generator) -> None:
    """Fill a Linear's weight, O outputs by I inputs."""
    fan_out, fan_in = weight_OI.shape
    xavier, kaiming = math.sqrt(2 / (fan_in + fan_out)), math.sqrt(2 / fan_in)
    deviation = {"XavierNormal": xavier, "KaimingNormal": kaiming}.get(init, 0.01)
    if init in {"XavierUniform", "KaimingUniform"}:
        # a uniform distribution on -b..b has the standard deviation b / sqrt(3)
        bound = math.sqrt(3) * (xavier if init == "XavierUniform" else kaiming)
        weight_OI.uniform_(-bound, bound, generator=generator)
    else:
        weight_OI.normal_(0.0, deviation, generator=generator)
