"""Scenes of the drawn world: made from a seed, with the caption and the tags that are true of them."""

from __future__ import annotations

import io
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from capprep.errors import ConfigError
from capprep.files import write_atomically
from capprep.toybox import drawing
from capprep.toybox.drawing import BACKGROUNDS, COLOURS, Thing
from capprep.toybox.shapes import AIRBORNE, KINDS

STYLES = ("flat",)

_COUNTS = {1: "one_object", 2: "two_objects", 3: "three_objects"}
_PLACES = {
    "green field": "on a green field",
    "blue sea": "on a blue sea",
    "sandy beach": "on a sandy beach",
    "snowy hill": "on a snowy hill",
    "night sky": "under a night sky",
}
_UNSEEN = {"green field": "green", "blue sea": "blue", "sandy beach": "yellow", "snowy hill": "white"}
"""The colour that would be lost before a scenery."""


def plural(kind: str) -> str:
    """The word for more than one of a kind."""
    return kind if kind == "fish" else f"{kind}s"


TAGS: dict[str, str] = {
    **dict.fromkeys(KINDS, "general"),
    **dict.fromkeys(COLOURS, "general"),
    **dict.fromkeys(_COUNTS.values(), "general"),
    **{name.replace(" ", "_"): "general" for name in BACKGROUNDS},
    **dict.fromkeys(("day", "night", "outdoors", "no_humans"), "general"),
    "illustration": "meta",
    **dict.fromkeys(("rating:safe", "rating:questionable", "rating:explicit"), "rating"),
}
"""Every tag of the world with its category."""

_OTHER_WORDS = """
a an the and or of on in under at over above below with without near beside between behind before , . : - ( ) '
is are no not one two three four five six many some left right top bottom middle side
big small large tiny tall short wide round long far high low light dark bright sunny plain
fields seas beaches hills skies sun moon cloud clouds wave waves snow sand grass water air ground day outdoors indoors
colour color colours colorful black grey brown gold object objects thing things human humans
picture photo photograph image drawing illustration flat ink pixel crayon neon negative style outline
rating safe questionable explicit blurry noisy cropped watermark border simple background
"""

WORDS: tuple[str, ...] = tuple(
    dict.fromkeys(
        [*KINDS, *(plural(kind) for kind in KINDS), *COLOURS]
        + [word for name in BACKGROUNDS for word in name.split()]
        + _OTHER_WORDS.split()
    )
)
"""What the world's captions and tags are written with, one token each."""


@dataclass(frozen=True)
class Scene:
    """What is to be seen, whatever the picture's size and style.

    Attributes:
        seed: What it was made from; also decides the scenery's details.
        things: One to three, from left to right; things of a kind share their colour.
        background: A key of `drawing.BACKGROUNDS`.
    """

    seed: int
    things: tuple[Thing, ...]
    background: str

    @property
    def caption(self) -> str:
        """The sentence that is true of it: "a red house and two blue stars on a green field"."""
        return f"{' and '.join(self._groups())} {_PLACES[self.background]}"

    @property
    def tags(self) -> tuple[str, ...]:
        """The keys of `TAGS` that are true of it, in their order."""
        true = {thing.kind for thing in self.things} | {thing.colour for thing in self.things}
        true |= {_COUNTS[len(self.things)], self.background.replace(" ", "_")}
        true |= {"night" if self.background == "night sky" else "day", "outdoors", "no_humans"}
        true |= {"illustration", "rating:safe"}
        return tuple(tag for tag in TAGS if tag in true)

    @property
    def name(self) -> str:
        """What a person might call a picture of it: "red-house-and-two-blue-stars"."""
        return "-and-".join(group.removeprefix("a ").removeprefix("an ").replace(" ", "-") for group in self._groups())

    def _groups(self) -> list[str]:
        """Each kind with its number and colour, in words."""
        counts = Counter((thing.kind, thing.colour) for thing in self.things)
        return [_group(kind, colour, count) for (kind, colour), count in counts.items()]


def scene(seed: int) -> Scene:
    """One to three things of one or two kinds before a scenery, the same ones for the same seed."""
    rng = random.Random(seed)
    background = rng.choice(tuple(BACKGROUNDS))
    count = rng.choice((1, 1, 2, 2, 3))
    kinds = rng.sample(tuple(KINDS), 1 if count == 1 else rng.choice((1, 2, 2)))
    colours = [rng.choice([colour for colour in COLOURS if colour != _UNSEEN.get(background)]) for _ in kinds]
    turn = rng.randrange(1, count) if len(kinds) == 2 else count  # how many are of the first kind
    which = [0 if index < turn else 1 for index in range(count)]
    things = [_placed(kinds[i], colours[i], index, count, rng) for index, i in enumerate(which)]
    return Scene(seed, tuple(things), background)


def draw(scene: Scene, size: tuple[int, int] = (512, 512), style: str = "flat") -> Image.Image:
    """A picture of a scene, RGB.

    The things lie in the central square whatever the aspect, so the truth survives a centre crop.

    Args:
        scene: What is to be seen.
        size: Width and height in pixels.
        style: One of `STYLES`.

    Raises:
        ConfigError: There is no such style.
    """
    if style not in STYLES:
        raise ConfigError(f"style = {style!r} is not possible", f"choose one of: {', '.join(STYLES)}")
    return drawing.paint(scene.things, scene.background, scene.seed, size)


def draw_samples(folder: Path, count: int, seed: int) -> list[Path]:
    """Write pictures as they lie about in a person's folder; files that are there are left alone.

    JPEG and PNG, in several sizes and aspects with a short side of at least 560 pixels; the second is a
    JPEG that lies on its side with an EXIF orientation, the third a PNG with transparent corners.

    Returns:
        The files in order, whether written now or before.
    """
    rng = random.Random(seed)
    paths: list[Path] = []
    for index in range(count):
        shown = scene(rng.randrange(2**31))
        suffix = ".png" if index % 3 == 2 else ".jpg"
        path = folder / f"{shown.name}{suffix}"
        number = 2
        while path in paths:
            path, number = folder / f"{shown.name}-{number}{suffix}", number + 1
        paths.append(path)
        if not path.exists():
            picture = draw(shown, _SIZES[index % len(_SIZES)])
            write_atomically(path, _file(picture, index))
    return paths


_SIZES = ((840, 600), (600, 840), (720, 640), (960, 640), (560, 720), (768, 576), (1024, 684), (640, 640))


def _file(picture: Image.Image, index: int) -> bytes:
    """The picture as the sample of that number: upright or on its side, opaque or not, JPEG or PNG."""
    data = io.BytesIO()
    if index == 1:
        orientation = Image.Exif()
        orientation[0x0112] = 6  # "turn me a quarter clockwise", as phones write it
        picture.transpose(Image.Transpose.ROTATE_90).save(data, "JPEG", quality=92, exif=orientation)
    elif index == 2:
        picture.putalpha(_rounded(picture.size))
        picture.save(data, "PNG")
    else:
        picture.save(data, "PNG" if index % 3 == 2 else "JPEG", quality=92)
    return data.getvalue()


def _rounded(size: tuple[int, int]) -> Image.Image:
    """An alpha channel with round corners."""
    width, height = size
    mask = Image.new("L", (2 * width, 2 * height))
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, 2 * width - 1, 2 * height - 1), min(size) // 4, fill=255)
    return mask.reduce(2)


def _group(kind: str, colour: str, count: int) -> str:
    if count == 1:
        return f"{'an' if colour == 'orange' else 'a'} {colour} {kind}"
    return f"{('two', 'three')[count - 2]} {colour} {plural(kind)}"


def _placed(kind: str, colour: str, index: int, count: int, rng: random.Random) -> Thing:
    """A thing in its own column of the square, standing on the ground or hanging in the air."""
    size = rng.uniform(*((0.52, 0.64), (0.38, 0.44), (0.27, 0.31))[count - 1])
    x = (index + 0.5) / count * 0.92 + 0.04 + rng.uniform(-0.02, 0.02) * (3 - count)
    y = rng.uniform(0.34, 0.42) if kind in AIRBORNE else rng.uniform(0.8, 0.9) - size / 2
    return Thing(kind, colour, round(x, 4), round(y, 4), round(size, 4))
