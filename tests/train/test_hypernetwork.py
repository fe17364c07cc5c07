from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from capprep.train.hypernetwork import ACTIVATIONS, Hypernetwork, HypernetworkModule, Structure, build


def drawn(init: str, structure: Structure, width: int = 768) -> HypernetworkModule:
    pair = build([width], structure, init, torch.Generator().manual_seed(1)).pair(width)
    assert pair is not None
    return pair[0]


@pytest.mark.parametrize(
    ("structure", "kinds", "indices"),
    [
        (Structure((1, 2, 1)), "LL", [0, 1]),
        (Structure((1, 2, 1), "relu"), "LAL", [0, 2]),
        (Structure((1, 2, 1), "relu", activate_output=True), "LALA", [0, 2]),
        (Structure((1, 2, 1), dropout=(0, 0.3, 0)), "LDL", [0, 2]),
        (Structure((1, 2, 1), "relu", layer_norm=True), "LANLN", [0, 2, 3, 4]),
        (Structure((1, 2, 1), "relu", layer_norm=True, dropout=(0, 0.3, 0)), "LANDLN", [0, 2, 4, 5]),
        (Structure((1, 2, 2, 1), "swish", dropout=(0, 0.05, 0.15, 0)), "LADLADL", [0, 3, 6]),
    ],
)
def test_layers_stand_where_the_webui_puts_them(structure: Structure, kinds: str, indices: list[int]) -> None:
    module = HypernetworkModule(8, structure)
    names = {nn.Linear: "L", nn.LayerNorm: "N", nn.Dropout: "D"}
    assert "".join(names.get(type(layer), "A") for layer in module.linear) == kinds
    assert list(module.state_dict()) == [f"linear.{i}.{part}" for i in indices for part in ("weight", "bias")]


def test_widths_are_truncated_and_not_rounded() -> None:
    assert Structure((1, 0.1, 1)).sizes(768) == (768, 76, 768)


def test_swish_is_hardswish_as_in_the_webui() -> None:
    assert ACTIVATIONS["swish"] is nn.Hardswish


@pytest.mark.parametrize(
    ("init", "deviation"),
    [
        ("Normal", 0.01),
        ("XavierUniform", math.sqrt(2 / (768 + 1536))),
        ("XavierNormal", math.sqrt(2 / (768 + 1536))),
        ("KaimingUniform", math.sqrt(2 / 768)),
        ("KaimingNormal", math.sqrt(2 / 768)),
    ],
)
def test_weights_are_drawn_with_the_webuis_distributions(init: str, deviation: float) -> None:
    first, last = drawn(init, Structure()).linear
    weight = first.weight.detach()  # over a million numbers
    assert weight.mean().abs() < 4 * deviation / math.sqrt(weight.numel())
    assert weight.std().item() == pytest.approx(deviation, rel=5e-3)
    bound = weight.abs().max().item()
    assert bound == pytest.approx(math.sqrt(3) * deviation, rel=1e-3) if "Uniform" in init else bound > 4 * deviation
    assert not first.bias.any()
    assert not last.bias.any()
    assert last.weight.any()


# std(M(x)) / std(x) of [1,1] and [1,2,1] with linear activation, by width: the reference's table
@pytest.mark.parametrize(
    ("layers", "init", "width", "gain"),
    [
        ((1, 1), "Normal", 320, 0.18),
        ((1, 1), "Normal", 1280, 0.36),
        ((1, 2, 1), "Normal", 320, 0.045),
        ((1, 2, 1), "Normal", 768, 0.109),
        ((1, 2, 1), "XavierNormal", 320, 0.94),
        ((1, 2, 1), "KaimingUniform", 320, 2.0),
        ((1, 2, 2, 1), "KaimingNormal", 320, 2.8),
        ((1, 2, 4, 2, 1), "XavierUniform", 320, 0.89),
    ],
)
def test_a_fresh_network_adds_as_much_as_the_webuis_does(
    layers: tuple[float, ...], init: str, width: int, gain: float
) -> None:
    module = drawn(init, Structure(layers), width)
    x = torch.randn(256, width, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        assert (module.linear(x).std() / x.std()).item() == pytest.approx(gain, rel=0.06)


@pytest.mark.parametrize("init", ["Normal", "KaimingNormal", "zero-out"])
def test_a_layer_norm_starts_near_zero_whatever_the_name(init: str) -> None:
    norms = [
        layer for layer in drawn(init, Structure((1, 2, 1), "mish", True)).linear if isinstance(layer, nn.LayerNorm)
    ]
    assert len(norms) == 2
    for norm in norms:
        assert norm.weight.std().item() == pytest.approx(0.01, rel=0.1)
        assert norm.weight.mean().abs() < 0.002
        assert not norm.bias.any()


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("layer_norm", [False, True])
def test_zero_out_starts_from_exactly_the_input(activation: str, layer_norm: bool) -> None:
    module = drawn("zero-out", Structure((1, 2, 1), activation, layer_norm), 32)
    x = torch.randn(5, 32)
    assert torch.equal(module(x), x)
    assert module.linear[0].weight.std().item() == pytest.approx(0.01, rel=0.1)


def test_the_same_seed_draws_the_same_weights() -> None:
    left, right = (
        build([48, 16], Structure(), "Normal", torch.Generator().manual_seed(3)).state_dict() for _ in range(2)
    )
    assert all(torch.equal(left[key], right[key]) for key in left)
    assert not torch.equal(left["pairs.48.0.linear.0.weight"], left["pairs.48.1.linear.0.weight"])


def test_strength_acts_in_use_and_not_in_training() -> None:
    network = build([8], Structure(), "XavierNormal", torch.Generator().manual_seed(4))
    pair = network.pair(8)
    assert pair is not None
    x = torch.randn(3, 8)
    network.set_strength(0.25)
    change = pair[1].linear(x)
    assert torch.allclose(pair[1](x), x + change)
    network.eval()
    assert torch.allclose(pair[1](x), x + 0.25 * change)
    network.set_strength(0)
    assert torch.equal(pair[1](x), x)


def test_a_width_without_a_pair_has_none() -> None:
    assert Hypernetwork([8], Structure()).pair(16) is None
