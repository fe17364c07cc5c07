"""Pictures as arrays and bytes: decode, crop, resize, measure, compare; pure functions that know no database."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""A picture of (H, W, 3), RGB."""

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels, floats."""
