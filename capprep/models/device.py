"""Which device a network runs on, proven rather than asked for."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from capprep.errors import ConfigError, DeviceError, ModelMismatch, ModelMissing

CPU = "cpu"
CUDA = "cuda"
AUTO = "auto"

CUDA_PROVIDER = "CUDAExecutionProvider"
CPU_PROVIDER = "CPUExecutionProvider"

_CUDA_OPTIONS = {
    "use_tf32": "0",  # a probability must not depend on the device it was computed on
    "arena_extend_strategy": "kSameAsRequested",  # doubled arenas would leave less room for a batch than there is
}

_FATAL, _WARNING = 4, 2  # onnxruntime's log severities; 2 is what it starts with

# y = Identity(x), one float, opset 13: the smallest graph that makes onnxruntime choose a provider
_PROBE = (
    b'\x08\x08:7\n\x10\n\x01x\x12\x01y"\x08Identity\x12\x01pZ\x0f\n\x01x\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01'
    b"b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\r"
)


def torch_device(name: str) -> str:
    """The device torch will use, "cpu" or "cuda", for `name` auto, cpu or cuda.

    Raises:
        DeviceError: "cuda" was asked for and torch cannot use one.
        ConfigError: `name` is none of the three.
    """
    if _wants_cpu(name):
        return CPU
    import torch  # seconds, and a tagger alone does not need it

    if torch.cuda.is_available():
        return CUDA
    if name == AUTO:
        return CPU
    if torch.version.cuda is None:
        fault, hint = "the installed torch is a CPU build", "install a CUDA build of torch, or use --device cpu"
    else:
        fault, hint = "torch finds no usable NVIDIA GPU", "look at `nvidia-smi`, or use --device cpu"
    raise DeviceError(f"--device cuda is not possible: {fault}", hint)


def onnx_device(name: str) -> str:
    """The device onnxruntime will use, "cpu" or "cuda", for `name` auto, cpu or cuda.

    onnxruntime lists providers that it cannot load and falls back without raising, so "cuda" is only
    ever answered after a session really stood on it.

    Raises:
        DeviceError: "cuda" was asked for and no session comes to stand on it.
        ConfigError: `name` is none of the three.
    """
    if _wants_cpu(name):
        return CPU
    try:
        _session(_PROBE, CUDA)
    except DeviceError:
        if name == CUDA:
            raise
        return CPU
    return CUDA


def onnx_session(model: Path, device: str, *, captured: bool = False) -> Any:
    """An `onnxruntime.InferenceSession` of a file, standing on the device asked for.

    Args:
        model: The `.onnx` file.
        device: "cpu" or "cuda"; "auto" is for `onnx_device` to decide.
        captured: On "cuda", have each batch's kernels launched as one CUDA graph; shapes and addresses must then
            stay as they were at the first batch of each `gpu_graph_id`.

    Raises:
        ModelMissing: There is no such file.
        ModelMismatch: onnxruntime cannot read it as a graph.
        DeviceError: The session did not come to stand on "cuda".
    """
    if not model.is_file():
        raise ModelMissing(f"there is no file {model}", "check the path, or run `capprep models pull`")
    return _session(str(model), device, captured=captured)


def cores() -> int:
    """How many cores this process may use; of a machine that is shared out they are fewer than it has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _wants_cpu(name: str) -> bool:
    if name not in (AUTO, CPU, CUDA):
        raise ConfigError(f"device = {name!r} is not possible", "choose one of: auto, cpu, cuda")
    return name == CPU


def _session(model: str | bytes, device: str, *, captured: bool = False) -> Any:
    """A session of a path or of a graph's bytes; see `onnx_session`."""
    import onnxruntime as ort  # not needed where only torch is used
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    unreadable = (state.InvalidProtobuf, state.InvalidGraph, state.InvalidArgument, state.NotImplemented, state.Fail)
    settings = ort.SessionOptions()
    settings.log_severity_level = _FATAL  # what concerns a user is raised below, in words
    settings.intra_op_num_threads = cores()
    # threads that wait for the next batch by spinning take the cores from those that open its pictures
    settings.add_session_config_entry("session.force_spinning_stop", "1")
    wanted = [CUDA_PROVIDER, CPU_PROVIDER] if device == CUDA else [CPU_PROVIDER]
    options = [_CUDA_OPTIONS | {"enable_cuda_graph": str(int(captured))}, {}] if device == CUDA else [{}]
    said = ""
    try:
        if device == CUDA:
            said = _ready_for_cuda(ort)
        with _without_log(ort):
            session = ort.InferenceSession(model, settings, providers=wanted, provider_options=options)
    except unreadable as error:
        name = model if isinstance(model, str) else "the built-in probe"
        raise ModelMismatch(
            f"{name} cannot be read as an ONNX graph: {_first_line(str(error))}",
            "check that it is the whole .onnx file and that onnxruntime is up to date",
        ) from error
    if session.get_providers()[0] != wanted[0]:
        raise _fell_back(said)
    return session


def _ready_for_cuda(ort: Any) -> str:
    """Load the CUDA libraries that torch brought along; what onnxruntime said about it.

    Raises:
        DeviceError: This onnxruntime was built without CUDA.
    """
    if CUDA_PROVIDER not in ort.get_available_providers():
        raise DeviceError(
            "--device cuda is not possible: the installed onnxruntime is a CPU build",
            "install onnxruntime-gpu instead of onnxruntime, or use --device cpu",
        )
    said = io.StringIO()
    if hasattr(ort, "preload_dlls"):
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            ort.preload_dlls()
    return _first_line(said.getvalue())


def _fell_back(said: str) -> DeviceError:
    reason = f" ({said})" if said else ""
    return DeviceError(
        f"--device cuda is not possible: onnxruntime could not use CUDA and fell back to the CPU{reason}",
        "install the CUDA and cuDNN versions that onnxruntime asks for, look at `nvidia-smi`, or use --device cpu",
    )


@contextlib.contextmanager
def _without_log(ort: Any) -> Iterator[None]:
    """Keep onnxruntime's own log, written by its C++ part, off a person's terminal."""
    ort.set_default_logger_severity(_FATAL)
    try:
        yield
    finally:
        ort.set_default_logger_severity(_WARNING)


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]
