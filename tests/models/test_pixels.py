"""What is done to pixels on a GPU is what is done to them on the CPU, to the bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from PIL import Image

from capprep.models.binding import BoundOnCpu, BoundOnCuda, write_numbers
from capprep.models.device import cores, onnx_session
from capprep.models.pixels import resize_squares, to_numbers
from capprep.models.pretrained import PixelRecipe
from capprep.models.tagger_spec import TaggerSpec

from .graphs import echo, network, noise


@given(before=st.integers(1, 150), after=st.integers(1, 150), stark=st.booleans(), seed=st.integers(0, 999))
@settings(max_examples=150, deadline=None)
def test_squares_are_resized_as_pillow_does_it_to_the_bit(before: int, after: int, stark: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = [0, 255] if stark else range(256)  # a filter overshoots most between black and white
    x_BSSC = rng.choice(np.array(values, np.uint8), (2, before, before, 3))
    ours_BSSC = resize_squares(torch.from_numpy(x_BSSC), after).numpy()
    for ours, square in zip(ours_BSSC, x_BSSC, strict=True):
        theirs = Image.fromarray(square).resize((after, after), Image.Resampling.BICUBIC)
        assert np.array_equal(ours, np.asarray(theirs))


@pytest.mark.parametrize("side", [512, 768, 384, 200])
def test_a_batch_resized_where_the_network_is_is_the_one_resized_before(side: int) -> None:
    pictures = noise(side, 2)
    before = PixelRecipe().batch(pictures, "cpu", torch.float32)
    # for torch this is the CPU too, and for the recipe another device
    there = PixelRecipe().batch(pictures, "cpu:0", torch.float32)
    assert torch.equal(before, there)


def test_pictures_that_are_no_squares_or_of_two_sizes_come_to_another_device_resized() -> None:
    for pictures in ([*noise(64, 1), *noise(96, 1)], [noise(64, 1)[0][:40]]):
        there = PixelRecipe().batch(pictures, "cpu:0", torch.float32)
        assert torch.equal(there, PixelRecipe().batch(pictures, "cpu", torch.float32))


SPECS = st.builds(
    TaggerSpec,
    layout=st.sampled_from(["NHWC", "NCHW"]),
    channels=st.sampled_from(["RGB", "BGR"]),
    scale=st.sampled_from([1.0, 255.0, 2.0, 65535.0]),
    mean=st.sampled_from([(0.0, 0.0, 0.0), (0.48, 0.46, 0.41)]),
    std=st.sampled_from([(1.0, 1.0, 1.0), (0.27, 0.26, 0.28)]),
)


@given(spec=SPECS, seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_bytes_become_the_same_numbers_in_torch_as_in_numpy_to_the_bit(spec: TaggerSpec, seed: int) -> None:
    squares = noise(16, 3, seed)
    shape = (3, 16, 16, 3) if spec.layout == "NHWC" else (3, 3, 16, 16)
    theirs_N, ours_N = np.zeros(shape, np.float32), torch.zeros(shape)
    for square, x in zip(squares, theirs_N, strict=True):
        write_numbers(square, spec, x)
    to_numbers(torch.from_numpy(np.stack(squares)), spec, ours_N)
    assert ours_N.numpy().tobytes() == theirs_N.tobytes()


@pytest.mark.parametrize("width", [40, 0])
@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_what_is_bound_by_its_address_is_answered_like_an_array(tmp_path: Path, layout: str, width: int) -> None:
    spec = TaggerSpec(layout=layout)
    session = onnx_session(network(tmp_path / "m.onnx", layout, "N"), "cpu")
    shape = (4, 24, 24, 3) if layout == "NHWC" else (4, 3, 24, 24)
    on_cpu = BoundOnCpu(session, spec, shape)
    by_address = BoundOnCuda(session, spec, shape, width, captured=False, device="cpu")
    for count in (4, 1, 3, 4):
        squares = noise(24, count, seed=count)
        alone = np.concatenate([BoundOnCpu(session, spec, (1, *shape[1:]))([square]) for square in squares])
        for bound in (on_cpu, by_address):
            answer_NT = bound(squares)
            assert answer_NT.shape == (4, 40)
            np.testing.assert_allclose(answer_NT[:count], alone, atol=1e-6)


def test_an_answer_stays_what_it_was_when_the_next_batch_is_answered(tmp_path: Path) -> None:
    session = onnx_session(echo(tmp_path / "m.onnx"), "cpu")
    for bound in (
        BoundOnCpu(session, TaggerSpec(), (2, 8, 8, 3)),
        BoundOnCuda(session, TaggerSpec(), (2, 8, 8, 3), 192, captured=False, device="cpu"),
    ):
        first = bound(noise(8, 2))
        kept = first.copy()
        bound(noise(8, 2, seed=9))
        np.testing.assert_array_equal(first, kept)


def test_answers_in_half_precision_are_taken_as_they_come(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Flatten", ["input_1"], ["flat"]),
        helper.make_node("Cast", ["flat"], ["out"], to=TensorProto.FLOAT16),
    ]
    takes = helper.make_tensor_value_info("input_1", TensorProto.FLOAT, ["N", 8, 8, 3])
    gives = helper.make_tensor_value_info("out", TensorProto.FLOAT16, ["N", 192])
    graph = helper.make_graph(nodes, "half", [takes], [gives])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    session = onnx_session(tmp_path / "m.onnx", "cpu")
    squares = noise(8, 2)
    expected = (np.stack(squares).reshape(2, -1) / np.float32(255)).astype(np.float16)
    bound = BoundOnCuda(session, TaggerSpec(), (2, 8, 8, 3), 192, captured=False, device="cpu")
    assert np.array_equal(bound(squares), expected)


def test_a_session_works_with_as_many_threads_as_this_process_has_cores(tmp_path: Path) -> None:
    session: onnxruntime.InferenceSession = onnx_session(echo(tmp_path / "m.onnx"), "cpu")
    assert session.get_session_options().intra_op_num_threads == cores() >= 1
