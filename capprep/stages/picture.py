"""The picture fact: decode, turn upright, crop and resize, in one pass over the source's bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, cast, get_args

import cv2
from PIL import ImageColor

from capprep.config import option
from capprep.errors import ConfigError
from capprep.facts import CROP, PICTURE, PictureFact
from capprep.images.crop import choose
from capprep.images.decode import Decoded, FramePolicy, decode
from capprep.images.resize import crop_resize, encode_png
from capprep.images.unusable import Unusable
from capprep.stage import Failure, Outcome, Reader, Row, Runtime, Stage, Value

CROPS = ("center", "auto", "top", "none")
FRAMES = get_args(FramePolicy)


@dataclass(frozen=True)
class Picture(Stage):
    """A square of exactly `size` pixels cut from the upright picture, never squashed."""

    name: ClassVar[str] = PICTURE
    version: ClassVar[int] = 2

    size: int = option(
        512, "Side of the square in pixels; 512 for SD 1.x, 768 for SD 2.1.", minimum=64, maximum=2048, metavar="PX"
    )
    background: str = option(
        "white", "Colour put behind transparent pictures, by name or as #rrggbb.", metavar="COLOUR"
    )

    crop: str = option(
        "center",
        "Which square of a picture: its middle, what stands out most, the top of upright pictures, or only pictures"
        " that are square.",
        choices=CROPS,
    )
    frame: str = option("first", "Which frame of an animation, or none of it.", choices=FRAMES)

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
        """See `Stage.load`."""
        cv2.setNumThreads(1)  # the workers are the parallelism
        return self._read_all

    def _read_all(self, rows: Sequence[Row]) -> list[Outcome]:
        return [self._read(row) for row in rows]

    def _read(self, row: Row) -> Outcome:
        try:
            return self._crop(
                decode(
                    row.content or b"",
                    background=self.background,
                    frame=cast(FramePolicy, self.frame),
                    short_side=self.size,
                )
            )
        except Unusable as unusable:
            return Failure(unusable.reason, unusable.message, unusable.retry)
        except MemoryError:
            return Failure("memory", "there was not enough memory to decode it", retry=True)

    def _crop(self, decoded: Decoded) -> Value:
        width, height = decoded.width, decoded.height
        choice = choose(decoded.pixels_HWC, self.crop, size=(width, height))
        left, _, right, _ = choice.box
        fact = PictureFact(
            width,
            height,
            decoded.format,
            decoded.mode,
            decoded.orientation,
            decoded.frames,
            choice.box,
            (right - left) / self.size,
            self.size,
            decoded.frame,
            choice.mode,
            choice.reason,
            decoded.notes,
        )
        square_HWC = crop_resize(decoded.pixels_HWC, decoded.inner(choice.box), (self.size, self.size))
        return Value(fact.to_json(), {CROP: encode_png(square_HWC)})
