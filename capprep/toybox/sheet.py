"""All styles of the drawn world on one page."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from capprep.toybox.styles import STYLES
from capprep.toybox.world import draw, scene

_GAP, _HEAD = 6, 22  # pixels
_PAPER, _INK = (255, 255, 255), (40, 40, 50)


def draw_sheet(path: Path, rows: int = 6, side: int = 160, seed: int = 0) -> None:
    """Write one picture with a column for each style and a row for each scene.

    Args:
        path: An image file; its suffix says which kind.
        rows: How many scenes.
        side: Of each picture, in pixels.
        seed: Of the first scene.
    """
    step = side + _GAP
    sheet = Image.new("RGB", (_GAP + step * len(STYLES), _HEAD + step * rows), _PAPER)
    pen = ImageDraw.Draw(sheet)
    for column, style in enumerate(STYLES):
        left = _GAP + column * step
        pen.text((left + side / 2, _HEAD / 2), style, _INK, ImageFont.load_default(14), anchor="mm")
        for row in range(rows):
            sheet.paste(draw(scene(seed + row), (side, side), style), (left, _HEAD + row * step))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, quality=88)
