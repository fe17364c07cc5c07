"""The picture fact: decode, turn upright, crop, resize, measure and describe, in one pass over the source's bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import ClassVar, cast, get_args

import cv2
import numpy as np
import PIL
from PIL import ImageColor

from capprep import __version__
from capprep.config import option
from capprep.errors import ConfigError
from capprep.facts import CROP, PICTURE, SUFFIXES, UNTRIMMED, Appearance, PictureFact
from capprep.images import Box, Pixels
from capprep.images.borders import trim
from capprep.images.crop import MODES, Choice, around, choose, place
from capprep.images.curation import describe
from capprep.images.decode import Decoded, FramePolicy, decode
from capprep.images.duplicates import fingerprint, pixel_digest
from capprep.images.encode import encode, is_finished
from capprep.images.faces import FaceDetector
from capprep.images.resize import Filter, crop_resize
from capprep.images.screening import measure
from capprep.images.unusable import Unusable
from capprep.stage import Cut, Failure, Outcome, Reader, Row, Runtime, Stage, Value

GIVEN = "given"
PART = "part"
"""How a box was chosen where it was not the stage that chose it."""

_TOOLS = f"capprep {__version__}, Pillow {PIL.__version__}, OpenCV {cv2.__version__}"

Region = tuple[int, int, int, int]
Detector = Callable[[], FaceDetector]


@dataclass(frozen=True)
class Picture(Stage):
    """A square of exactly `size` pixels cut from the upright picture, never squashed."""

    name: ClassVar[str] = PICTURE
    version: ClassVar[int] = 3

    size: int = option(
        512, "Side of the square in pixels; 512 for SD 1.x, 768 for SD 2.1.", minimum=64, maximum=2048, metavar="PX"
    )
    crop: str = option(
        "auto",
        "Which square of a picture: where most stands out, its middle, the top of upright pictures, around faces"
        " (needs --face-model), only pictures that are square, or all of it with background beside it.",
        choices=MODES,
    )
    trim: bool = option(False, "Cut off letterbox and pillarbox bars before the crop.")
    background: str = option(
        "white", "Colour put behind transparent pictures, by name or as #rrggbb.", metavar="COLOUR"
    )
    frame: str = option("first", "Which frame of an animation, or none of it.", choices=get_args(FramePolicy))
    filter: str = option(
        "area",
        "How pictures are made smaller: area, the mean of each pixel's own part; lanczos, crisper and slower.",
        choices=get_args(Filter),
    )
    format: str = option(
        "png", "How squares are stored; both are exact, webp-lossless is a tenth smaller.", choices=tuple(SUFFIXES)
    )
    weights: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size % 8:
            raise ConfigError(f"size = {self.size} is not possible", "choose a multiple of 8, such as 512 or 768")
        try:
            red, green, blue, *_ = ImageColor.getrgb(self.background)
        except ValueError as error:
            raise ConfigError(
                f"background = {self.background!r} is not a colour", "use a name such as white, or #rrggbb"
            ) from error
        # one spelling for one colour, so that the fact's key is the same
        object.__setattr__(self, "background", f"#{red:02x}{green:02x}{blue:02x}")

    def load(self, runtime: Runtime) -> Reader:
        """See `Stage.load`; `runtime.model` is the face detector where the crop asks for one."""
        cv2.setNumThreads(1)  # the workers are the parallelism
        # read with the first picture that needs it: one whose box is given does not
        return partial(self._read_all, lru_cache(partial(FaceDetector, runtime.model)))

    def _read_all(self, detector: Detector, rows: Sequence[Row]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        content, decoded = None, None
        for row in rows:
            try:
                # the parts of one picture come one after the other, with the very same bytes
                if decoded is None or row.content is not content:
                    content, decoded = row.content, self._decoded(row.content or b"")
                outcomes.append(self._value(row.content or b"", decoded, row.cut, detector))
            except Unusable as unusable:
                outcomes.append(Failure(unusable.reason, unusable.message, unusable.retry))
            except MemoryError:
                outcomes.append(Failure("memory", "there was not enough memory to decode it", retry=True))
        return outcomes

    def _decoded(self, content: bytes) -> Decoded:
        # a reduced decode averages, which is for the filter "area" what is done next anyway
        short_side = self.size if self.filter == "area" else None
        return decode(content, background=self.background, frame=cast(FramePolicy, self.frame), short_side=short_side)

    def _value(self, content: bytes, decoded: Decoded, cut: Cut | None, detector: Detector) -> Value:
        region = self._region(decoded, cut)
        left, top, right, bottom = region
        seen_HWC = decoded.pixels_HWC[top:bottom, left:right]
        within = _outer(decoded, region)
        choice = self._choice(decoded, within, seen_HWC, cut, detector)
        square_HWC = self._square(decoded, within, choice)
        fact = PictureFact(
            width=decoded.width,
            height=decoded.height,
            format=decoded.format,
            mode=decoded.mode,
            orientation=decoded.orientation,
            frames=decoded.frames,
            box=choice.box,
            scale=(choice.box[2] - choice.box[0]) / self.size,
            size=self.size,
            frame=decoded.frame,
            crop=choice.mode,
            why=choice.reason,
            notes=decoded.notes,
            format_out=self.format,
            trimmed=_beyond(decoded, within) if cut is None else UNTRIMMED,
            alpha=round(decoded.alpha, 4),
            icc=decoded.icc,
            measures=measure(square_HWC, decoded.pixels_HWC, decoded.reduction),
            tools=_TOOLS,
        )
        appearance = Appearance.of(pixel_digest(seen_HWC), fingerprint(seen_HWC), describe(square_HWC))
        file = content if self._is_finished(content, decoded, square_HWC) else encode(square_HWC, self.format)
        return Value({**fact.to_json(), **appearance.to_json()}, {CROP: file})

    def _region(self, decoded: Decoded, cut: Cut | None) -> Region:
        """What of the decoded pixels is looked at: without bars, or the part that is meant."""
        high, wide = decoded.pixels_HWC.shape[:2]
        if cut is not None and cut.part:
            left, top, right, bottom = decoded.inner(around(cut.box, (decoded.width, decoded.height)))
            return max(0, round(left)), max(0, round(top)), min(wide, round(right)), min(high, round(bottom))
        if cut is not None or not self.trim:
            return 0, 0, wide, high
        left, top, right, bottom = trim(decoded.pixels_HWC).box
        return round(left), round(top), round(right), round(bottom)

    def _choice(
        self, decoded: Decoded, within: Region, seen_HWC: Pixels, cut: Cut | None, detector: Detector
    ) -> Choice:
        """The box on the full-size picture."""
        if cut is not None:
            box = around(cut.box, (decoded.width, decoded.height))
            reason = f"part {cut.part} of a picture that was split" if cut.part else "the box that you gave"
            return Choice(box, PART if cut.part else GIVEN, None, None, reason)
        x, y, right, bottom = within
        size = right - x, bottom - y
        found = detector().faces(seen_HWC, size) if self.crop == "face" else ()
        choice = choose(seen_HWC, self.crop, size=size, faces=found, whole=min(size) == self.size)
        return replace(choice, box=_moved(choice.box, x, y))

    def _square(self, decoded: Decoded, within: Region, choice: Choice) -> Pixels:
        """The box at the size that is wanted; what of it lies outside the picture is background."""
        how, side = cast(Filter, self.filter), (self.size, self.size)
        if choice.mode != "pad":
            return crop_resize(decoded.pixels_HWC, decoded.inner(choice.box), side, how)
        x, y, right, bottom = within
        at = place(_moved(choice.box, -x, -y), (right - x, bottom - y), side)
        square_HWC = np.empty((self.size, self.size, 3), np.uint8)
        square_HWC[:] = ImageColor.getrgb(self.background)[:3]
        inner = decoded.inner(_moved(at.region, x, y))
        square_HWC[at.top : at.top + at.height, at.left : at.left + at.width] = crop_resize(
            decoded.pixels_HWC, inner, (at.width, at.height), how
        )
        return square_HWC

    def _is_finished(self, content: bytes, decoded: Decoded, square_HWC: Pixels) -> bool:
        """Whether the source's file is the square's already: then it is kept, byte for byte."""
        plain = decoded.orientation == 1 and decoded.frames == 1 and not decoded.icc
        return plain and np.array_equal(decoded.pixels_HWC, square_HWC) and is_finished(content, self.format, self.size)


def _outer(decoded: Decoded, region: Region) -> Region:
    """A box of whole decoded pixels in pixels of the full-size picture."""
    (x, y), by = decoded.offset, decoded.reduction
    left, top, right, bottom = region
    return (
        max(0, left * by - x),
        max(0, top * by - y),
        min(decoded.width, right * by - x),
        min(decoded.height, bottom * by - y),
    )


def _beyond(decoded: Decoded, within: Region) -> Box:
    left, top, right, bottom = within
    return float(left), float(top), float(decoded.width - right), float(decoded.height - bottom)


def _moved(box: Box, x: float, y: float) -> Box:
    left, top, right, bottom = box
    return left + x, top + y, right + x, bottom + y
