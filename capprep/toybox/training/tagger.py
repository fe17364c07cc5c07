"""The tagger: a small convolutional network whose tags follow from what it finds in each cell of a picture.

Colour and kind of one thing are read from the same cell: "red house" is as likely as both are in the cell where they
are likeliest together. So the network needs no example of every colour of every kind, and cannot mistake a red star
beside a blue house for a red house.
"""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, binary_cross_entropy_with_logits, cross_entropy, log_softmax, relu
from torch.nn.utils.fusion import fuse_conv_bn_eval

from capprep.files import write_atomically
from capprep.toybox.drawing import COLOURS
from capprep.toybox.evaluation import TAG_GROUPS
from capprep.toybox.readers import write_labels
from capprep.toybox.shapes import KINDS
from capprep.toybox.training.pool import SIDE, Batch
from capprep.toybox.training.tower import measured_f1
from capprep.toybox.world import TAGS

# N pictures, C channels, G = 8 cells a side, K kinds, T tags

_WIDTHS = (64, 96, 144)
_INPUT = 512


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al. 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.one, self.two = _Conv(width, width), _Conv(width, width)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) in and out."""
        return relu(x_NCHW + self.two(relu(self.one(x_NCHW))))


class _Conv(nn.Sequential):
    """A convolution and the normalisation that is folded into it at the end."""

    def __init__(self, into: int, out: int, side: int = 3, stride: int = 1) -> None:
        padding = 0 if side == stride else side // 2
        super().__init__(nn.Conv2d(into, out, side, stride, padding, bias=False), nn.BatchNorm2d(out))


class TagNet(nn.Module):
    """From pictures (N, 3, 128, 128) in 0..1 to a logit for every tag of the world."""

    order: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        first, second, third = _WIDTHS
        self.body = nn.Sequential(
            _Conv(3, first, 4, 4),
            nn.ReLU(),
            _Conv(first, second, 3, 2),
            nn.ReLU(),
            Block(second),
            Block(second),
            _Conv(second, third, 3, 2),
            nn.ReLU(),
            Block(third),
            Block(third),
            Block(third),
        )
        self.kind = nn.Conv2d(third, len(KINDS) + 1, 1)
        self.colour = nn.Conv2d(third, len(COLOURS) + 1, 1)
        self.middle = nn.Conv2d(third, 1, 1)
        self.whole = nn.Sequential(nn.Linear(2 * third + 1, 192), nn.ReLU(), nn.Linear(192, len(TAGS)))
        # a cell's log-probability becomes a tag's logit by a scale and an offset: kinds, colours, coloured kinds
        self.scales = nn.Parameter(torch.ones(3))
        self.offsets = nn.Parameter(torch.full((3,), 1.0))
        self.register_buffer("order", torch.tensor(_order()), persistent=False)

    def cells(self, x_NCHW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Features, and logits of kinds, of colours and of a thing's middle, each (N, ..., G, G)."""
        features = self.body((x_NCHW - 0.5) / 0.25)
        return features, self.kind(features), self.colour(features), self.middle(features)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """Logits (N, T)."""
        return self.tags(*self.cells(x_NCHW))

    def tags(
        self, features: torch.Tensor, kinds: torch.Tensor, colours: torch.Tensor, middles: torch.Tensor
    ) -> torch.Tensor:
        """Logits (N, T) from what the cells say."""
        kinds_NKG = log_softmax(kinds.flatten(2).float(), dim=1)[:, 1:]
        colours_NCG = log_softmax(colours.flatten(2).float(), dim=1)[:, 1:]
        both_NKCG = kinds_NKG[:, :, None] + colours_NCG[:, None]
        best = [kinds_NKG.amax(dim=-1), colours_NCG.amax(dim=-1), both_NKCG.flatten(1, 2).amax(dim=-1)]
        found = [scale * each + offset for each, scale, offset in zip(best, self.scales, self.offsets, strict=True)]
        pooled = [features.mean(dim=(2, 3)), features.amax(dim=(2, 3)), middles.float().sigmoid().sum(dim=(2, 3)) - 2]
        others = self.whole(torch.cat(pooled, dim=1))
        return torch.cat([*found, others.float()], dim=1)[:, self.order]


def _order() -> list[int]:
    """Where each tag's logit stands among kinds, colours, coloured kinds (kind by kind) and all the tags as a whole."""
    names = [*KINDS, *COLOURS, *(f"{colour}_{kind}" for kind in KINDS for colour in COLOURS)]
    return [names.index(tag) if tag in names else len(names) + number for number, tag in enumerate(TAGS)]


class TaggerTask:
    """`TagNet` learning what lies where and which tags follow."""

    def __init__(self) -> None:
        self.model = TagNet().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.net: nn.Module = self.model

    def losses(self, batch: Batch, rng: np.random.RandomState) -> dict[str, torch.Tensor]:
        """What lies where and which tags are true."""
        device = self.model.offsets.device
        features, kinds, colours, middles = self.model.cells(_pixels(batch, device))
        tags_NT = self.model.tags(features, kinds, colours, middles)
        true_kinds, true_colours = (
            torch.from_numpy(cells).to(device) for cells in (batch.kinds_NGG, batch.colours_NGG)
        )
        true_middles = torch.from_numpy(batch.middles_NGG).to(device)
        true_tags = torch.from_numpy(batch.tags_NT).to(device)
        return {
            "kind": cross_entropy(kinds.float(), true_kinds, ignore_index=-1),
            "colour": cross_entropy(colours.float(), true_colours, ignore_index=-1),
            "middle": 3 * binary_cross_entropy_with_logits(middles[:, 0].float(), true_middles),
            "tags": 10 * binary_cross_entropy_with_logits(tags_NT, true_tags),
        }

    def measures(self, batch: Batch) -> dict[str, float]:
        """F1 of all tags, of kinds, of coloured kinds and of counts, at probability 0.5."""
        said = self.model(_pixels(batch, self.model.offsets.device)) > 0
        groups = {"f1_kinds": "kinds", "f1_coloured": "coloured kinds", "f1_counts": "counts"}
        parts = {name: measured_f1(said, batch, TAG_GROUPS[group]) for name, group in groups.items()}
        return {"f1": measured_f1(said, batch), **parts}


def _pixels(batch: Batch, device: torch.device) -> torch.Tensor:
    x_NCHW = torch.from_numpy(batch.images_NSSC).to(device).permute(0, 3, 1, 2).float() / 255
    return x_NCHW.contiguous(memory_format=torch.channels_last)


class _Interface(nn.Module):
    """DeepDanbooru's interface: (N, 512, 512, 3) in 0..1 in, probabilities out; the weights are kept in float16."""

    def __init__(self, net: TagNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, x_NHWC: torch.Tensor) -> torch.Tensor:
        logits_NT: torch.Tensor = self.net(avg_pool2d(x_NHWC.permute(0, 3, 1, 2), _INPUT // SIDE))
        return logits_NT.sigmoid()


def write_tagger(net: TagNet, folder: Path) -> None:
    """Write `model.onnx` and `labels.csv`.

    Raises:
        ImportError: The packages onnx and onnxscript, development dependencies, are not installed.
    """
    import onnx

    model = _Interface(_folded(net)).eval()
    example = torch.zeros(2, _INPUT, _INPUT, 3)
    path = folder / "model.onnx.new"
    folder.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what the exporter does not know to be dynamic
        torch.onnx.export(
            model,
            (example,),
            str(path),
            input_names=["input"],
            output_names=["probabilities"],
            dynamic_shapes={"x_NHWC": {0: torch.export.Dim("N")}},
            external_data=False,
            dynamo=True,
            verbose=False,
        )
    graph = onnx.load(str(path))
    path.unlink()
    write_atomically(folder / "model.onnx", _halved(graph).SerializeToString(deterministic=True))
    write_labels(folder)


def _folded(net: TagNet) -> TagNet:
    """A copy in which every normalisation is part of the convolution before it."""
    folded = copy.deepcopy(net).cpu().float().eval()
    for module in folded.modules():
        if isinstance(module, _Conv):
            convolution, norm = cast(nn.Conv2d, module[0]), cast(nn.BatchNorm2d, module[1])
            module[0] = fuse_conv_bn_eval(convolution, norm)
            module[1] = nn.Identity()
    return folded


def _halved(graph: Any) -> Any:
    """The graph with its large weights stored as float16 and widened when the session is made."""
    from onnx import TensorProto, helper, numpy_helper

    del graph.graph.value_info[:]
    for node in graph.graph.node:
        del node.metadata_props[:]  # the exporter's notes: in which file of this machine the code stands
    casts = []
    for weight in graph.graph.initializer:
        values = numpy_helper.to_array(weight)
        if weight.data_type != TensorProto.FLOAT or values.size < 256:
            continue
        name = weight.name
        weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    for node in reversed(casts):
        graph.graph.node.insert(0, node)
    return graph
