"""An ONNX tagger with DeepDanbooru's interface: 512x512 pixels in, a probability for every tag out."""

from __future__ import annotations

import ast
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from capprep.errors import ModelMismatch, ModelMissing
from capprep.models.device import onnx_session

# N pictures, H rows, W columns, C = 3 channels red, green, blue, T tags

CATEGORIES = {"0": "general", "1": "artist", "3": "copyright", "4": "character", "5": "meta", "9": "rating"}
"""Danbooru's numbers of tag categories."""

RATING = "rating:"
"""How a plain list of names, which has no categories, marks DeepDanbooru's three ratings."""

DEFAULT_SIZE = 512
MAX_LABEL_BYTES = 16 * 2**20  # the largest published list has 0.4 MB
MAX_NAME = 500  # characters; the longest tag of danbooru has about 170


@dataclass(frozen=True)
class Label:
    """What one output of a tagger stands for.

    Attributes:
        name: The tagger's own spelling ("long_hair").
        category: A value of `CATEGORIES`.
    """

    name: str
    category: str


class OnnxTagger:
    """A tagger that takes NHWC float32 RGB 0..1 and answers with probabilities (sigmoid inside).

    Args:
        model: The `.onnx` file; input name, size and batch are read from it.
        labels: Its names, in the order of its outputs, see `read_labels`; None where the graph's own metadata has
            them, as a Python or JSON list under "tags".
        device: "cpu" or "cuda".

    Raises:
        ModelMissing: A file is not there.
        ModelMismatch: The graph has another interface, or another number of outputs than there are labels.
        DeviceError: The session did not come to stand on "cuda".
    """

    def __init__(self, model: Path, labels: Path | None, device: str = "cpu") -> None:
        self._model = model
        self._session = onnx_session(model, device)
        self.labels = _labels_inside(self._session, model) if labels is None else read_labels(labels)
        self._input, self._batch, self._size = _input(self._session, model)
        width = self._width()
        if width != len(self.labels):
            raise ModelMismatch(
                f"{model} has {width} outputs and {labels or 'its metadata'} has {len(self.labels)} labels",
                "use the label file that was published with this very model",
            )

    def _width(self) -> int:
        """How many tags it answers with; a graph that does not say is asked with one blank picture."""
        declared = self._session.get_outputs()[0].shape
        if len(declared) == 2 and isinstance(declared[1], int):
            return int(declared[1])
        answer_NT = self._run(np.zeros((self._batch or 1, self._size, self._size, 3), dtype=np.float32))
        return int(answer_NT.shape[1])

    @property
    def provider(self) -> str:
        """The onnxruntime provider in use, such as "CPUExecutionProvider"."""
        return str(self._session.get_providers()[0])

    def probabilities(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """The probability of every tag for each picture of the batch, shape (N, T).

        Args:
            pictures: Squares of (S, S, 3) uint8 RGB. Where S is the network's size the pixels go in
                as they are, another size is resized; nothing is ever padded.

        Raises:
            ModelMismatch: The numbers cannot be probabilities.
        """
        if not pictures:
            return np.empty((0, len(self.labels)), dtype=np.float32)
        step = self._batch or len(pictures)
        parts = [self._chunk(pictures[start : start + step]) for start in range(0, len(pictures), step)]
        p_NT = np.concatenate(parts)
        _check(p_NT, self._model)
        return p_NT

    def _chunk(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """As many pictures as the graph takes at once, or fewer."""
        x_NHWC = np.zeros((self._batch or len(pictures), self._size, self._size, 3), dtype=np.float32)
        for x_HWC, picture in zip(x_NHWC, pictures, strict=False):
            np.divide(_square(picture, self._size), np.float32(255), out=x_HWC)
        return self._run(x_NHWC)[: len(pictures)]

    def _run(self, x_NHWC: NDArray[np.float32]) -> NDArray[np.float32]:
        answer = np.asarray(self._session.run(None, {self._input: x_NHWC})[0])
        if answer.ndim != 2 or len(answer) != len(x_NHWC):
            raise ModelMismatch(
                f"{self._model} answers {len(x_NHWC)} pictures with shape {answer.shape}, not (pictures, tags)",
                "name a tagger with DeepDanbooru's interface",
            )
        return answer.astype(np.float32, copy=False)


def _labels_inside(session: Any, model: Path) -> tuple[Label, ...]:
    """The names a graph carries in its metadata."""
    try:
        # never eval: the text comes with the file
        names = ast.literal_eval(session.get_modelmeta().custom_metadata_map["tags"])
    except (KeyError, ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise ModelMismatch(
            f"{model} does not say what its outputs are called", "name its tag list with --booru-labels FILE"
        ) from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise _not_labels(model, "its metadata is no list of names")
    labels = tuple(Label(name, "rating" if name.startswith(RATING) else "general") for name in names)
    for line, label in enumerate(labels, start=1):
        _check_name(label.name, line, model)
    return labels


def read_labels(path: Path) -> tuple[Label, ...]:
    """The names of a tagger's outputs, in order.

    A `.csv` has the columns `name` and `category` (a number of `CATEGORIES`), others are ignored. Any other
    file has one name a line, `rating:` marks ratings and the rest is general.

    Raises:
        ModelMissing: There is no such file.
        ModelMismatch: It is no such list.
    """
    if not path.is_file():
        raise ModelMissing(f"there is no file {path}", "check the path, or run `capprep models pull`")
    if path.stat().st_size > MAX_LABEL_BYTES:
        raise _not_labels(path, f"it is larger than {MAX_LABEL_BYTES >> 20} MB")
    try:
        labels = _from_csv(path) if path.suffix.lower() == ".csv" else _from_lines(path)
    except UnicodeDecodeError as error:
        raise _not_labels(path, "it is not UTF-8 text") from error
    if not labels:
        raise _not_labels(path, "it names no tag")
    for line, label in enumerate(labels, start=1):
        _check_name(label.name, line, path)
    return labels


def _from_csv(path: Path) -> tuple[Label, ...]:
    try:
        # every cell as text: "null" and "nan" are tags
        table = pd.read_csv(path, dtype=str, keep_default_na=False, na_filter=False, encoding="utf-8-sig")
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise _not_labels(path, f"it is no table ({error})") from error
    if not {"name", "category"} <= set(table.columns):
        raise _not_labels(path, "it has no columns `name` and `category`")
    unknown = sorted(set(table["category"]) - set(CATEGORIES))
    if unknown:
        raise _not_labels(path, f"its category {unknown[0][:40]!r} is none of {', '.join(CATEGORIES)}")
    return tuple(
        Label(name, CATEGORIES[category]) for name, category in zip(table["name"], table["category"], strict=True)
    )


def _from_lines(path: Path) -> tuple[Label, ...]:
    lines = path.read_text(encoding="utf-8-sig").rstrip().split("\n")  # the reader made \r\n to \n
    return tuple(Label(name, "rating" if name.startswith(RATING) else "general") for name in lines if lines != [""])


def _check_name(name: str, line: int, path: Path) -> None:
    if not name.strip():
        raise _not_labels(path, f"name {line} is empty")
    if len(name) > MAX_NAME:
        raise _not_labels(path, f"name {line} has {len(name)} characters")
    if any(unicodedata.category(character) == "Cc" for character in name):
        raise _not_labels(path, f"name {line} holds control characters")


def _not_labels(path: Path, fault: str) -> ModelMismatch:
    return ModelMismatch(
        f"{path} is no list of tags: {fault}",
        "a label file is a CSV with the columns name,category or a text with one name a line",
    )


def _input(session: Any, model: Path) -> tuple[str, int | None, int]:
    """Name, fixed batch (None where any will do) and side in pixels of the graph's one input."""
    inputs = session.get_inputs()
    shape = inputs[0].shape if inputs else []
    numbers = [side if isinstance(side, int) else None for side in shape]  # a name stands for any length
    if len(inputs) == 1 and len(numbers) == 4 and inputs[0].type == "tensor(float)":
        batch, height, width, channels = numbers
        if channels == 3 and height == width:
            return inputs[0].name, batch, height or DEFAULT_SIZE
    found = ", ".join(f"{each.name} {each.type} {each.shape}" for each in inputs) or "nothing"
    raise ModelMismatch(
        f"{model} takes {found}, not one float32 input of shape (pictures, side, side, 3)",
        "name a tagger with DeepDanbooru's interface",
    )


def _square(picture: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    height, width, _ = picture.shape
    if height != width:
        raise ValueError(f"a tagger is given squares, not {width}x{height}: padding or squashing would change the tags")
    if height == size:
        return picture
    # area means, as DeepDanbooru was trained, where it shrinks; where it enlarges they would be blocks
    way = cv2.INTER_AREA if height > size else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, (size, size), interpolation=way), dtype=np.uint8)


def _check(p_NT: NDArray[np.float32], model: Path) -> None:
    """Raise where the numbers cannot be probabilities of tags."""
    fault = None
    if not np.isfinite(p_NT).all():
        fault = "NaN or infinity: its file is damaged, or it overflows in half precision"
    elif p_NT.min() < 0 or p_NT.max() > 1:
        fault = "numbers outside 0..1: the graph ends before its sigmoid"
    elif p_NT.shape[1] > 1 and (np.ptp(p_NT, axis=1) == 0).any():
        fault = "the same number for every tag: its weights are damaged or saturate in half precision"
    if fault is not None:
        raise ModelMismatch(
            f"{model} answers with {fault}", "fetch it again with `capprep models pull`, or use another"
        )
