"""The tagger: what goes in is what its description says, and what comes out is refused where it cannot be."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper
from PIL import Image

import capprep.toybox
from capprep.errors import ModelMismatch
from capprep.models.tagger import MOST_TAGS, OnnxTagger, prepare
from capprep.models.tagger_spec import DEEPDANBOORU, WD_V3, TaggerSpec
from capprep.thresholds import Thresholds
from capprep.toybox.world import draw, scene

from .graphs import echo, names, network, noise, peek, write_graph

BOORU = Path(capprep.toybox.__file__).parent / "weights" / "booru"


@pytest.fixture
def echoing(tmp_path: Path) -> OnnxTagger:
    return OnnxTagger(echo(tmp_path / "echo.onnx"), names(tmp_path / "tags.txt", 192))


def test_a_stored_square_of_the_networks_size_goes_in_bit_for_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    where = rng.choice(512 * 512 * 3, 300, replace=False)
    path = peek(tmp_path / "m.onnx", 512, where)
    tagger = OnnxTagger(path, names(tmp_path / "tags.txt", 300))
    pictures = noise(512)
    expected = np.stack([picture.astype(np.float32) / 255.0 for picture in pictures]).reshape(3, -1)[:, where]
    answer = tagger.probabilities(pictures)
    assert answer.dtype == np.float32
    assert answer.tobytes() == np.ascontiguousarray(expected).tobytes()


def test_channels_go_in_as_red_green_blue_rows_first(echoing: OnnxTagger) -> None:
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[2, 5] = (255, 0, 51)
    expected = np.zeros((8, 8, 3), np.float32)
    expected[2, 5] = (1.0, 0.0, 0.2)
    np.testing.assert_array_equal(echoing.probabilities([picture])[0], expected.ravel())


def test_a_larger_square_is_reduced_by_area_means(echoing: OnnxTagger) -> None:
    picture = noise(32, 1)[0]
    means = picture.reshape(8, 4, 8, 4, 3).astype(np.float64).mean(axis=(1, 3)) / 255
    np.testing.assert_allclose(echoing.probabilities([picture])[0], means.ravel(), atol=0.5001 / 255)
    odd = noise(21, 1)[0]
    expected = cv2.resize(odd, (8, 8), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    np.testing.assert_array_equal(echoing.probabilities([odd])[0], expected.ravel())


def test_a_smaller_square_is_enlarged_to_the_edges_and_never_padded(echoing: OnnxTagger) -> None:
    picture = np.full((4, 4, 3), (10, 200, 90), np.uint8)
    expected = np.tile(np.array([10, 200, 90], np.float32) / 255, 64)
    np.testing.assert_array_equal(echoing.probabilities([picture])[0], expected)


def test_a_picture_that_is_no_square_is_the_callers_fault(echoing: OnnxTagger) -> None:
    with pytest.raises(ValueError, match="8x9"):
        echoing.probabilities([np.zeros((9, 8, 3), np.uint8)])


@pytest.mark.parametrize("batch", ["N", 1, 2, 4])
def test_any_batch_size_of_the_graph_gives_the_same_answers(tmp_path: Path, batch: object) -> None:
    tagger = OnnxTagger(echo(tmp_path / "m.onnx", batch=batch), names(tmp_path / "tags.txt", 192))
    pictures = noise(8, 5)
    expected = np.stack(pictures).reshape(5, -1).astype(np.float32) / 255
    np.testing.assert_array_equal(tagger.probabilities(pictures), expected)


def test_no_picture_no_answer(echoing: OnnxTagger) -> None:
    assert echoing.probabilities([]).shape == (0, 192)


def test_sides_a_graph_leaves_open_are_deepdanboorus_512(tmp_path: Path) -> None:
    pool = helper.make_node("ReduceMean", ["input_1"], ["mean"], axes=[1, 2], keepdims=0)
    path = write_graph(tmp_path / "m.onnx", [pool], ["N", "h", "w", 3], ["N", "t"])
    # the output has another name in the graph than its node gives it, so this one is no valid graph
    with pytest.raises(ModelMismatch, match="cannot be read"):
        OnnxTagger(path, names(tmp_path / "tags.txt", 3))
    pool = helper.make_node("ReduceMean", ["input_1"], ["out"], axes=[1, 2], keepdims=0)
    path = write_graph(tmp_path / "m.onnx", [pool], ["N", "h", "w", 3], ["N", "t"])
    tagger = OnnxTagger(path, names(tmp_path / "tags.txt", 3))
    picture = noise(512, 1)[0]
    np.testing.assert_allclose(tagger.probabilities([picture])[0], picture.mean(axis=(0, 1)) / 255, atol=1e-5)


def test_more_or_fewer_labels_than_outputs_are_refused_with_both_numbers(tmp_path: Path) -> None:
    path = echo(tmp_path / "m.onnx")
    for count in (191, 193):
        with pytest.raises(ModelMismatch, match=rf"192 outputs and .*tags\.txt has {count} labels"):
            OnnxTagger(path, names(tmp_path / "tags.txt", count))


@pytest.mark.parametrize("batch", ["N", 2])
def test_labels_are_counted_against_a_graph_that_does_not_say_its_width(tmp_path: Path, batch: object) -> None:
    nodes = [
        helper.make_node("Flatten", ["input_1"], ["flat"]),
        helper.make_node("Compress", ["flat", "which"], ["out"], axis=1),
    ]
    which = np.arange(192) % 2 == 0
    path = write_graph(tmp_path / "m.onnx", nodes, [batch, 8, 8, 3], [batch, "T"], {"which": which})
    assert not isinstance(onnxruntime.InferenceSession(str(path)).get_outputs()[0].shape[1], int)
    tagger = OnnxTagger(path, names(tmp_path / "tags.txt", 96))
    assert tagger.probabilities(noise(8)).shape == (3, 96)
    with pytest.raises(ModelMismatch, match=r"96 outputs and .* has 5 labels"):
        OnnxTagger(path, names(tmp_path / "tags.txt", 5))


@pytest.mark.parametrize("takes", [["N", 3, 8, 8], ["N", 8, 8, 4], ["N", 8, 9, 3], ["N", 192]], ids=str)
def test_a_graph_of_another_layout_is_refused(tmp_path: Path, takes: list) -> None:
    flatten = helper.make_node("Flatten", ["input_1"], ["out"])
    path = write_graph(tmp_path / "m.onnx", [flatten], takes, ["N", "t"])
    with pytest.raises(ModelMismatch, match=r"not one float32 input of shape \(pictures, side, side, 3\)"):
        OnnxTagger(path, names(tmp_path / "tags.txt", 192))


def test_a_graph_that_takes_bytes_is_refused(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Cast", ["input_1"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["cast"], ["out"]),
    ]
    path = write_graph(tmp_path / "m.onnx", nodes, ["N", 8, 8, 3], ["N", 192], kind=TensorProto.UINT8)
    with pytest.raises(ModelMismatch, match=r"input_1 tensor\(uint8\)"):
        OnnxTagger(path, names(tmp_path / "tags.txt", 192))


def test_a_graph_that_answers_with_a_map_is_refused(tmp_path: Path) -> None:
    same = helper.make_node("Identity", ["input_1"], ["out"])
    path = write_graph(tmp_path / "m.onnx", [same], ["N", 8, 8, 3], ["N", 8, 8, 3])
    with pytest.raises(ModelMismatch, match=r"shape \(1, 8, 8, 3\), not \(pictures, tags\)"):
        OnnxTagger(path, names(tmp_path / "tags.txt", 3))


@pytest.mark.parametrize(
    ("scale", "shift", "said"),
    [
        (np.nan, 0.0, "NaN or infinity"),
        (np.inf, 0.0, "NaN or infinity"),
        (1.0, -0.5, "before its sigmoid"),
        (3.0, 0.0, "before its sigmoid"),
        (0.0, 0.5, "the same number for every tag"),
    ],
)
def test_numbers_that_cannot_be_probabilities_are_refused_with_their_likely_cause(
    tmp_path: Path, scale: float, shift: float, said: str
) -> None:
    weights = {"scale": np.array(scale, np.float32), "shift": np.array(shift, np.float32)}
    nodes = [
        helper.make_node("Flatten", ["input_1"], ["flat"]),
        helper.make_node("Mul", ["flat", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "shift"], ["out"]),
    ]
    path = write_graph(tmp_path / "m.onnx", nodes, ["N", 8, 8, 3], ["N", 192], weights)
    tagger = OnnxTagger(path, names(tmp_path / "tags.txt", 192))
    with pytest.raises(ModelMismatch, match=said):
        tagger.probabilities(noise(8))


def test_the_tiny_tagger_answers_as_onnxruntime_alone_does() -> None:
    tagger = OnnxTagger(BOORU / "model.onnx", BOORU / "labels.csv")
    pictures = [np.asarray(draw(scene(number))) for number in range(4)]
    session = onnxruntime.InferenceSession(str(BOORU / "model.onnx"), providers=["CPUExecutionProvider"])
    for row, picture in zip(tagger.probabilities(pictures), pictures, strict=True):
        single = session.run(None, {"input": picture[None].astype(np.float32) / 255})[0][0]
        np.testing.assert_allclose(row, single, atol=1e-6)
    assert tagger.provider == "CPUExecutionProvider"


@pytest.mark.slow
def test_a_tagger_with_deepdanboorus_number_of_tags_agrees_with_onnxruntime_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weights = {
        "w": (rng.normal(size=(768, 9176)) / 8).astype(np.float32),
        "bias": np.full(9176, -5, np.float32),
    }
    nodes = [
        helper.make_node("Transpose", ["input_1"], ["nchw"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["nchw"], ["small"], kernel_shape=[32, 32], strides=[32, 32]),
        helper.make_node("Flatten", ["small"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["matched"]),
        helper.make_node("Add", ["matched", "bias"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["out"]),
    ]
    path = write_graph(tmp_path / "m.onnx", nodes, ["N", 512, 512, 3], ["N", 9176], weights)
    tagger = OnnxTagger(path, names(tmp_path / "tags.txt", 9176))
    pictures = noise(512, 20)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    singles = [session.run(None, {"input_1": p[None].astype(np.float32) / 255})[0] for p in pictures]
    np.testing.assert_allclose(tagger.probabilities(pictures), np.concatenate(singles), atol=1e-5)


def with_metadata(path: Path, tags: str | None) -> Path:
    model = onnx.load(echo(path))
    if tags is not None:
        helper.set_model_props(model, {"tags": tags})
    onnx.save(model, path)
    return path


def test_labels_may_be_in_the_graphs_own_metadata(tmp_path: Path) -> None:
    tags = [f"tag_{n}" for n in range(191)] + ["rating:safe"]
    tagger = OnnxTagger(with_metadata(tmp_path / "in.onnx", repr(tags)), None)
    assert [label.name for label in tagger.labels] == tags
    assert tagger.labels[-1].category == "rating"


@pytest.mark.parametrize("tags", [None, "", "__import__('os').system('touch hacked')", "{1: 2}", "[1, 2]", "(" * 9999])
def test_metadata_that_is_no_list_of_names_is_refused_and_never_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tags: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelMismatch):
        OnnxTagger(with_metadata(tmp_path / "in.onnx", tags), None)
    assert not (tmp_path / "hacked").exists()


def as_wd_reads(picture: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    """What the WD taggers' published programs do, in Pillow: a white canvas, a cubic, blue first, no scaling."""
    image = Image.fromarray(picture)
    side = max(image.size)
    canvas = Image.new("RGB", (side, side), (255, 255, 255))
    canvas.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    if side != size:
        canvas = canvas.resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(canvas).astype(np.float32)[:, :, ::-1]


def prepared(picture: NDArray[np.uint8], size: int, spec: TaggerSpec) -> NDArray[np.float32]:
    """As (size, size, 3), whatever the layout."""
    out = np.full((size, size, 3) if spec.layout == "NHWC" else (3, size, size), np.nan, np.float32)
    prepare(picture, size, spec, out)
    return out if spec.layout == "NHWC" else out.transpose(1, 2, 0)


@pytest.mark.parametrize("shape", [(512, 512), (448, 448), (64, 64), (512, 300), (33, 512)], ids=str)
def test_wd_is_given_a_white_square_reduced_by_a_cubic_in_blue_green_red_bytes(
    tmp_path: Path, shape: tuple[int, int]
) -> None:
    where = np.random.default_rng(0).choice(448 * 448 * 3, 150, replace=False)
    nodes = [
        helper.make_node("Flatten", ["input_1"], ["flat"]),
        helper.make_node("Gather", ["flat", "where"], ["bytes"], axis=1),
        helper.make_node("Div", ["bytes", "most"], ["out"]),
    ]
    weights = {"where": where, "most": np.array(255, np.float32)}
    path = write_graph(tmp_path / "m.onnx", nodes, ["N", 448, 448, 3], ["N", 150], weights)
    tagger = OnnxTagger(path, names(tmp_path / "tags.txt", 150), "cpu", WD_V3)
    picture = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    expected = as_wd_reads(picture, 448).reshape(-1)[where] / np.float32(255)
    assert tagger.probabilities([picture])[0].tobytes() == expected.tobytes()


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    layout=st.sampled_from(["NHWC", "NCHW"]),
    channels=st.sampled_from(["RGB", "BGR"]),
    normalised=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_every_layout_order_and_scale_is_the_same_picture_bit_for_bit(
    height: int, width: int, layout: str, channels: str, normalised: bool, seed: int
) -> None:
    mean, std = ((0.48, 0.46, 0.41), (0.27, 0.26, 0.28)) if normalised else ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    spec = TaggerSpec(layout, None, channels, mean=mean, std=std, padding="white", interpolation="bicubic", scale=1.0)
    picture = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    rgb = as_wd_reads(picture, 16)[:, :, ::-1] / np.float32(255)
    expected = (rgb - np.float32(mean)) / np.float32(std)
    expected = expected if channels == "RGB" else expected[:, :, ::-1]
    assert prepared(picture, 16, spec).tobytes() == np.ascontiguousarray(expected).tobytes()


def test_mean_and_std_of_a_half_give_minus_one_to_one() -> None:
    spec = TaggerSpec(layout="NCHW", mean=(0.5,) * 3, std=(0.5,) * 3)
    picture = noise(16, 1)[0]
    np.testing.assert_allclose(prepared(picture, 16, spec), picture / 127.5 - 1, atol=1e-6)


@pytest.mark.parametrize("shape", [(9, 16), (16, 3), (5, 16)], ids=str)
def test_an_edge_repeated_around_the_middle_makes_a_square(shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(4).integers(0, 256, (*shape, 3), dtype=np.uint8)
    top, left = (16 - shape[0]) // 2, (16 - shape[1]) // 2
    rest = (top, 16 - shape[0] - top, left, 16 - shape[1] - left)
    expected = cv2.copyMakeBorder(picture, *rest, cv2.BORDER_REPLICATE).astype(np.float32) / 255
    np.testing.assert_array_equal(prepared(picture, 16, TaggerSpec(padding="edge")), expected)


@pytest.mark.parametrize("way", ["bilinear", "lanczos"])
def test_other_interpolations_are_pillows(way: str) -> None:
    picture = noise(23, 1)[0]
    resized = Image.fromarray(picture).resize((16, 16), getattr(Image.Resampling, way.upper()))
    expected = np.asarray(resized).astype(np.float32) / 255
    np.testing.assert_array_equal(prepared(picture, 16, TaggerSpec(interpolation=way)), expected)


@pytest.mark.parametrize("logits", [False, True])
@pytest.mark.parametrize("batch", ["N", 1, 4])
@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_a_batch_has_the_tags_that_each_picture_has_alone(
    tmp_path: Path, layout: str, batch: object, logits: bool
) -> None:
    path = network(tmp_path / "m.onnx", layout, batch, logits=logits)
    spec = TaggerSpec(layout=layout, output="logits" if logits else "probabilities")
    tagger = OnnxTagger(path, names(tmp_path / "tags.txt", 40), "cpu", spec)
    pictures = noise(24, 5) + noise(40, 2)
    together = tagger.probabilities(pictures)
    alone = np.concatenate([tagger.probabilities([picture]) for picture in pictures])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    np.testing.assert_array_equal(together >= 0.5, alone >= 0.5)
    assert np.ptp(together, axis=0).max() > 1e-3, "the pictures are told apart"


def test_a_sigmoid_outside_the_graph_gives_what_one_inside_gives(tmp_path: Path) -> None:
    answers = []
    for logits in (False, True):
        path = network(tmp_path / "m.onnx", "NCHW", "N", logits=logits)
        spec = TaggerSpec(layout="NCHW", output="logits" if logits else "probabilities")
        answers.append(OnnxTagger(path, names(tmp_path / "tags.txt", 40), "cpu", spec).probabilities(noise(24)))
    np.testing.assert_allclose(answers[1], answers[0], atol=1e-6)


def test_logits_of_any_size_become_probabilities(tmp_path: Path) -> None:
    spec = TaggerSpec(output="logits", mean=(0.5,) * 3, std=(0.0005,) * 3)
    tagger = OnnxTagger(echo(tmp_path / "m.onnx"), names(tmp_path / "tags.txt", 192), "cpu", spec)
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[:4] = 255
    expected = np.repeat([1.0, 0.0], 96)
    np.testing.assert_array_equal(tagger.probabilities([picture])[0], expected)


def bright(count: int, value: int = 255) -> NDArray[np.uint8]:
    """A picture of 10x10 in which that many of the 300 numbers are bright."""
    picture = np.zeros(300, np.uint8)
    picture[:count] = value
    return picture.reshape(10, 10, 3)


def test_more_tags_over_their_thresholds_than_any_picture_has_are_refused(tmp_path: Path) -> None:
    tagger = OnnxTagger(echo(tmp_path / "m.onnx", 10), names(tmp_path / "tags.txt", 300))
    assert (tagger.probabilities([bright(MOST_TAGS)]) >= 0.5).sum() == 200
    with pytest.raises(ModelMismatch, match=r"201 tags over their thresholds.*damaged.*half precision.*fed wrongly"):
        tagger.probabilities([bright(MOST_TAGS + 1)])


def test_each_tag_counts_from_the_threshold_of_its_category(tmp_path: Path) -> None:
    labels = tmp_path / "tags.csv"
    labels.write_text("name,category\n" + "".join(f"tag_{n},{4 if n < 250 else 0}\n" for n in range(300)))
    for least, fine in ((0.85, True), (0.6, False)):
        spec = TaggerSpec(thresholds=Thresholds(0.5, {"character": least}))
        tagger = OnnxTagger(echo(tmp_path / "m.onnx", 10), labels, "cpu", spec)
        if fine:
            assert tagger.probabilities([bright(250, 200)]).shape == (1, 300)
        else:
            with pytest.raises(ModelMismatch, match="250 tags"):
                tagger.probabilities([bright(250, 200)])


@pytest.mark.parametrize("batch", ["N", 2])
def test_the_picture_with_an_impossible_answer_is_named_among_the_others(tmp_path: Path, batch: object) -> None:
    tagger = OnnxTagger(echo(tmp_path / "m.onnx", 10, batch), names(tmp_path / "tags.txt", 300))
    fine, blank = bright(20), bright(0)
    assert tagger.probabilities([fine] * 5).shape == (5, 300)
    with pytest.raises(ModelMismatch, match="answers picture 4 of the 5 in a batch with the same number for every tag"):
        tagger.probabilities([fine, fine, fine, blank, fine])
    with pytest.raises(ModelMismatch, match="answers picture 2 of the 3 in a batch with 300 tags"):
        tagger.probabilities([fine, bright(299) | 250, fine])
    with pytest.raises(ModelMismatch, match="answers every picture with"):
        tagger.probabilities([blank, blank])
    with pytest.raises(ModelMismatch, match="answers a picture with"):
        tagger.probabilities([blank])


def test_probabilities_that_are_said_to_be_logits_are_named_as_the_cause(tmp_path: Path) -> None:
    spec = TaggerSpec(output="logits")
    tagger = OnnxTagger(echo(tmp_path / "m.onnx", 10), names(tmp_path / "tags.txt", 300), "cpu", spec)
    with pytest.raises(ModelMismatch, match=r"300 tags.*probabilities already"):
        tagger.probabilities([bright(20)])


@pytest.mark.parametrize(("graph", "said"), [("NHWC", "NCHW"), ("NCHW", "NHWC")])
def test_a_graph_of_the_other_layout_is_refused_with_what_it_takes(tmp_path: Path, graph: str, said: str) -> None:
    path = echo(tmp_path / "m.onnx", layout=graph)
    with pytest.raises(ModelMismatch, match=r"takes input_1 .*8.*, not one float32 input of shape \(pictures"):
        OnnxTagger(path, names(tmp_path / "tags.txt", 192), "cpu", TaggerSpec(layout=said))


def test_a_size_that_the_graph_does_not_take_is_refused_with_both(tmp_path: Path) -> None:
    path = echo(tmp_path / "m.onnx")
    with pytest.raises(ModelMismatch, match=r"takes 8x8 pixels, and its description says size = 448"):
        OnnxTagger(path, names(tmp_path / "tags.txt", 192), "cpu", WD_V3)


def test_a_graph_that_takes_any_size_is_given_the_one_described(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Shape", ["input_1"], ["shape"]),
        helper.make_node("Cast", ["shape"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["numbers", "most"], ["shares"]),
        helper.make_node("Unsqueeze", ["shares", "first"], ["out"]),
    ]
    weights = {"most": np.array(100, np.float32), "first": np.array([0])}
    path = write_graph(tmp_path / "m.onnx", nodes, [1, 3, "h", "w"], [1, 4], weights)
    tagger = OnnxTagger(path, names(tmp_path / "tags.txt", 4), "cpu", TaggerSpec(layout="NCHW", size=24))
    np.testing.assert_allclose(tagger.probabilities(noise(40, 1))[0] * 100, [1, 3, 24, 24], rtol=1e-6)


def test_what_deepdanbooru_takes_is_what_a_tagger_without_a_description_takes(tmp_path: Path) -> None:
    path, tags = echo(tmp_path / "m.onnx"), names(tmp_path / "tags.txt", 192)
    for picture in noise(8) + noise(20):
        said = OnnxTagger(path, tags, "cpu", DEEPDANBOORU).probabilities([picture])
        assert OnnxTagger(path, tags).probabilities([picture]).tobytes() == said.tobytes()
