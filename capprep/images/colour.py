"""Pixels of any kind to 8-bit sRGB: depths, palettes, profiles, transparency over a background.

Suffixes: H height, W width, C channels.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms, ImageFile

from capprep.images.unusable import Unusable

_SPACES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab ": "LAB"}
"""Pillow's mode for a profile's colour space."""

_SWAPPED = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}


@dataclass(frozen=True)
class Profile:
    """An embedded colour profile.

    Attributes:
        name: Its description, as it says itself.
        mode: Pillow's mode of the pixels it is for.
        to_srgb: The transform; None where the profile is sRGB itself, to within a level.
    """

    name: str
    mode: str
    to_srgb: ImageCms.ImageCmsTransform | None


@lru_cache(maxsize=16)
def profile(content: bytes) -> Profile | None:
    """Read an ICC profile; None where it is broken or of a kind that pixels cannot have.

    Remembered, because the pictures of a folder share a few, and one takes milliseconds to prepare.
    """
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(content))
        mode = _SPACES[opened.profile.xcolor_space]
        # the table lcms makes of a grey curve is too coarse in the shadows otherwise
        flags = ImageCms.Flags.HIGHRESPRECALC if mode == "L" else ImageCms.Flags.NONE
        transform = ImageCms.buildTransform(opened, ImageCms.createProfile("sRGB"), mode, "RGB", flags=flags)
        name = ImageCms.getProfileDescription(opened).strip()
    # whatever the colour engine raises is about the profile, and a profile never costs the picture
    except Exception:
        return None
    return Profile(name, mode, None if mode == "RGB" and _changes_nothing(transform) else transform)


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    level = np.arange(0, 256, 51, dtype=np.uint8)
    lattice_HWC = np.stack(np.meshgrid(level, level, level), axis=-1).reshape(6, 36, 3)
    changed_HWC = np.asarray(ImageCms.applyTransform(Image.fromarray(lattice_HWC), transform))
    return int(np.abs(changed_HWC.astype(int) - lattice_HWC).max()) <= 1


class Converter:
    """How the pixels of one picture become 8-bit sRGB, ready to be used on any band of it.

    Args:
        image: The picture, 8 bits a channel.
        background: The colour that shows through transparent pixels.

    Attributes:
        notes: What a person should know of it.
        icc: The embedded profile's name; empty without one.
    """

    def __init__(self, image: Image.Image, background: tuple[int, int, int]) -> None:
        self.notes: list[str] = []
        self.icc = ""
        self._background = background
        self._transparent = image.has_transparency_data
        self._transform: Callable[[Image.Image], Image.Image] = _as_rgb
        plain = {"1": "L", "LA": "L", "P": "RGB", "PA": "RGB", "RGBA": "RGB", "RGBX": "RGB", "YCbCr": "RGB"}
        self._mode = plain.get(image.mode, image.mode)
        if embedded := image.info.get("icc_profile"):
            self._use(profile(embedded))
        if self._mode == "CMYK" and not self.icc:
            self.notes.append("CMYK without a colour profile: its colours are approximate")
        if self._mode == "LAB":
            self._use_lab()

    @property
    def changes_nothing(self) -> bool:
        """True if the pixels are as they should be already."""
        return self._mode == "RGB" and not self._transparent and self._transform is _as_rgb

    def _use(self, embedded: Profile | None) -> None:
        if embedded is None:
            self.notes.append("its colour profile is damaged and was ignored")
        elif embedded.mode != self._mode:
            self.notes.append(f"its colour profile is for {embedded.mode} pixels and was ignored")
        else:
            self.icc = embedded.name or "unnamed"
            if (transform := embedded.to_srgb) is not None:
                self._transform = lambda colour: ImageCms.applyTransform(colour, transform) or colour

    def _use_lab(self) -> None:
        transform = ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
        self._transform = lambda colour: ImageCms.applyTransform(colour, transform) or colour

    def __call__(self, band: Image.Image) -> tuple[Image.Image, float]:
        """A band as sRGB, and how many of its pixels the background makes up (a half-covered one counts half).

        Composited before anything is resized, which equals resizing premultiplied colours: what lies under
        alpha 0 can never show.
        """
        alpha = None
        if self._transparent:
            band = band.convert("RGBA")
            alpha = band.getchannel("A")
        colour = self._transform(band if band.mode == self._mode else band.convert(self._mode))
        if alpha is None:
            return colour, 0.0
        below = Image.new("RGB", band.size, self._background)
        below.paste(colour, mask=alpha)
        return below, band.width * band.height - float(np.asarray(alpha).sum(dtype=np.int64)) / 255


def _as_rgb(colour: Image.Image) -> Image.Image:
    return colour if colour.mode == "RGB" else colour.convert("RGB")  # which would copy RGB too


def check_depth(image: Image.Image) -> None:
    """Refuse pixels that are floats or 32-bit integers: what is black and white in them is anyone's guess.

    Raises:
        Unusable: `unsupported_depth`.
    """
    # the PPM reader alone gives 16-bit grey as 32-bit integers
    if image.mode == "F" or (image.mode == "I" and image.format != "PPM"):
        raise Unusable("unsupported_depth", f"its pixels are 32-bit numbers ({image.mode}); save it with 8 or 16 bits")


def grey_of_sixteen(image: Image.Image, *, twelve: bool, inverted: bool) -> Image.Image:
    """16-bit grey scaled to 8 bits, rounded; Pillow's own conversion would clip it to white.

    Args:
        image: Of a mode "I;16..." or "I".
        twelve: The values go to 4095.
        inverted: White is zero.
    """
    deep_HW = np.asarray(image, dtype=np.float32) * (16 if twelve else 1)
    grey_HW = np.clip(np.rint(deep_HW / 257), 0, 255).astype(np.uint8)
    grey = Image.fromarray(255 - grey_HW if inverted else grey_HW)
    if isinstance(transparent := image.info.get("transparency"), int):
        grey = Image.merge("LA", (grey, Image.fromarray(np.where(deep_HW == transparent, 0, 255).astype(np.uint8))))
    grey.info = {key: value for key, value in image.info.items() if key != "transparency"}
    return grey


def has_low_bytes(image: ImageFile.ImageFile) -> bool:
    """Whether the file holds 16 bits a channel of colour, of which Pillow reads the high byte; before loading."""
    return bool(image.tile) and all(_other_byte(_rawmode(tile.args)) for tile in image.tile)


def read_low_bytes(image: ImageFile.ImageFile) -> None:
    """Load the low byte of each 16-bit channel in place of the high one, by taking the byte order for the other."""
    image.tile = [tile._replace(args=_with_rawmode(tile.args)) for tile in image.tile]
    image.load()


def _rawmode(args: object) -> str:
    first = args[0] if isinstance(args, tuple) and args else args
    return first if isinstance(first, str) else ""


def _with_rawmode(args: object) -> tuple[object, ...] | str:
    other = _other_byte(_rawmode(args))
    return (other, *args[1:]) if isinstance(args, tuple) else other


def _other_byte(rawmode: str) -> str:
    """The raw mode that reads the other byte, empty where there is none (8 bits, grey, premultiplied)."""
    name, _, order = rawmode.partition(";16")
    return f"{name};16{_SWAPPED[order]}" if name in ("RGB", "RGBA", "CMYK") and order in _SWAPPED else ""


def round_to_eight(high: Image.Image, low: Image.Image) -> Image.Image:
    """16-bit colour, given as two pictures of its bytes, scaled to 8 bits by 257 and rounded."""
    high_HWC = np.asarray(high)
    # 256 high + low = 257 high + (low - high)
    rest_HWC = np.asarray(low).astype(np.int16) - high_HWC
    rounded_HWC = high_HWC + (rest_HWC > 128).astype(np.uint8) - (rest_HWC < -128).astype(np.uint8)
    rounded = Image.frombytes(high.mode, high.size, rounded_HWC.tobytes())
    transparent = high.info.get("transparency")
    if high.mode == "RGB" and isinstance(transparent, tuple):
        key = np.asarray(transparent)
        hidden_HW = ((high_HWC == key >> 8) & (np.asarray(low) == key & 255)).all(axis=-1)
        rounded.putalpha(Image.fromarray(np.where(hidden_HW, 0, 255).astype(np.uint8)))
    rounded.info = {name: value for name, value in high.info.items() if name != "transparency"}
    return rounded
