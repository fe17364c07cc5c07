"""Hostile bytes to a header, and to upright 8-bit sRGB pixels; whatever is wrong with a file has a stable reason.

Pillow decodes everything: on JPEG at a reduced size its pixels equal OpenCV's and it takes a few percent longer,
but it is strict about files that end early and prints nothing. Suffixes: H height, W width, C channels.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from PIL import Image, ImageColor, ImageFile, JpegImagePlugin, TiffImagePlugin

from capprep.errors import ConfigError
from capprep.images import Box, Pixels, colour, fast, jpeg, png
from capprep.images.containers import sniff
from capprep.images.opening import check_shape, opened, orientation, silenced
from capprep.images.unusable import Unusable

__all__ = ["Decoded", "FramePolicy", "Header", "Unusable", "decode", "header"]

FramePolicy = Literal["first", "middle", "reject"]

MAX_SCANS = 100
"""Scans of a progressive JPEG; each goes over the whole picture, and a few bytes are enough to make one."""
MAX_PAGES = 1000
MAX_ANIMATION_PIXELS = 500_000_000
"""Pixels decoded to get at the middle of an animation."""

_STILL = frozenset(("MPO", "HEIF"))
"""Containers of several pictures of which one is the main one; the others are previews, depth or the other eye."""

_REDUCE_ABOVE = 16_000_000
"""Pixels of a picture without a reduced decode from which it is averaged before it is handed on, to save memory."""
_BAND_ABOVE, _DEEP_BAND_ABOVE = 16_000_000, 4_000_000
_BAND_PIXELS = 1_000_000
"""Above so many pixels, fewer where they have 16 bits a channel, a picture is converted in bands of so many."""

_LEFT = {8: 4.0, 4: 3.0, 2: 2.3}
"""How many times the side that is wanted each reduction must leave, for squares within 45 dB of those from all pixels
where many small things have sharp edges: with twice the side they were within 44 dB by 2 and 42 dB by 4 only."""

_GREY_TAIL = 0.1

_MIRRORED_X = (2, 3, 6, 7)
_MIRRORED_Y = (3, 4, 7, 8)


@dataclass(frozen=True)
class Header:
    """What a file says of its picture before any pixel is decoded.

    Attributes:
        format: The container as decoded ("JPEG", "MPO"), whatever the file's name.
        width, height: Of the upright picture, in pixels.
        mode: Pillow's mode of the stored pixels.
        orientation: The EXIF orientation to apply, 1-8.
        frames: How many frames, pages or pictures the file holds.
        alpha: Whether it can have transparent pixels.
        icc: The name of its colour profile; empty without one that is usable.
        notes: What a person should know, as sentences without a full stop.
    """

    format: str
    width: int
    height: int
    mode: str
    orientation: int
    frames: int
    alpha: bool
    icc: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Decoded:
    """A picture ready to be cropped.

    Attributes not named here are those of `Header`.

    Attributes:
        pixels_HWC: Upright 8-bit sRGB, perhaps read-only; a pixel stands for `reduction` x `reduction` of full size.
        reduction: 1, 2, 4 or 8.
        offset: How far the reduced grid begins left of and above the full picture, in full-size pixels: not (0, 0)
            where a reduced picture of a size that `reduction` does not divide was mirrored.
        frame: Which frame this is, from 0.
        alpha: The share of the picture that the background makes up.
        icc: The name of the colour profile that was applied.
    """

    pixels_HWC: Pixels
    reduction: int
    offset: tuple[int, int]
    width: int
    height: int
    format: str
    mode: str
    orientation: int
    frames: int
    frame: int
    alpha: float
    icc: str
    notes: tuple[str, ...]

    def inner(self, box: Box) -> Box:
        """A box in pixels of the upright full-size picture as one in `pixels_HWC`, exactly."""
        (x, y), factor = self.offset, self.reduction
        left, top, right, bottom = box
        return ((left + x) / factor, (top + y) / factor, (right + x) / factor, (bottom + y) / factor)


def header(content: bytes) -> Header:
    """Look at a file's header and check it against every limit that needs no pixels.

    Raises:
        Unusable: `empty`, `not_image`, `format_missing`, `too_large`, `aspect`, `unsupported_depth`, `truncated`,
            `corrupt` or `memory`.
    """
    with opened(content) as image:
        return _header(image, content)


def decode(
    content: bytes, *, background: str = "white", frame: FramePolicy = "first", short_side: int | None = None
) -> Decoded:
    """One picture of a file as upright 8-bit sRGB, transparency over a colour.

    Args:
        content: The file's bytes.
        background: A colour as Pillow names it ("white", "#808080").
        frame: Which picture to take of a file with several frames or pages; "reject" refuses such files.
        short_side: The side of the square that is wanted: the picture may come reduced by 2 where its short side is
            then at least 2.3 times this, by 4 from 3 times and by 8 from 4 times. None decodes at full size.

    Raises:
        Unusable: The reasons of `header`, and `animated`.
        ConfigError: The background is no colour.
    """
    below = _rgb(background)
    if sniff(content) == "PNG":
        with opened(content) as image:
            image.verify()  # the checksums, which decoding does not look at; it closes the picture
    with opened(content) as image:
        head = _header(image, content)
        index = _choose_frame(head, frame)
        if index or head.format == "TIFF":
            image.seek(index)
        deep = image.format in ("PNG", "TIFF") and colour.has_low_bytes(image)
        deep = deep or image.mode.startswith("I")
        in_bands = head.width * head.height > (_DEEP_BAND_ABOVE if deep else _BAND_ABOVE) and png.splits(image, content)
        reduction, average = 1, 1
        loaded: Image.Image | Pixels = image
        if isinstance(image, JpegImagePlugin.JpegImageFile):
            reduction = _reduction(min(head.width, head.height), short_side)
            loaded = _jpeg(image, content, reduction)
        elif not in_bands:
            loaded = _load(image, content)
        width, height = _upright_size(image, head)
        check_shape(width, height)
        if head.format not in ("JPEG", "MPO") and width * height > _REDUCE_ABOVE:
            average = reduction = _reduction(min(width, height), short_side)
        plain = colour.Converter(image, below) if isinstance(loaded, np.ndarray) and average == 1 else None
        if isinstance(loaded, np.ndarray) and plain is not None and plain.changes_nothing:
            stored_HWC, covered, convert = loaded, 0.0, plain
        else:
            size = image.size if isinstance(loaded, Image.Image) else (loaded.shape[1], loaded.shape[0])
            if deep and not in_bands:
                loaded = _eight_bit(image, content, index)
            bands = _png_bands(image, content) if in_bands else _bands(loaded, image)
            stored_HWC, covered, convert = _pixels(bands, size, below, average)
    notes = (*head.notes, *convert.notes, *_frame_notes(head, index), *_grey_tail(stored_HWC, head))
    turn = _turn_left(head)
    pixels_HWC = _turned(stored_HWC, turn)
    beyond = (pixels_HWC.shape[1] * reduction - width, pixels_HWC.shape[0] * reduction - height)
    offset = (beyond[0] if turn in _MIRRORED_X else 0, beyond[1] if turn in _MIRRORED_Y else 0)
    return Decoded(
        pixels_HWC, reduction, offset, width, height, head.format, head.mode, head.orientation, head.frames, index,
        covered / (width * height), convert.icc, notes,
    )  # fmt: skip


def _rgb(background: str) -> tuple[int, int, int]:
    try:
        red, green, blue, *_ = ImageColor.getrgb(background)
    except ValueError as error:
        raise ConfigError(
            f"background = {background!r} is not a colour", "use a name such as white, or #rrggbb"
        ) from error
    return red, green, blue


def _header(image: Image.Image, content: bytes) -> Header:
    container = image.format or ""
    width, height = image.size
    check_shape(width, height)
    frames = _frames(image)
    turn, notes = orientation(image, content)
    if turn >= 5 and container != "TIFF":  # Pillow gives a TIFF's upright size, and turns its pixels
        width, height = height, width
    colour.check_depth(image)
    embedded = image.info.get("icc_profile")
    known = colour.profile(embedded) if embedded else None
    return Header(
        container, width, height, image.mode, turn, frames, image.has_transparency_data,
        known.name if known else "", notes,
    )  # fmt: skip


def _frames(image: Image.Image) -> int:
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return int(getattr(image, "n_frames", 1))
    # by hand, because Pillow's own count takes time that grows with the square of the pages
    for page in range(1, MAX_PAGES + 1):
        try:
            image.seek(page)
        except EOFError:
            image.seek(0)
            return page
    raise Unusable("too_large", f"it has over {MAX_PAGES} pages")


def _choose_frame(head: Header, policy: FramePolicy) -> int:
    if head.frames <= 1 or head.format in _STILL:
        return 0
    if policy == "reject":
        what = "pages" if head.format == "TIFF" else "frames"
        raise Unusable("animated", f"it holds {head.frames} {what}")
    if policy == "first":
        return 0
    index = head.frames // 2
    if head.format != "TIFF" and (index + 1) * head.width * head.height > MAX_ANIMATION_PIXELS:
        raise Unusable(
            "too_large", f"its {head.frames} frames of {head.width}x{head.height} take too long to go through"
        )
    return index


def _frame_notes(head: Header, index: int) -> tuple[str, ...]:
    if head.frames <= 1:
        return ()
    if head.format in _STILL:
        return (f"it holds {head.frames} pictures; the main one was used",)
    return (f"it holds {head.frames} {'pages' if head.format == 'TIFF' else 'frames'}; number {index + 1} was used",)


def _reduction(side: int, wanted: int | None) -> int:
    """The largest of 1, 2, 4 and 8 that leaves `side` enough times as long as `wanted`."""
    return next((by for by, times in _LEFT.items() if wanted is not None and side >= times * wanted * by), 1)


def _jpeg(image: JpegImagePlugin.JpegImageFile, content: bytes, reduction: int) -> Image.Image | Pixels:
    """A JPEG's pixels as stored, both sides divided by the reduction."""
    layout = jpeg.layout(content)
    if layout.scans > MAX_SCANS:
        raise Unusable("too_large", f"its {layout.scans} scans take too long to go through; the limit is {MAX_SCANS}")
    if not layout.whole:
        raise Unusable("truncated", "the file ends before the picture does")
    loaded: Image.Image | Pixels | None = fast.jpeg_pixels(image, content, reduction)
    if loaded is None:
        image.draft(None, (max(1, image.width // reduction), max(1, image.height // reduction)))
        image.load()
        loaded = image
    # where picture data is missing before the end mark, decoders go on in silence with middle grey
    if isinstance(loaded, np.ndarray):
        last = loaded[-1, -1]
    else:
        last = np.asarray(loaded.crop((loaded.width - 1, loaded.height - 1, loaded.width, loaded.height)))
    if ((last == 127) | (last == 128)).all() and _data_ends_early(content, layout.end):
        raise Unusable("truncated", "the picture's data ends before the picture does")
    return loaded


def _load(image: ImageFile.ImageFile, content: bytes) -> Image.Image | Pixels:
    """The pixels of the frame that was sought, of what is no JPEG."""
    # Pillow turns a TIFF by what XMP says where EXIF says nothing
    image.info.pop("xmp", None)
    faster = {"PNG": fast.png_pixels, "WEBP": fast.webp_pixels}.get(image.format or "")
    if faster is not None and (pixels := faster(image, content)) is not None:
        return pixels
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        with silenced():
            image.load()
    else:
        image.load()
    return image


def _data_ends_early(content: bytes, end: int) -> bool:
    """Whether bytes put behind a JPEG's data change the picture: then the decoder was still in need of some."""
    small, grown = (_smallest(content[:end] + stray + b"\xff\xd9") for stray in (b"", jpeg.STRAY))
    return small != grown


def _smallest(content: bytes) -> bytes:
    with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
        image.draft(None, (max(1, image.width // 8), max(1, image.height // 8)))
        return image.tobytes()


def _turn_left(head: Header) -> int:
    """The orientation that is left to apply to loaded pixels: Pillow turns a TIFF's itself."""
    return 1 if head.format == "TIFF" else head.orientation


def _upright_size(image: Image.Image, head: Header) -> tuple[int, int]:
    """Of the decoded frame, which may differ from the header's first; a JPEG's may have been reduced."""
    if head.format in ("JPEG", "MPO"):
        return head.width, head.height
    return (image.height, image.width) if _turn_left(head) >= 5 else image.size


def _eight_bit(image: Image.Image, content: bytes, index: int) -> Image.Image:
    """A loaded picture of 16 bits a channel, scaled to 8."""
    if image.mode.startswith("I"):
        colour.check_depth(image)
        inverted = (
            isinstance(image, TiffImagePlugin.TiffImageFile)
            and image.tag_v2.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0
        )
        return colour.grey_of_sixteen(image, twelve=_bits(image) == 12, inverted=inverted)
    with opened(content) as twin:
        if index:
            twin.seek(index)
        twin.info.pop("xmp", None)
        with silenced():
            colour.read_low_bytes(twin)
        return colour.round_to_eight(image, twin)


def _bits(image: Image.Image) -> int:
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return 16
    return int(image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (16,))[0])


def _band_rows(width: int) -> int:
    """How many rows a band has: no reduction may see a part of a pixel's rows."""
    return max(8, _BAND_PIXELS // width // 8 * 8)


def _bands(loaded: Image.Image | Pixels, opened: Image.Image) -> Iterator[Image.Image]:
    """Loaded pixels of 8 bits from top to bottom, with what the file says of their colours; few in one piece."""
    height, width = loaded.shape[:2] if isinstance(loaded, np.ndarray) else loaded.size[::-1]
    rows = height if width * height <= _BAND_ABOVE else _band_rows(width)
    for top in range(0, height, rows):
        if isinstance(loaded, np.ndarray):
            band = Image.fromarray(loaded[top : top + rows])
            band.info = opened.info.copy()
            yield band
        elif rows == height:
            yield loaded
        else:
            yield loaded.crop((0, top, width, min(top + rows, height)))


def _png_bands(image: ImageFile.ImageFile, content: bytes) -> Iterator[Image.Image]:
    """A PNG picture that is not loaded from top to bottom, scaled to 8 bits."""
    for band, low in png.bands(image, content, _band_rows(image.width)):
        if low is not None:
            yield colour.round_to_eight(band, low)
        elif band.mode.startswith("I"):
            yield colour.grey_of_sixteen(band, twelve=False, inverted=False)
        else:
            yield band


def _pixels(
    bands: Iterable[Image.Image], size: tuple[int, int], below: tuple[int, int, int], reduction: int
) -> tuple[Pixels, float, colour.Converter]:
    """The picture as an array, converted and averaged band by band, so that no full-size copy is made on the way.

    Returns:
        Pixels, how many full-size ones the background makes up, and what converted them.
    """
    width, height = size
    pixels_HWC: Pixels | None = None
    convert: colour.Converter | None = None
    covered, top = 0.0, 0
    for stored in bands:
        convert = convert or colour.Converter(stored, below)
        band, hidden = convert(stored)
        covered += hidden
        reduced_HWC = np.asarray(band.reduce(reduction) if reduction > 1 else band)
        if band.height == height:
            return reduced_HWC, covered, convert
        if pixels_HWC is None:
            pixels_HWC = np.empty((-(-height // reduction), -(-width // reduction), 3), dtype=np.uint8)
        pixels_HWC[top : top + len(reduced_HWC)] = reduced_HWC
        top += len(reduced_HWC)
    if pixels_HWC is None or convert is None:
        raise ValueError("a picture without rows")
    return pixels_HWC, covered, convert


def _grey_tail(stored_HWC: Pixels, head: Header) -> tuple[str, ...]:
    """A note where the lower part of a JPEG is one middle grey: what a damaged picture looks like once saved anew."""
    if head.format not in ("JPEG", "MPO"):
        return ()
    if np.abs(stored_HWC[-1].astype(np.int16) - 128).max() > 2:
        return ()
    grey_H = np.asarray((np.abs(stored_HWC[:, ::8].astype(np.int16) - 128) <= 2).all(axis=(1, 2)))
    tail = len(grey_H) if grey_H.all() else int(np.argmin(grey_H[::-1]))
    if not _GREY_TAIL * len(grey_H) <= tail < len(grey_H):
        return ()
    return (f"the last {tail / len(grey_H):.0%} of it are one flat grey, as in damaged files",)


def _turned(stored_HWC: Pixels, orientation: int) -> Pixels:
    """Stored pixels upright (EXIF 2.32, tag 274)."""
    turned = cv2.transpose(stored_HWC) if orientation >= 5 else stored_HWC
    # what is left after the transposition is a flip, or both
    flip = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(orientation)
    return np.asarray(turned if flip is None else cv2.flip(turned, flip), dtype=np.uint8)
