"""Hypernetwork files as the webui and ComfyUI read them, and the optimizer's state beside each.

A `.pt` is one plain dict: each width as a Python int with a pair of OrderedDict (keys, values), then what
describes the network. Nothing in it but containers, numbers, strings and float32 tensors, so that every
restricted loader takes it. `FILE.pt.optim` holds the optimizer's state and the hash of that very `.pt`.
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from capprep.errors import CheckpointError
from capprep.files import write_atomically
from capprep.train.hypernetwork import ACTIVATIONS, Hypernetwork, Structure

_NOT_ONE = "give a hypernetwork file (.pt) made by capprep or by the webui"


@dataclass(frozen=True)
class Provenance:
    """Where a hypernetwork comes from, kept in its file.

    Attributes:
        settings: Digest of the settings that change what is learnt.
        manifest: Digest of the training set.
        base: SHA-256 of the base model's weights.
        seed: Of the run.
    """

    settings: str
    manifest: str
    base: str
    seed: int


@dataclass(frozen=True)
class Description:
    """What a file says of its network besides the weights.

    Attributes:
        step: Updates made.
        weight_init: How the weights were drawn; nothing depends on it.
        base_hash: The first 10 hex digits of the base model's SHA-256, as the webui shows it, or None.
        base_name: Stem of the base model's file, or None.
        provenance: More of the same, in files of capprep; None in others.
    """

    step: int = 0
    weight_init: str = "Normal"
    base_hash: str | None = None
    base_name: str | None = None
    provenance: Provenance | None = None


@dataclass(frozen=True)
class HypernetworkFile:
    """A file read back.

    Attributes:
        network: On the CPU, float32.
        description: What the file says of it.
        name: The name inside, which should be the file's stem.
        sha256: Of the file.
    """

    network: Hypernetwork
    description: Description
    name: str
    sha256: str


def write(path: Path, network: Hypernetwork, description: Description) -> str:
    """Write a hypernetwork as `path`, read back and compared before it gets that name; its SHA-256 (hex).

    Raises:
        CheckpointError: A weight is not finite, or what was written does not read back the same.
    """
    data = webui_archive(_content(path.stem, network, description))
    tensors = list(network.state_dict().values())
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors):
        raise CheckpointError(f"{path} was not written: weights are not finite numbers", "lower the learning rate")
    again = _parse(_load(data, path), path, "")
    same = again.description == description and again.name == path.stem and again.network.widths == network.widths
    pairs = zip(tensors, again.network.state_dict().values(), strict=True)
    if not same or not all(torch.equal(tensor.cpu().float(), other) for tensor, other in pairs):
        raise CheckpointError(f"{path} was not written: it would not read back the same", "try again")
    write_atomically(path, data)
    return hashlib.sha256(data).hexdigest()


def read(path: Path) -> HypernetworkFile:
    """A hypernetwork from a file of capprep or of the webui; what is missing in old ones gets the webui's default.

    Raises:
        CheckpointError: There is none, or it is not one.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be opened", _NOT_ONE) from error
    return _parse(_load(data, path), path, hashlib.sha256(data).hexdigest())


def write_optimizer(path: Path, sha256: str, optimizer: torch.optim.Optimizer, extra: Mapping[str, Any]) -> None:
    """Write `path`.optim, the state that goes with the hypernetwork file `path`.

    Args:
        path: The hypernetwork's file, written before.
        sha256: Of that file.
        optimizer: Its parameters in the file's order.
        extra: Plain numbers and strings of capprep's own.

    Raises:
        CheckpointError: What was written does not read back the same.
    """
    content = {
        "optimizer_name": type(optimizer).__name__,
        "hash": sha256[:10],
        "optimizer_state_dict": _on_cpu(optimizer.state_dict()),
        "capprep": dict(extra),
    }
    data, beside = webui_archive(content), optimizer_path(path)
    if not _same(_load(data, beside), content):
        raise CheckpointError(f"{beside} was not written: it would not read back the same", "try again")
    write_atomically(beside, data)


def read_optimizer(path: Path, sha256: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The optimizer's state beside a hypernetwork file and our own extra, or None where that does not belong to it."""
    try:
        content = _load(optimizer_path(path).read_bytes(), path)
        if content["hash"] != sha256[:10]:
            return None
        return content["optimizer_state_dict"], dict(content.get("capprep", {}))
    except (OSError, CheckpointError, KeyError, TypeError):
        return None


def optimizer_path(path: Path) -> Path:
    """Where the optimizer's state of a hypernetwork file lies."""
    return path.with_name(path.name + ".optim")


def webui_archive(content: Mapping[Any, Any]) -> bytes:
    """`torch.save` in the archive form that every webui accepts.

    Newer PyTorch adds members (byte order, alignment, an id) that the webui's check of file names refuses; the
    ones it knows are enough to load. Members carry no time, so the same content gives the same bytes.
    """
    saved, kept = io.BytesIO(), io.BytesIO()
    torch.save(content, saved)
    with zipfile.ZipFile(saved) as source, zipfile.ZipFile(kept, "w", zipfile.ZIP_STORED) as target:
        for entry in source.infolist():
            member = entry.filename.partition("/")[2]
            if re.fullmatch(r"data\.pkl|version|data/\d+", member):
                target.writestr(zipfile.ZipInfo(f"archive/{member}"), source.read(entry))
    return kept.getvalue()


def _content(name: str, network: Hypernetwork, description: Description) -> dict[Any, Any]:
    structure = network.structure
    dropout = [float(p) for p in structure.dropout] or [0.0] * len(structure.layers)
    content: dict[Any, Any] = {}
    for width in network.widths:
        pair = network.pair(width)
        assert pair is not None
        content[width] = tuple(_weights(module) for module in pair)
    content |= {
        "step": description.step,
        "name": name,
        "layer_structure": [float(layer) for layer in structure.layers],
        "activation_func": structure.activation,
        "is_layer_norm": structure.layer_norm,
        "weight_initialization": description.weight_init,
        "sd_checkpoint": description.base_hash,
        "sd_checkpoint_name": description.base_name,
        "activate_output": structure.activate_output,
        "use_dropout": any(dropout),
        "dropout_structure": dropout,
        "last_layer_dropout": dropout[-2] != 0,
        "optional_info": None,
    }
    if description.provenance is not None:
        content["capprep"] = asdict(description.provenance)
    return content


def _weights(module: torch.nn.Module) -> OrderedDict[str, Tensor]:
    # clones: a view would drag its whole storage into the file
    return OrderedDict(
        (key, tensor.detach().to("cpu", torch.float32, copy=True).contiguous())
        for key, tensor in module.state_dict().items()
    )


def _load(data: bytes, path: Path) -> Any:
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # torch's restricted unpickler raises whatever garbage makes it stumble over
        raise CheckpointError(f"{path} is damaged or no hypernetwork file", _NOT_ONE) from error


def _parse(content: Any, path: Path, sha256: str) -> HypernetworkFile:
    """The network of a file's dict, by the webui's rules."""
    # exactly int, as in the webui: "768" or True is not a width
    pairs = {key: pair for key, pair in content.items() if type(key) is int} if isinstance(content, dict) else {}
    if not pairs:
        raise CheckpointError(f"{path} is not a hypernetwork: it has no width", _NOT_ONE)
    try:
        network = Hypernetwork(list(pairs), _structure(content))
        for width, states in pairs.items():
            for module, weights in zip(network.pair(width) or (), states, strict=True):
                module.load_state_dict(weights)
        description = Description(
            step=int(content.get("step") or 0),
            weight_init=str(content.get("weight_initialization", "Normal")),
            base_hash=content.get("sd_checkpoint"),
            base_name=content.get("sd_checkpoint_name"),
            provenance=Provenance(**content["capprep"]) if "capprep" in content else None,
        )
    except (RuntimeError, KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
        why = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path} is not a hypernetwork that can be used: {why}", _NOT_ONE) from error
    network.eval()
    return HypernetworkFile(network, description, str(content.get("name", path.stem)), sha256)


def _structure(content: Mapping[Any, Any]) -> Structure:
    """What a file says of its modules; what it does not say is what the webui assumes."""
    layers = tuple(float(layer) for layer in content.get("layer_structure", (1, 2, 1)))
    activation = content.get("activation_func") or "linear"
    if activation not in ACTIVATIONS:
        raise ValueError(f"its activation {activation!r} is not known")
    return Structure(
        layers=layers,
        activation=activation,
        layer_norm=bool(content.get("is_layer_norm", False)),
        # networks from before this was written down did activate their output
        activate_output=bool(content.get("activate_output", True)),
        dropout=_dropout(content, len(layers)),
    )


def _dropout(content: Mapping[Any, Any], count: int) -> tuple[float, ...]:
    given = content.get("dropout_structure")
    if given is None and content.get("use_dropout"):
        last = 0.3 if content.get("last_layer_dropout") else 0.0
        given = [0.0, *[0.3] * (count - 3), last, 0.0]
    dropout = tuple(float(p) for p in given or ())
    return dropout if any(dropout) else ()


def _on_cpu(value: Any) -> Any:
    """The same containers with every tensor on the CPU."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {key: _on_cpu(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_on_cpu(item) for item in value)
    return value


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, Tensor):
        return isinstance(right, Tensor) and torch.equal(left, right)
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(_same(item, right[key]) for key, item in left.items())
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(_same(a, b) for a, b in zip(left, right, strict=True))
    return bool(left == right)
