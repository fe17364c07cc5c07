"""Memory that runs out costs speed and nothing else: no row is lost, none answered twice, and it is remembered."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnxruntime.capi import onnxruntime_pybind11_state as onnx_errors

from capprep.errors import DeviceError
from capprep.models.batches import AdaptiveBatch, out_of_memory

from .graphs import names, network

SAID: list[Callable[[], Exception]] = [
    MemoryError,
    lambda: np._core._exceptions._ArrayMemoryError((1 << 40,), np.dtype(np.float32)),
    lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
    lambda: RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    lambda: RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried"),
    lambda: onnx_errors.RuntimeException("BFCArena: Failed to allocate memory for requested buffer of size 1024"),
    lambda: onnx_errors.Fail("CUDA failure 2: out of memory ; GPU=0 ; expr=cudaMalloc((void**)&p, size)"),
]


class Network:
    """Answers as many rows as fit into its memory."""

    def __init__(self, room: int, fault: Callable[[], Exception]) -> None:
        self.room, self.fault, self.asked = room, fault, list[int]()

    def __call__(self, rows: Sequence[int]) -> Iterator[int]:
        self.asked.append(len(rows))
        for number, row in enumerate(rows):
            if number >= self.room:
                raise self.fault()
            yield row * row


@given(
    batches=st.lists(st.integers(1, 70), min_size=1, max_size=8), room=st.integers(1, 70), fault=st.sampled_from(SAID)
)
@settings(max_examples=150, deadline=None)
def test_every_row_is_answered_once_and_in_order_however_little_memory_there_is(
    batches: list[int], room: int, fault: Callable[[], Exception]
) -> None:
    network, adaptive, first = Network(room, fault), AdaptiveBatch(), 0
    for count in batches:
        rows = range(first, first + count)
        assert adaptive(rows, network) == [row * row for row in rows]
        first += count
    failed = [count for count in network.asked if count > room]
    assert len(failed) <= 7, "each failure halves the batch for good"
    assert failed == sorted(failed, reverse=True)
    assert adaptive.limit is None or room / 2 < adaptive.limit <= room


@pytest.mark.parametrize("fault", SAID)
def test_no_memory_for_one_row_is_an_error_that_says_what_to_do(fault: Callable[[], Exception]) -> None:
    with pytest.raises(DeviceError, match="not enough memory for one picture") as caught:
        AdaptiveBatch()([1, 2, 3], Network(0, fault))
    assert "--device cpu" in caught.value.hint


@pytest.mark.parametrize(
    "fault", [ValueError("out of memory"), RuntimeError("shapes do not match"), onnx_errors.Fail("bad node")], ids=repr
)
def test_any_other_error_is_raised_at_once(fault: Exception) -> None:
    assert not out_of_memory(fault)

    def failing() -> Exception:
        return fault

    network = Network(0, failing)
    with pytest.raises(type(fault)):
        AdaptiveBatch()([1, 2, 3], network)
    assert network.asked == [3]


CHILD = """
import resource, sys
import numpy as np
from pathlib import Path
from capprep.models.batches import AdaptiveBatch

def limit(room_mb):
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + room_mb * 2**20,) * 2)

adaptive = AdaptiveBatch()
if sys.argv[1] == "torch":
    import torch
    torch.set_num_threads(1)
    limit(200)
    answers = adaptive(range(32), lambda rows: [int(t.sum()) for t in torch.ones(len(rows), 5 << 18).mul(2)])
    assert answers == [5 << 19] * 32
else:
    from capprep.models.tagger import OnnxTagger
    tagger = OnnxTagger(Path(sys.argv[2]), Path(sys.argv[3]))
    pictures = list(np.random.default_rng(0).integers(0, 256, (32, 256, 256, 3), dtype=np.uint8))
    singly = [tagger.probabilities([picture])[0] for picture in pictures]
    limit(60)
    answers = adaptive(pictures, tagger.probabilities)
    np.testing.assert_allclose(answers, singly, atol=1e-6)
assert adaptive.limit is not None and adaptive.limit < 32, adaptive.limit
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the memory in use is looked up in /proc")
@pytest.mark.parametrize("library", ["torch", "onnxruntime"])
def test_a_process_that_may_not_have_more_memory_goes_on_with_smaller_batches(tmp_path: Path, library: str) -> None:
    graph, labels = network(tmp_path / "m.onnx", "NHWC", "N", side=256), names(tmp_path / "tags.txt", 40)
    command = [sys.executable, "-c", CHILD, library, str(graph), str(labels)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
