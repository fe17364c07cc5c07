"""Faces found by OpenCV's detector, with a network that takes red squares for faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, save

from capprep.errors import ConfigError
from capprep.images.crop import choose
from capprep.images.faces import FaceDetector

Pixels = NDArray[np.uint8]
CELL = 32
RED, BLUE = (255, 0, 0), (0, 0, 255)


def red_square_detector(path: Path, outputs: int = 12) -> Path:
    """A network with a YuNet's inputs and outputs: each 32 pixel cell is a face as far as it is red.

    A YuNet is fed blue, green, red. For each stride it gives class and objectness, whose geometric mean is the
    score, a box as offset of its centre in cells and logarithm of its sides, and five landmarks.
    """
    weights = {"score": np.array([[-1, 0, 1]], np.float32) / 255, "bbox": np.zeros((4, 3), np.float32)}
    weights["kps"] = np.zeros((10, 3), np.float32)
    biases = {"score": np.zeros(1, np.float32), "bbox": np.array([0.5, 0.5, 0, 0], np.float32)}
    biases["kps"] = np.zeros(10, np.float32)
    constants = [numpy_helper.from_array(x[..., None, None], f"{name}_w") for name, x in weights.items()]
    constants += [numpy_helper.from_array(x, f"{name}_b") for name, x in biases.items()]
    nodes, made = [], []
    for stride in (8, 16, 32):
        side = [stride, stride]
        nodes.append(helper.make_node("AveragePool", ["input"], [f"pool_{stride}"], kernel_shape=side, strides=side))
        constants.append(numpy_helper.from_array(np.array(float(stride == CELL), np.float32), f"on_{stride}"))
        for name, source in (("cls", "score"), ("obj", "score"), ("bbox", "bbox"), ("kps", "kps")):
            key = f"{name}_{stride}"
            nodes.append(
                helper.make_node("Conv", [f"pool_{stride}", f"{source}_w", f"{source}_b"], [f"{key}_c"], name=key)
            )
            last = f"{key}_c"
            if source == "score":
                nodes.append(helper.make_node("Mul", [last, f"on_{stride}"], [f"{key}_m"]))
                last = f"{key}_m"
            constants.append(numpy_helper.from_array(np.array([1, -1, len(biases[source])], np.int64), f"{key}_s"))
            nodes.append(helper.make_node("Transpose", [last], [f"{key}_t"], perm=[0, 2, 3, 1]))
            nodes.append(helper.make_node("Reshape", [f"{key}_t", f"{key}_s"], [key]))
            made.append(helper.make_tensor_value_info(key, TensorProto.FLOAT, [1, None, len(biases[source])]))
    made.sort(key=lambda value: ("cls", "obj", "bbox", "kps").index(value.name.split("_")[0]))
    graph = helper.make_graph(
        nodes,
        "red squares",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, "height", "width"])],
        made[:outputs],
        constants,
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> FaceDetector:
    return FaceDetector(red_square_detector(tmp_path_factory.mktemp("model") / "faces.onnx"))


def picture(width: int, height: int, *cells: tuple[int, int, tuple[int, int, int]]) -> Pixels:
    x_HWC = np.full((height, width, 3), 90, np.uint8)
    for column, row, colour in cells:
        x_HWC[row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL] = colour
    return x_HWC


def test_the_detector_sees_colours_as_they_are(detector: FaceDetector) -> None:
    found = detector.faces(picture(320, 160, (2, 1, RED), (7, 3, BLUE)))
    assert [face.box for face in found] == [pytest.approx((64, 32, 96, 64))]
    assert found[0].score == pytest.approx(1, abs=1e-3)


def test_faces_come_the_surest_first_and_only_sure_ones(detector: FaceDetector) -> None:
    dull, faint = (235, 0, 10), (150, 0, 0)
    found = detector.faces(picture(320, 160, (1, 1, dull), (5, 2, RED), (8, 3, faint)))
    assert [face.box[0] for face in found] == [pytest.approx(160), pytest.approx(32)]
    assert found[0].score > found[1].score >= 0.8


def test_faces_lie_in_pixels_of_the_full_size_picture_whatever_was_looked_at(detector: FaceDetector) -> None:
    half = picture(640, 320, (4, 2, RED))
    assert detector.faces(half, (1280, 640))[0].box == pytest.approx((256, 128, 320, 192))
    large = half.repeat(3, axis=0).repeat(3, axis=1)  # reduced to 640 pixels for the detector
    assert detector.faces(large)[0].box == pytest.approx((384, 192, 480, 288))


def test_a_face_stays_inside_a_picture_that_is_no_multiple_of_a_cell(detector: FaceDetector) -> None:
    x_HWC = np.full((150, 330, 3), RED, np.uint8)
    for face in detector.faces(x_HWC):
        left, top, right, bottom = face.box
        assert 0 <= left < right <= 330
        assert 0 <= top < bottom <= 150


def test_a_picture_without_faces_has_none(detector: FaceDetector) -> None:
    assert detector.faces(picture(200, 100)) == []


def test_the_crop_by_faces_holds_the_face_that_was_detected(detector: FaceDetector) -> None:
    x_HWC = picture(640, 160, (16, 2, RED))
    choice = choose(x_HWC, "face", faces=detector.faces(x_HWC))
    assert (choice.mode, choice.box) == ("face", (448, 0, 608, 160))


def test_without_a_model_file_the_option_is_what_is_wrong() -> None:
    with pytest.raises(ConfigError, match="needs a model file") as caught:
        FaceDetector(None)
    assert "YuNet" in caught.value.hint


def test_what_is_no_detector_is_refused_before_any_picture(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        FaceDetector(tmp_path / "gone.onnx")
    (tmp_path / "text.onnx").write_text("not a network")
    (tmp_path / "empty.onnx").touch()
    red_square_detector(tmp_path / "other.onnx", outputs=5)
    for name in ("text.onnx", "empty.onnx", "other.onnx"):
        with pytest.raises(ConfigError, match="not a face detector"):
            FaceDetector(tmp_path / name)
    assert capfd.readouterr().err == ""
