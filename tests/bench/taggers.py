"""ONNX taggers with random weights and DeepDanbooru's 9,176 outputs: one of its own depth, and one of a small body."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

TAGS = 9176
SIDE = 512

DEEP = ((256, 3), (512, 8), (1024, 36), (2048, 3), (4096, 3))
"""Channels and bottleneck blocks of each stage of a residual network of DeepDanbooru's size: about 155 million
weights (its file has 644 MB), and 126 GFLOP a picture."""

SMALL = (32, 64, 128, 256, 512, 512)
"""Channels of strided convolutions: 3 GFLOP a picture, so that all that is not the network shows."""


class _Graph:
    """Nodes and weights, one convolution after the other."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.weights: list[TensorProto] = []
        self._rng = np.random.default_rng(0)

    def add(self, kind: str, given: Sequence[str], **settings: object) -> str:
        name = f"x{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(given), [name], **settings))
        return name

    def weight(self, value: np.ndarray) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(value.astype(np.float32, copy=False), name))
        return name

    def conv(self, x: str, narrow: int, wide: int, kernel: int, stride: int = 1, *, gain: float = 2.0) -> str:
        drawn = self._rng.standard_normal((wide, narrow, kernel, kernel), dtype=np.float32)
        drawn *= np.float32(np.sqrt(gain / (kernel * kernel * narrow)))
        pads = [kernel // 2] * 4
        return self.add("Conv", [x, self.weight(drawn)], strides=[stride, stride], pads=pads)

    def relu(self, x: str) -> str:
        return self.add("Relu", [x])

    def block(self, x: str, narrow: int, wide: int, stride: int) -> str:
        """A bottleneck with its shortcut; its own part is kept small, so that numbers stay where they are."""
        inner = self.relu(self.conv(x, narrow, wide // 4, 1, stride))
        inner = self.relu(self.conv(inner, wide // 4, wide // 4, 3))
        inner = self.conv(inner, wide // 4, wide, 1, gain=0.02)
        short = x if narrow == wide else self.conv(x, narrow, wide, 1, stride, gain=1.0)
        return self.relu(self.add("Add", [inner, short]))


def deep(path: Path) -> Path:
    """Write the tagger of DeepDanbooru's depth."""
    graph = _Graph()
    x = graph.relu(graph.conv(graph.add("Transpose", ["input_1"], perm=[0, 3, 1, 2]), 3, 64, 7, 2))
    x = graph.add("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    narrow = 64
    for wide, blocks in DEEP:
        for number in range(blocks):
            x = graph.block(x, narrow, wide, 2 if number == 0 and wide != DEEP[0][0] else 1)
            narrow = wide
    x = graph.conv(x, narrow, TAGS, 1, gain=1.0)
    return _write(path, graph, graph.add("Flatten", [graph.add("GlobalAveragePool", [x])]))


def small(path: Path) -> Path:
    """Write the tagger of the small body."""
    graph = _Graph()
    x, narrow = graph.add("Transpose", ["input_1"], perm=[0, 3, 1, 2]), 3
    for wide in SMALL:
        x = graph.relu(graph.conv(x, narrow, wide, 3, 2))
        narrow = wide
    pooled = graph.add("Flatten", [graph.add("GlobalAveragePool", [x])])
    head = np.random.default_rng(1).normal(size=(narrow, TAGS)) / np.sqrt(narrow)
    return _write(path, graph, graph.add("MatMul", [pooled, graph.weight(head)]))


def _write(path: Path, graph: _Graph, logits: str) -> Path:
    """The bias lets few tags through: a tagger that says half of them is refused as broken."""
    graph.add("Add", [logits, graph.weight(np.array(-4))])
    graph.nodes.append(helper.make_node("Sigmoid", [graph.nodes[-1].output[0]], ["out"]))
    takes = helper.make_tensor_value_info("input_1", TensorProto.FLOAT, ["N", SIDE, SIDE, 3])
    gives = helper.make_tensor_value_info("out", TensorProto.FLOAT, ["N", TAGS])
    made = helper.make_graph(graph.nodes, "bench", [takes], [gives], graph.weights)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path
