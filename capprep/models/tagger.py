"""An ONNX tagger: pictures in as its description says, a probability for every tag out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from capprep.errors import ModelMismatch
from capprep.models.batches import out_of_memory
from capprep.models.binding import FLOAT, Bound, BoundOnCpu, BoundOnCuda, write_numbers
from capprep.models.device import CUDA, onnx_session
from capprep.models.labels import Label, labels_inside, read_labels
from capprep.models.tagger_spec import DEEPDANBOORU, TaggerSpec

# N pictures, H rows, W columns, S = H = W, C = 3 colours, T tags

__all__ = ["Label", "OnnxTagger", "prepare", "read_labels"]

DEFAULT_SIZE = 512

_LOG = logging.getLogger(__name__)

MOST_TAGS = 200
"""More tags over their thresholds than any picture has; a tagger with damaged weights gives thousands."""

_PILLOW = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


class OnnxTagger:
    """A tagger with one float32 input of pictures and one output of a number for every tag.

    Args:
        model: The `.onnx` file; input name, size and batch are read from it.
        labels: Its names, in the order of its outputs, see `read_labels`; None where the graph's own metadata has
            them, as a Python or JSON list under "tags".
        device: "cpu" or "cuda".
        spec: What it takes and answers.

    Raises:
        ModelMissing: A file is not there.
        ModelMismatch: The graph has another interface than the description says, or another number of outputs than
            there are labels.
        DeviceError: The session did not come to stand on "cuda".
    """

    def __init__(self, model: Path, labels: Path | None, device: str = "cpu", spec: TaggerSpec = DEEPDANBOORU) -> None:
        self._model = model
        self._spec = spec
        self._device = device
        self._session, self._captured = self._opened()
        self._batch, self._size = _input(self._session, model, spec)
        self._bound: dict[int, Bound] = {}
        self.labels = (
            labels_inside(self._session.get_modelmeta().custom_metadata_map, model)
            if labels is None
            else read_labels(labels, spec.categories)
        )
        width = self._width()
        if width != len(self.labels):
            raise ModelMismatch(
                f"{model} has {width} outputs and {labels or 'its metadata'} has {len(self.labels)} labels",
                "use the label file that was published with this very model",
            )
        self._least_T = np.array([spec.thresholds.of(label.category) for label in self.labels], dtype=np.float32)

    def _opened(self) -> tuple[Any, bool]:
        """The session, and whether its batches are captured as CUDA graphs."""
        if self._device == CUDA:
            try:
                session = onnx_session(self._model, self._device, captured=True)
            except ModelMismatch as error:  # some of its operators do not run on CUDA, or it is no graph at all
                return self._without_capture(error), False
            sides = session.get_inputs()[0].shape[1:]
            fixed = all(isinstance(side, int) for side in sides) and _declared(session)
            if fixed and session.get_outputs()[0].type == FLOAT:
                return session, True
        return onnx_session(self._model, self._device), False

    def _without_capture(self, error: Exception) -> Any:
        session = onnx_session(self._model, self._device)
        _LOG.warning("%s runs without a CUDA graph, a little slower: %s", self._model, str(error).partition("\n")[0])
        return session

    def _width(self) -> int:
        """How many tags it answers with; a graph that does not say is asked with one blank picture."""
        return _declared(self._session) or int(self._asked(self._blank(), 1).shape[1])

    @property
    def provider(self) -> str:
        """The onnxruntime provider in use, such as "CPUExecutionProvider"."""
        return str(self._session.get_providers()[0])

    def probabilities(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """The probability of every tag for each picture of the batch, shape (N, T).

        Args:
            pictures: (H, W, 3) uint8 RGB each. Squares of the network's size go in as they are, others are resized;
                what is no square is padded as the description says.

        Raises:
            ModelMismatch: The numbers cannot be probabilities of tags; the picture and the likely cause are named.
            ValueError: A picture is no square, and the description says that none is padded.
        """
        if not pictures:
            return np.empty((0, len(self.labels)), dtype=np.float32)
        squares = [self.fit(picture) for picture in pictures]
        step = self._batch or len(squares)
        parts = [self._chunk(squares[start : start + step]) for start in range(0, len(squares), step)]
        answer_NT = np.concatenate(parts)
        logits = self._spec.output == "logits"
        # what is no number is found below, and until then must pass
        p_NT = _sigmoid(answer_NT) if logits else answer_NT
        faults = [
            _fault(answer_T, p_T, self._least_T, logits=logits) for answer_T, p_T in zip(answer_NT, p_NT, strict=True)
        ]
        self._refuse(faults)
        return p_NT

    def _refuse(self, faults: Sequence[str]) -> None:
        """Raise for the first picture with a fault.

        Args:
            faults: What is wrong with the answer to each picture of a batch, or "".
        """
        wrong = [number for number, fault in enumerate(faults, start=1) if fault]
        if not wrong:
            return
        which = f"picture {wrong[0]} of the {len(faults)} in a batch"
        if len(wrong) == len(faults):
            which = "every picture" if len(faults) > 1 else "a picture"
        raise ModelMismatch(
            f"{self._model} answers {which} with {faults[wrong[0] - 1]}",
            "fetch it again with `capprep models pull`, look into its description, or use another",
        )

    def fit(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A picture as a square of the network's size; one that is so already is not copied.

        Raises:
            ValueError: See `prepare`.
        """
        return _resized(_square(picture, self._spec), self._size, self._spec.interpolation)

    def _blank(self) -> list[NDArray[np.uint8]]:
        return [np.zeros((self._size, self._size, 3), np.uint8)]

    def _chunk(self, squares: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """As many squares as the graph takes at once, or fewer: the rest of a fixed batch is padding."""
        count = self._count(len(squares))
        try:
            answer = self._asked(squares, count)
        except Exception as error:
            self._bound.pop(count, None)  # what did not fit is not kept either
            if not self._captured or out_of_memory(error) or isinstance(error, ModelMismatch):
                raise
            self._bound.clear()
            self._session, self._captured = self._without_capture(error), False
            answer = self._asked(squares, count)
        return answer[: len(squares)]

    def _count(self, wanted: int) -> int:
        """The size of the batch in which so many pictures are read.

        On CUDA one that was used before, since each new one is tuned and captured anew; on the CPU padding would take
        as long as pictures.
        """
        if self._batch is not None:
            return self._batch
        larger = [count for count in self._bound if count >= wanted] if self._device == CUDA else []
        return min(larger, default=wanted)

    def _asked(self, squares: Sequence[NDArray[np.uint8]], count: int) -> NDArray[np.float32]:
        """The graph's answer to a batch of `count`, of which the first are squares of its size."""
        count = self._batch or count
        if count not in self._bound:
            if self._device != CUDA:
                self._bound.clear()
            self._bound[count] = self._bind(count)
        answer = self._bound[count](squares)
        if answer.ndim != 2 or len(answer) != count:
            raise ModelMismatch(
                f"{self._model} answers {count} pictures with shape {answer.shape}, not (pictures, tags)",
                "name a tagger with one number for every tag as its first output",
            )
        return answer.astype(np.float32, copy=False)

    def _bind(self, count: int) -> Bound:
        side = self._size
        shape = (count, side, side, 3) if self._spec.layout == "NHWC" else (count, 3, side, side)
        if self._device != CUDA:
            return BoundOnCpu(self._session, self._spec, shape)
        return BoundOnCuda(self._session, self._spec, shape, _declared(self._session), captured=self._captured)


def prepare(picture: NDArray[np.uint8], size: int, spec: TaggerSpec, out: NDArray[np.float32]) -> None:
    """Write a picture as a network takes it.

    Args:
        picture: (H, W, 3) uint8 RGB.
        size: The network's side in pixels.
        spec: How it is to be written.
        out: (size, size, 3) or (3, size, size) float32, as `spec.layout` says.

    Raises:
        ValueError: The picture is no square, and the description says that none is padded.
    """
    write_numbers(_resized(_square(picture, spec), size, spec.interpolation), spec, out)


def _square(picture: NDArray[np.uint8], spec: TaggerSpec) -> NDArray[np.uint8]:
    """The picture in the middle of the smallest square that holds it."""
    height, width, _ = picture.shape
    if height == width:
        return picture
    if spec.padding == "none":
        raise ValueError(f"a tagger is given squares, not {width}x{height}: padding or squashing would change the tags")
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    margins = ((top, side - height - top), (left, side - width - left), (0, 0))
    if spec.padding == "edge":
        return np.pad(picture, margins, mode="edge")
    return np.pad(picture, margins, constant_values=255)


def _resized(square_HWC: NDArray[np.uint8], size: int, interpolation: str) -> NDArray[np.uint8]:
    """The square with a side of `size` pixels."""
    side = len(square_HWC)
    if side == size:
        return square_HWC
    if interpolation != "area":
        return np.asarray(Image.fromarray(square_HWC).resize((size, size), _PILLOW[interpolation]))
    # area means where it shrinks; where it grows they would be blocks
    way = cv2.INTER_AREA if side > size else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(square_HWC, (size, size), interpolation=way), dtype=np.uint8)


def _declared(session: Any) -> int:
    """How many tags a graph says it answers with; 0 where it does not say."""
    shape = session.get_outputs()[0].shape
    return shape[1] if len(shape) == 2 and isinstance(shape[1], int) else 0


def _input(session: Any, model: Path, spec: TaggerSpec) -> tuple[int | None, int]:
    """Fixed batch (None where any will do) and side in pixels of the graph's one input."""
    inputs = session.get_inputs()
    shape = inputs[0].shape if inputs else []
    numbers = [side if isinstance(side, int) else None for side in shape]  # a name stands for any length
    shapes = {"NHWC": "(pictures, side, side, 3)", "NCHW": "(pictures, 3, side, side)"}
    if len(inputs) == 1 and len(numbers) == 4 and inputs[0].type == "tensor(float)":
        batch, *sides = numbers
        colours = sides.pop(2 if spec.layout == "NHWC" else 0)
        if colours == 3 and sides[0] == sides[1]:
            return batch, _side(sides[0], model, spec)
    found = ", ".join(f"{each.name} {each.type} {each.shape}" for each in inputs) or "nothing"
    raise ModelMismatch(
        f"{model} takes {found}, not one float32 input of shape {shapes[spec.layout]}",
        "say what it takes with --booru-spec, or name another tagger",
    )


def _side(own: int | None, model: Path, spec: TaggerSpec) -> int:
    """The side in pixels, where the graph and its description agree on one."""
    if own is not None and spec.size is not None and own != spec.size:
        raise ModelMismatch(
            f"{model} takes {own}x{own} pixels, and its description says size = {spec.size}",
            "mend the description, or leave the size out of it",
        )
    return own or spec.size or DEFAULT_SIZE


def _sigmoid(x_NT: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 / (1 + exp(-x)) with no overflow at either end."""
    with np.errstate(invalid="ignore"):
        return np.exp(-np.logaddexp(np.float32(0), -x_NT), dtype=np.float32)


def _fault(
    answer_T: NDArray[np.float32], p_T: NDArray[np.float32], least_T: NDArray[np.float32], *, logits: bool
) -> str:
    """Why the answer to a picture cannot be probabilities of tags; "" where it can.

    Args:
        answer_T: As the graph gave it.
        p_T: As probabilities.
        least_T: The threshold of each tag.
        logits: True where the graph's answer is said to end before the sigmoid.
    """
    if not np.isfinite(answer_T).all():
        return "NaN or infinity: its file is damaged, or it overflows in half precision"
    if p_T.min() < 0 or p_T.max() > 1:
        return 'numbers outside 0..1: the graph ends before its sigmoid, which output = "logits" would say'
    if len(p_T) > 1 and np.ptp(p_T) == 0:
        return "the same number for every tag: its weights are damaged or saturate in half precision"
    count = int(np.count_nonzero(p_T >= least_T))
    if count <= MOST_TAGS:
        return ""
    said = f"{count} tags over their thresholds, and no picture has so many: "
    if logits and answer_T.min() >= 0 and answer_T.max() <= 1:
        return said + 'its answers are probabilities already, so output = "logits" is wrong'
    return said + (
        "its weights are damaged or overflow in half precision, or it is fed wrongly (scale, mean, std, channels)"
    )
