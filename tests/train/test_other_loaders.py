"""How the webui and ComfyUI read a hypernetwork, restated from their behaviour; nothing here imports our reader."""

from __future__ import annotations

import io
import pickle
import re
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from capprep.train.checkpoint import Description, Provenance, write, write_optimizer
from capprep.train.hypernetwork import Hypernetwork, Structure, build

OLD_MEMBERS = re.compile(r"([^/]+)/((data/\d+)|version|(data\.pkl))")
NEW_MEMBERS = re.compile(r"([^/]+)/((data/\d+)|version|byteorder|\.data/serialization_id|(data\.pkl))")

ALLOWED_GLOBALS = {
    ("collections", "OrderedDict"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_parameter"),
    ("torch", "FloatStorage"),
    ("torch", "HalfStorage"),
    ("torch", "IntStorage"),
    ("torch", "LongStorage"),
    ("torch", "DoubleStorage"),
    ("torch", "ByteStorage"),
    ("torch", "float32"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("_codecs", "encode"),
}

ACTIVATIONS = {
    "linear": nn.Identity,
    "relu": nn.ReLU,
    "leakyrelu": nn.LeakyReLU,
    "elu": nn.ELU,
    "swish": nn.Hardswish,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "softsign": nn.Softsign,
    "mish": nn.Mish,
}


class WebuiUnpickler(pickle.Unpickler):
    """Takes nothing but the names the webui allows; storages are read from the archive's members."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        super().__init__(io.BytesIO(archive.read("archive/data.pkl")))
        self.archive = archive

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED_GLOBALS:
            raise pickle.UnpicklingError(f"global '{module}/{name}' is forbidden")
        if name == "_rebuild_tensor_v2":
            return self.tensor
        return {"OrderedDict": OrderedDict, "FloatStorage": np.float32, "LongStorage": np.int64}[name]

    def persistent_load(self, saved: Any) -> np.ndarray:
        kind, dtype, key, _location, count = saved
        assert kind == "storage"
        return np.frombuffer(self.archive.read(f"archive/data/{key}"), dtype, count)

    @staticmethod
    def tensor(storage: np.ndarray, offset: int, size: tuple, stride: tuple, *_: Any) -> Tensor:
        steps = tuple(step * storage.itemsize for step in stride)
        return torch.from_numpy(np.lib.stride_tricks.as_strided(storage[offset:], size, steps).copy())


def webui_content(path: Path) -> dict[Any, Any]:
    """A file as the webui gets it, after its checks."""
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            assert OLD_MEMBERS.fullmatch(member), member
            assert NEW_MEMBERS.fullmatch(member), member
        return WebuiUnpickler(archive).load()


def webui_module(width: int, weights: dict[str, Tensor], content: dict[Any, Any]) -> nn.Module:
    layers = content.get("layer_structure", [1, 2, 1])
    use_dropout = content.get("use_dropout", False)
    dropout = content.get("dropout_structure")
    if dropout is None:
        last = 0.3 if use_dropout and content.get("last_layer_dropout", False) else 0
        dropout = [0] + [0.3 if use_dropout else 0] * (len(layers) - 3) + [last, 0]
    activation = content.get("activation_func")
    linears: list[nn.Module] = []
    for i in range(len(layers) - 1):
        linears.append(nn.Linear(int(width * layers[i]), int(width * layers[i + 1])))
        hidden = i < len(layers) - 2
        if activation not in {"linear", None} and (hidden or content.get("activate_output", True)):
            linears.append(ACTIVATIONS[activation]())
        if content.get("is_layer_norm", False):
            linears.append(nn.LayerNorm(int(width * layers[i + 1])))
        if dropout[i + 1] > 0:
            linears.append(nn.Dropout(dropout[i + 1]))
    module = nn.Module()
    module.linear = nn.Sequential(*linears)
    module.load_state_dict(weights, strict=True)
    return module.eval()


def webui_inputs(content: dict[Any, Any], context: Tensor, strength: float) -> tuple[Tensor, Tensor]:
    """What the webui puts into `to_k` and `to_v`; a width the file does not have stays as it is."""
    pairs = {key: value for key, value in content.items() if type(key) is int}
    if context.shape[2] not in pairs:
        return context, context
    modules = [webui_module(context.shape[2], weights, content) for weights in pairs[context.shape[2]]]
    k, v = (context + module.linear(context) * strength for module in modules)
    return k, v


def comfy_inputs(path: Path, context: Tensor, strength: float) -> tuple[Tensor, Tensor]:
    """What ComfyUI makes of the same file: modules from the order of the weights' names."""
    content = torch.load(path, map_location="cpu", weights_only=True)
    activation = content.get("activation_func", "linear")
    assert activation in ACTIVATIONS, "Unsupported Hypernetwork format"
    answers = [context, context]
    for key in content:
        try:
            width = int(key)
        except ValueError:
            continue
        if width != context.shape[2]:
            continue
        for side, weights in enumerate(content[key]):
            change = comfy_sequence(weights, content, activation)(context)
            answers[side] = context + change * strength
    return answers[0], answers[1]


def comfy_sequence(weights: dict[str, Tensor], content: dict[Any, Any], activation: str) -> nn.Sequential:
    names = [name.removesuffix(".weight") for name in weights if name.endswith(".weight")]
    layers: list[nn.Module] = []
    place = 0
    while place < len(names):
        last, before_last = place == len(names) - 1, place == len(names) - 2
        weight, bias = weights[names[place] + ".weight"], weights[names[place] + ".bias"]
        linear = nn.Linear(weight.shape[1], weight.shape[0])
        linear.load_state_dict({"weight": weight, "bias": bias})
        layers.append(linear)
        if activation != "linear" and (not last or content.get("activate_output", False)):
            layers.append(ACTIVATIONS[activation]())
        if content.get("is_layer_norm", False):
            place += 1
            norm = nn.LayerNorm(weight.shape[0])
            norm.load_state_dict({"weight": weights[names[place] + ".weight"], "bias": weights[names[place] + ".bias"]})
            layers.append(norm)
        dropout_here = not last and (not before_last or content.get("last_layer_dropout", False))
        if content.get("use_dropout", False) and dropout_here:
            layers.append(nn.Dropout(0.3))
        place += 1
    return nn.Sequential(*layers)


def trained(structure: Structure) -> Hypernetwork:
    """A network whose every weight matters."""
    network = build([48, 16], structure, "KaimingNormal", torch.Generator().manual_seed(5))
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(6)) * 0.05)
    return network.eval()


STRUCTURES = [(1, 1), (1, 2, 1), (1, 1.5, 1.5, 1), (1, 0.1, 1)]


@pytest.mark.parametrize("layers", STRUCTURES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("layer_norm", [False, True])
def test_a_written_file_acts_the_same_in_the_webui_and_in_comfyui(
    tmp_path: Path, layers: tuple[float, ...], activation: str, layer_norm: bool
) -> None:
    network = trained(Structure(layers, activation, layer_norm))
    file = tmp_path / "n.pt"
    write(file, network, Description(step=3, base_hash="0123456789", base_name="sd"))
    content = webui_content(file)
    for width in (48, 16, 20):
        context = torch.randn(2, 7, width, generator=torch.Generator().manual_seed(7))
        network.set_strength(0.7)
        pair = network.pair(width) or (nn.Identity(), nn.Identity())
        ours = [module(context) for module in pair]
        for mine, theirs in zip(ours, webui_inputs(content, context, 0.7), strict=True):
            assert torch.allclose(mine, theirs, rtol=0, atol=1e-6)
        # ComfyUI is known to put an activation too many in front of the last LayerNorm
        if not (layer_norm and activation != "linear"):
            for mine, theirs in zip(ours, comfy_inputs(file, context, 0.7), strict=True):
                assert torch.allclose(mine, theirs, rtol=0, atol=1e-6)


def test_the_file_says_everything_the_webui_reads_in_plain_types(tmp_path: Path) -> None:
    provenance = Provenance("a" * 64, "b" * 64, "c" * 64, 5)
    described = Description(41, "zero-out", "0123456789", "sd-v1", provenance)
    write(tmp_path / "my net-500.pt", trained(Structure()), described)
    content = webui_content(tmp_path / "my net-500.pt")
    pairs = {key: value for key, value in content.items() if type(key) is int}
    assert list(pairs) == [48, 16]
    for pair in pairs.values():
        assert type(pair) is tuple
        assert [type(weights) for weights in pair] == [OrderedDict, OrderedDict]
        assert all(tensor.dtype == torch.float32 for weights in pair for tensor in weights.values())
    rest = {key: value for key, value in content.items() if type(key) is not int}
    assert rest == {
        "step": 41,
        "name": "my net-500",
        "layer_structure": [1.0, 2.0, 1.0],
        "activation_func": "linear",
        "is_layer_norm": False,
        "weight_initialization": "zero-out",
        "sd_checkpoint": "0123456789",
        "sd_checkpoint_name": "sd-v1",
        "activate_output": False,
        "use_dropout": False,
        "dropout_structure": [0.0, 0.0, 0.0],
        "last_layer_dropout": False,
        "optional_info": None,
        "capprep": {"settings": "a" * 64, "manifest": "b" * 64, "base": "c" * 64, "seed": 5},
    }


def test_the_optimizers_file_passes_the_webuis_checks_too(tmp_path: Path) -> None:
    network = trained(Structure())
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    sum(weight.sum() for weight in network.parameters()).backward()
    optimizer.step()
    file = tmp_path / "n.pt"
    sha256 = write(file, network, Description())
    write_optimizer(file, sha256, optimizer, {"smoothed_loss": 0.5})
    content = webui_content(tmp_path / "n.pt.optim")
    assert content["optimizer_name"] == "AdamW"
    assert content["hash"] == sha256[:10]
    assert len(content["optimizer_state_dict"]["state"]) == 16
