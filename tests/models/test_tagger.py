import csv
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import capprep.toybox
from capprep.errors import ModelMismatch, ModelMissing
from capprep.models.tagger import MAX_LABEL_BYTES, Label, OnnxTagger, read_labels
from capprep.toybox.world import draw, scene

BOORU = Path(capprep.toybox.__file__).parent / "weights" / "booru"


def write_graph(
    path: Path,
    nodes: Sequence,
    takes: Sequence,
    gives: Sequence,
    weights: dict[str, np.ndarray] | None = None,
    kind: int = TensorProto.FLOAT,
) -> Path:
    values = [numpy_helper.from_array(value, name) for name, value in (weights or {}).items()]
    graph = helper.make_graph(
        list(nodes),
        "test",
        [helper.make_tensor_value_info("input_1", kind, takes)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, gives)],
        values,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def echo(path: Path, side: int = 8, batch: object = "N", width: object = None) -> Path:
    """A graph whose outputs are the very numbers it was given."""
    flatten = helper.make_node("Flatten", ["input_1"], ["out"])
    return write_graph(path, [flatten], [batch, side, side, 3], [batch, width or side * side * 3])


def names(path: Path, count: int) -> Path:
    path.write_text("".join(f"tag_{number}\n" for number in range(count)))
    return path


def noise(side: int, count: int = 3, seed: int = 0) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8))


@pytest.fixture
def echoing(tmp_path: Path) -> OnnxTagger:
    return OnnxTagger(echo(tmp_path / "echo.onnx"), names(tmp_path / "tags.txt", 192))


def test_a_stored_square_of_the_networks_size_goes_in_bit_for_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    where = rng.choice(512 * 512 * 3, 300, replace=False)
    nodes = [
        helper.make_node("Flatten", ["input_1"], ["flat"]),
        helper.make_node("Gather", ["flat", "where"], ["out"], axis=1),
    ]
    path = write_graph(tmp_path / "m.onnx", nodes, ["N", 512, 512, 3], ["N", 300], {"where": where})
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


def test_categories_of_a_csv_are_danboorus_numbers(tmp_path: Path) -> None:
    rows = [
        ("tag_id", "name", "category", "count"),
        ("1", "1girl", "0", "9"),
        ("2", "someone", "1", "9"),
        ("3", "a_series", "3", "9"),
        ("4", "alice_(wonderland)", "4", "9"),
        ("5", "highres", "5", "9"),
        ("6", "sensitive", "9", "9"),
        ("7", 'with "quotes", and comma', "0", "9"),
        ("8", "null", "0", "9"),
        ("9", "nan", "0", "9"),
        ("10", "ü_花", "0", "9"),
    ]
    path = tmp_path / "selected_tags.csv"
    with path.open("w", newline="", encoding="utf-8-sig") as file:  # with the mark that spreadsheets write
        csv.writer(file).writerows(rows)
    categories = ["general", "artist", "copyright", "character", "meta", "rating", "general", "general", "general"]
    expected = [Label(row[1], category) for row, category in zip(rows[1:], [*categories, "general"], strict=True)]
    assert read_labels(path) == tuple(expected)


def test_columns_of_a_csv_may_come_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "tags.csv"
    path.write_text("category,real_name,name\n9,safe,rating:safe\n0,,solo\n")
    assert read_labels(path) == (Label("rating:safe", "rating"), Label("solo", "general"))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_plain_list_reads_the_same_with_either_line_ending(tmp_path: Path, end: str, mark: str) -> None:
    path = tmp_path / "tags.txt"
    path.write_bytes((mark + end.join(["1girl", "long_hair", "line\u2028break", "rating:safe", ""])).encode())
    general = [Label(name, "general") for name in ("1girl", "long_hair", "line\u2028break")]
    assert read_labels(path) == (*general, Label("rating:safe", "rating"))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("tags.txt", b"", "names no tag"),
        ("tags.txt", b"1girl\n\nsolo\n", "name 2 is empty"),
        ("tags.txt", b"caf\xe9\n", "not UTF-8"),
        ("tags.txt", b"a" * 501, "name 1 has 501 characters"),
        ("tags.txt", b"solo\nbell\x07\n", "name 2 holds control characters"),
        ("tags.csv", b"", "it is no table"),
        ("tags.csv", b"name,category\n", "names no tag"),
        ("tags.csv", b"tag,kind\nsolo,0\n", "no columns `name` and `category`"),
        ("tags.csv", b"name,category\nsolo,general\n", "category 'general' is none of 0, 1, 3"),
        ("tags.csv", b"name,category\nsolo\n", "category '' is none of"),
        ("tags.csv", b"name,category\ncaf\xe9,0\n", "not UTF-8"),
        ("tags.csv", b'name,category\n"two\nlines",0\n', "control characters"),
        ("tags.csv", b'name,category\na,0\nb,"0\n', "it is no table"),
        ("tags.csv", b"name,category\na,0\na,b,c,d,e\n", "it is no table"),
    ],
)
def test_a_file_that_is_no_list_of_tags_is_refused_with_a_reason(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelMismatch, match=said):
        read_labels(tmp_path / name)


def test_an_absurdly_large_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "tags.txt"
    with path.open("wb") as file:
        file.truncate(MAX_LABEL_BYTES + 1)
    with pytest.raises(ModelMismatch, match="larger than 16 MB"):
        read_labels(path)


def test_a_label_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"tags\.csv"):
        read_labels(tmp_path / "tags.csv")


@pytest.mark.slow
def test_a_tagger_with_deepdanboorus_number_of_tags_agrees_with_onnxruntime_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weights = {"w": (rng.normal(size=(768, 9176)) / 8).astype(np.float32)}
    nodes = [
        helper.make_node("Transpose", ["input_1"], ["nchw"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["nchw"], ["small"], kernel_shape=[32, 32], strides=[32, 32]),
        helper.make_node("Flatten", ["small"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["logits"]),
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
