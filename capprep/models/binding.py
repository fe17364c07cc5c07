"""A batch's place in memory: where an ONNX graph finds its pictures and leaves its answers, bound to the session.

What is bound stays where it is from batch to batch. On the CPU the graph reads the very array that pictures are
written into. On CUDA bytes travel there, become numbers there, and only the answers come back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from capprep.models.tagger_spec import TaggerSpec

# N pictures, S pixels of a side, C = 3 colours, T tags

FLOAT = "tensor(float)"


class Bound(Protocol):
    """Answers batches of one shape."""

    def __call__(self, squares: Sequence[NDArray[np.uint8]]) -> NDArray[Any]:
        """The graph's first output for as many squares (S, S, 3), RGB, as were bound, or fewer.

        What is left of the batch is whatever was in it before; its answers come too, behind the others'.
        """


class BoundOnCpu:
    """See `Bound`; the array that pictures are written into is the graph's input."""

    def __init__(self, session: Any, spec: TaggerSpec, shape: tuple[int, ...]) -> None:
        import onnxruntime as ort

        self._session = session
        self._spec = spec
        self._x_N = np.zeros(shape, np.float32)
        self._binding = session.io_binding()
        self._binding.bind_ortvalue_input(session.get_inputs()[0].name, ort.OrtValue.ortvalue_from_numpy(self._x_N))
        # onnxruntime makes room for the answers at the first batch, since a graph may lie about their shape
        self._binding.bind_output(session.get_outputs()[0].name)

    def __call__(self, squares: Sequence[NDArray[np.uint8]]) -> NDArray[Any]:
        """See `Bound`."""
        for x, square in zip(self._x_N, squares, strict=False):
            write_numbers(square, self._spec, x)
        self._session.run_with_iobinding(self._binding)
        # the next batch is answered in the same place
        return np.array(self._binding.get_outputs()[0].numpy())


class BoundOnCuda:
    """See `Bound`; both ends are tensors of torch's on the GPU, which onnxruntime reads and writes in place.

    Args:
        session: On `device`.
        spec: What the graph takes.
        shape: Of its input.
        width: How many tags it answers with; 0 where it does not say.
        captured: Whether the session captures CUDA graphs, one for each size of a batch.
        device: Another one for those who have no GPU.
    """

    def __init__(
        self,
        session: Any,
        spec: TaggerSpec,
        shape: tuple[int, ...],
        width: int,
        *,
        captured: bool,
        device: str = "cuda",
    ) -> None:
        import onnxruntime as ort
        import torch

        from capprep.models.pixels import to_numbers

        self._to_numbers = to_numbers
        self._session = session
        self._spec = spec
        self._device = device
        self._torch = torch
        self._x_N = torch.zeros(shape, dtype=torch.float32, device=device)
        self._bytes_NSSC = np.zeros((shape[0], *_square_of(shape, spec)), np.uint8)
        taken, given = session.get_inputs()[0], session.get_outputs()[0]
        self._binding = session.io_binding()
        self._binding.bind_input(taken.name, device, 0, np.float32, list(shape), self._x_N.data_ptr())
        self._answers_NT = None
        if given.type == FLOAT and width:
            self._answers_NT = torch.zeros((shape[0], width), dtype=torch.float32, device=device)
            pointer = self._answers_NT.data_ptr()
            self._binding.bind_output(given.name, device, 0, np.float32, [shape[0], width], pointer)
        else:
            self._binding.bind_output(given.name)
        self._settings = ort.RunOptions()
        if captured:
            # the graph captured for one shape must not be replayed for another; -1 is for none at all
            self._settings.add_run_config_entry("gpu_graph_id", str(shape[0]))

    def __call__(self, squares: Sequence[NDArray[np.uint8]]) -> NDArray[Any]:
        """See `Bound`."""
        for bytes_SSC, square in zip(self._bytes_NSSC, squares, strict=False):
            bytes_SSC[:] = square
        there_NSSC = self._torch.from_numpy(self._bytes_NSSC).to(self._device)
        self._to_numbers(there_NSSC, self._spec, self._x_N)
        if self._x_N.is_cuda:
            # onnxruntime works in a stream of its own and does not wait for torch's
            self._torch.cuda.synchronize()
        self._session.run_with_iobinding(self._binding, self._settings)
        if self._answers_NT is None:
            return np.asarray(self._binding.copy_outputs_to_cpu()[0])
        answers_NT: NDArray[np.float32] = self._answers_NT.cpu().numpy()
        return answers_NT.copy()


def _square_of(shape: tuple[int, ...], spec: TaggerSpec) -> tuple[int, int, int]:
    side = shape[1] if spec.layout == "NHWC" else shape[2]
    return side, side, 3


def write_numbers(square_SSC: NDArray[np.uint8], spec: TaggerSpec, out: NDArray[np.float32]) -> None:
    """Write a square of the network's size as the numbers it takes.

    Args:
        square_SSC: RGB.
        spec: Channel order, scale and normalisation.
        out: (S, S, 3) or (3, S, S), as `spec.layout` says.
    """
    x_SSC = out if spec.layout == "NHWC" else out.transpose(1, 2, 0)
    order = slice(None) if spec.channels == "RGB" else slice(None, None, -1)
    np.divide(square_SSC[..., order], np.float32(255 / spec.scale), out=x_SSC)
    if normalises(spec):
        x_SSC -= np.array(spec.mean, dtype=np.float32)[order]
        x_SSC /= np.array(spec.std, dtype=np.float32)[order]


def normalises(spec: TaggerSpec) -> bool:
    """Whether numbers are changed by mean and std at all."""
    return spec.mean != (0.0, 0.0, 0.0) or spec.std != (1.0, 1.0, 1.0)
