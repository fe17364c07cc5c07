import sys
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import onnx
import onnxruntime
import pytest
import torch
from onnxruntime.capi import onnxruntime_pybind11_state as onnx_errors

from capprep.errors import ConfigError, DeviceError, ModelMismatch, ModelMissing
from capprep.models import device
from capprep.models.device import onnx_device, onnx_session, torch_device
from capprep.models.tagger import OnnxTagger

from .graphs import names, network

without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="tells what happens where there is no GPU")


@pytest.fixture
def identity(tmp_path: Path) -> Path:
    path = tmp_path / "identity.onnx"
    path.write_bytes(device._PROBE)
    return path


def session_on(*providers: str):
    """Stand in for onnxruntime's class: a session that comes to stand on these providers."""
    return lambda *_, **__: SimpleNamespace(get_providers=lambda: list(providers))


def test_cpu_is_cpu_whatever_the_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert torch_device("cpu") == "cpu"
    assert onnx_device("cpu") == "cpu"


@pytest.mark.parametrize(("has_gpu", "expected"), [(True, "cuda"), (False, "cpu")])
def test_auto_takes_the_gpu_that_torch_can_use(monkeypatch: pytest.MonkeyPatch, has_gpu: bool, expected: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    assert torch_device("auto") == expected


@pytest.mark.parametrize(("build", "said"), [(None, "CPU build"), ("12.8", "no usable NVIDIA GPU")])
def test_an_explicit_cuda_that_torch_cannot_use_is_an_error_that_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, build: str | None, said: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", build)
    with pytest.raises(DeviceError, match=said) as caught:
        torch_device("cuda")
    assert "--device cpu" in caught.value.hint


@pytest.mark.parametrize("ask", [torch_device, onnx_device])
def test_another_name_is_refused(ask) -> None:
    with pytest.raises(ConfigError, match="tpu"):
        ask("tpu")


def test_a_session_asked_for_the_cpu_stands_on_the_cpu(identity: Path) -> None:
    session = onnx_session(identity, "cpu")
    assert session.get_providers() == ["CPUExecutionProvider"]
    assert session.run(None, {"x": [2.5]})[0].tolist() == [2.5]


def test_the_built_in_probe_is_the_identity_graph_it_says_it_is() -> None:
    model = onnx.load_from_string(device._PROBE)
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == ["Identity"]


def test_a_file_that_is_no_graph_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_text("<html>404</html>")
    with pytest.raises(ModelMismatch, match=r"model\.onnx cannot be read as an ONNX graph"):
        onnx_session(path, "cpu")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"no\.onnx"):
        onnx_session(tmp_path / "no.onnx", "cpu")


@without_gpu
def test_without_a_gpu_auto_is_the_cpu_and_nothing_is_said_on_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    assert onnx_device("auto") == "cpu"
    assert capfd.readouterr() == ("", "")


@without_gpu
def test_without_a_gpu_an_explicit_cuda_is_an_error_for_torch_and_for_onnxruntime(
    identity: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DeviceError):
        torch_device("cuda")
    with pytest.raises(DeviceError):
        onnx_device("cuda")
    with pytest.raises(DeviceError):
        onnx_session(identity, "cuda")
    assert capfd.readouterr() == ("", "")


def test_a_session_that_silently_fell_back_to_the_cpu_is_an_error(
    monkeypatch: pytest.MonkeyPatch, identity: Path
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: sys.stdout.write("Failed to load libcudnn.so.9: none\n"))
    monkeypatch.setattr(onnxruntime, "InferenceSession", session_on("CPUExecutionProvider"))
    with pytest.raises(DeviceError, match=r"fell back to the CPU \(Failed to load libcudnn\.so\.9: none\)"):
        onnx_session(identity, "cuda")
    assert onnx_device("auto") == "cpu"


def test_a_session_that_stands_on_cuda_is_proof(monkeypatch: pytest.MonkeyPatch, identity: Path) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.delattr(onnxruntime, "preload_dlls", raising=False)  # versions before 1.21 have none
    monkeypatch.setattr(onnxruntime, "InferenceSession", session_on("CUDAExecutionProvider", "CPUExecutionProvider"))
    assert onnx_device("auto") == onnx_device("cuda") == "cuda"
    assert onnx_session(identity, "cuda").get_providers()[0] == "CUDAExecutionProvider"


def test_an_onnxruntime_built_without_cuda_is_said_to_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(DeviceError, match="CPU build") as caught:
        onnx_device("cuda")
    assert "onnxruntime-gpu" in caught.value.hint
    assert onnx_device("auto") == "cpu"


class OnCuda(onnxruntime.InferenceSession):
    """A session on the CPU that says it stands on CUDA; it captures no graph unless all of it is there."""

    asked: ClassVar[list[dict[str, str]]] = []
    whole = True

    def __init__(self, model, settings, providers, provider_options) -> None:
        assert providers[0] == "CUDAExecutionProvider"
        self.asked.append(provider_options[0])
        if provider_options[0]["enable_cuda_graph"] == "1" and not self.whole:
            raise onnx_errors.Fail("This session cannot use the graph capture feature as requested by the user")
        super().__init__(model, settings, providers=["CPUExecutionProvider"])

    def get_providers(self) -> list[str]:
        return ["CUDAExecutionProvider", "CPUExecutionProvider"]


@pytest.mark.parametrize("whole", [True, False])
def test_a_tagger_on_cuda_is_captured_as_a_graph_or_it_is_said_why_it_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture, whole: bool
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)
    monkeypatch.setattr(onnxruntime, "InferenceSession", OnCuda)
    monkeypatch.setattr(OnCuda, "whole", whole)
    monkeypatch.setattr(OnCuda, "asked", [])
    tagger = OnnxTagger(network(tmp_path / "m.onnx", "NHWC", "N"), names(tmp_path / "tags.txt", 40), "cuda")
    assert tagger.provider == "CUDAExecutionProvider"
    assert [options["enable_cuda_graph"] for options in OnCuda.asked] == (["1"] if whole else ["1", "0"])
    assert {options["use_tf32"] for options in OnCuda.asked} == {"0"}
    assert ("runs without a CUDA graph" in caplog.text) is not whole
