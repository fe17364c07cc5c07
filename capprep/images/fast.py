"""The pixels of plain JPEG, PNG and WebP files by decoders that are faster than Pillow's and give the very same.

OpenCV hands a JPEG's pixels on without another copy. Libspng undoes PNG's filters in half the time. Pillow reads every
WebP as an animation, in five times the memory. They are asked only for what Pillow has opened and found to be of the
plainest kind, and where they fail Pillow is asked, who says why.
"""

from __future__ import annotations

import struct

import cv2
import imagecodecs
import numpy as np
from PIL import ImageFile

from capprep.images import Pixels
from capprep.images.opening import silenced

_REDUCED = {
    1: 0,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
}
"""The bit for each reduction; what the names say of colour is overruled by the flag for RGB."""


def jpeg_pixels(image: ImageFile.ImageFile, content: bytes, reduction: int) -> Pixels | None:
    """A colour JPEG as stored, not turned, (H, W, 3); None for Pillow to decide.

    Args:
        image: As opened from `content`, not loaded.
        content: The file.
        reduction: 1, 2, 4 or 8, by which both sides are divided, rounded up.
    """
    if image.mode != "RGB":
        return None
    flags = _REDUCED[reduction] | cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    with silenced():
        try:
            decoded = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
        except cv2.error:
            return None
    size = -(-image.height // reduction), -(-image.width // reduction), 3
    return None if decoded is None or decoded.shape != size else np.asarray(decoded, np.uint8)


def png_pixels(image: ImageFile.ImageFile, content: bytes) -> Pixels | None:
    """A PNG of 8 bits as RGB or RGBA, (H, W, 3 or 4); None for Pillow to decide.

    Args:
        image: As opened from `content`, not loaded.
        content: The file, its checksums known to be right.
    """
    depth, colour, _, _, interlaced = struct.unpack_from(">5B", content, 24)
    channels = {("RGB", 2): 3, ("RGBA", 6): 4}.get((image.mode, colour))
    if (
        channels is None
        or depth != 8
        or interlaced
        or getattr(image, "n_frames", 1) != 1
        or "transparency" in image.info
    ):
        return None
    try:
        decoded = imagecodecs.spng_decode(content)
    except (imagecodecs.SpngError, ValueError):
        return None
    size = image.height, image.width, channels
    return None if decoded.shape != size or decoded.dtype != np.uint8 else np.asarray(decoded)


def webp_pixels(image: ImageFile.ImageFile, content: bytes) -> Pixels | None:
    """A still WebP without transparency, (H, W, 3); None for Pillow to decide.

    Args:
        image: As opened from `content`, not loaded.
        content: The file.
    """
    if image.mode != "RGB" or getattr(image, "n_frames", 1) != 1:
        return None
    try:
        decoded = imagecodecs.webp_decode(content)
    except (imagecodecs.WebpError, ValueError):
        return None
    size = image.height, image.width, 3
    return None if decoded.shape != size or decoded.dtype != np.uint8 else np.asarray(decoded)
