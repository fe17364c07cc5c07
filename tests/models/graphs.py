"""Small ONNX graphs that stand for taggers, with their label files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper


def write_graph(
    path: Path,
    nodes: Sequence[object],
    taken: Sequence[object],
    gives: Sequence[object],
    weights: dict[str, NDArray[np.generic]] | None = None,
    kind: int = TensorProto.FLOAT,
) -> Path:
    values = [numpy_helper.from_array(value, name) for name, value in (weights or {}).items()]
    graph = helper.make_graph(
        list(nodes),
        "test",
        [helper.make_tensor_value_info("input_1", kind, taken)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, gives)],
        values,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def takes(layout: str, batch: object, side: object) -> list[object]:
    return [batch, side, side, 3] if layout == "NHWC" else [batch, 3, side, side]


def echo(path: Path, side: int = 8, batch: object = "N", layout: str = "NHWC") -> Path:
    """A graph whose outputs are the very numbers it was given."""
    flatten = helper.make_node("Flatten", ["input_1"], ["out"])
    return write_graph(path, [flatten], takes(layout, batch, side), [batch, side * side * 3])


def peek(path: Path, side: int, where: NDArray[np.int64], layout: str = "NHWC") -> Path:
    """A graph that answers with some of the numbers it was given."""
    nodes = [
        helper.make_node("Flatten", ["input_1"], ["flat"]),
        helper.make_node("Gather", ["flat", "where"], ["out"], axis=1),
    ]
    return write_graph(path, nodes, takes(layout, "N", side), ["N", len(where)], {"where": where})


def network(
    path: Path, layout: str, batch: object, *, tags: int = 40, side: int = 24, scale: float = 1.0, logits: bool = False
) -> Path:
    """Two random convolutions and a layer to logits around -2, with a sigmoid unless the logits are asked for.

    Args:
        path: Where.
        layout: NHWC or NCHW.
        batch: A number or a name.
        tags: Outputs.
        side: Of its input.
        scale: What white is in its input.
        logits: Leave the sigmoid out.
    """
    rng = np.random.default_rng(1)
    weights = {
        "w0": (rng.normal(size=(8, 3, 3, 3)) / (3 * scale)).astype(np.float32),
        "w1": (rng.normal(size=(16, 8, 3, 3)) / 6).astype(np.float32),
        "w2": (rng.normal(size=(16, tags)) * 2).astype(np.float32),
        "bias": np.full(tags, -2, np.float32),
    }
    first = "input_1" if layout == "NCHW" else "nchw"
    turn = [helper.make_node("Transpose", ["input_1"], ["nchw"], perm=[0, 3, 1, 2])]
    nodes = [
        *(turn if layout == "NHWC" else []),
        helper.make_node("Conv", [first, "w0"], ["c0"], strides=[2, 2]),
        helper.make_node("Relu", ["c0"], ["r0"]),
        helper.make_node("Conv", ["r0", "w1"], ["c1"], strides=[2, 2]),
        helper.make_node("GlobalAveragePool", ["c1"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w2"], ["matched"]),
        helper.make_node("Add", ["matched", "bias"], ["out" if logits else "logits"]),
        *([] if logits else [helper.make_node("Sigmoid", ["logits"], ["out"])]),
    ]
    return write_graph(path, nodes, takes(layout, batch, side), [batch, tags], weights)


def names(path: Path, count: int) -> Path:
    path.write_text("".join(f"tag_{number}\n" for number in range(count)))
    return path


def noise(side: int, count: int = 3, seed: int = 0) -> list[NDArray[np.uint8]]:
    return list(np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8))
