"""Scenes of the drawn world: made from a seed, with the caption, the tags and the boxes that are true of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from capprep.toybox import drawing
from capprep.toybox.drawing import COLOURS, Thing
from capprep.toybox.scenery import BACKGROUNDS, LIGHTS
from capprep.toybox.shapes import AIRBORNE, KINDS

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels."""

COUNTS = {1: "one_object", 2: "two_objects", 3: "three_objects"}
SIZES = {"small": (0.27, 0.32), "": (0.43, 0.5), "big": (0.62, 0.7)}
"""The size of a thing that stands alone, by the word for it; the gaps between them keep the words honest."""

_UNSEEN = {"green field": "green", "blue sea": "blue", "sandy beach": "yellow", "snowy hill": "white"}
"""The colour that would be lost before a scenery."""

HELD_OUT = frozenset(
    {("house", "purple"), ("car", "green"), ("fish", "orange"), ("cat", "blue"), ("star", "pink"), ("balloon", "white")}
)
"""Kinds and colours that never come together in the pictures the readers are trained on."""

STYLE_TAGS = {
    "flat": "flat_color",
    "ink": "ink_drawing",
    "pixel": "pixel_art",
    "crayon": "crayon_drawing",
    "neon": "neon_lights",
    "negative": "inverted_colors",
    "pastel": "pastel_colors",
    "woodcut": "woodcut",
}
DAMAGE_TAGS = {
    "blur": "blurry",
    "jpeg": "jpeg_artifacts",
    "dark": "dark",
    "noise": "noise",
    "crop": "cropped",
    "border": "border",
    "watermark": "watermark",
}
_SEEN_WITH = {
    "green field": ("grass", "outdoors"),
    "blue sea": ("water", "outdoors"),
    "sandy beach": ("sand", "water", "outdoors"),
    "snowy hill": ("snow", "outdoors"),
    "wooden table": ("indoors",),
}


def tag_of(text: str) -> str:
    """A name as booru sites write it: "green field" is `green_field`."""
    return text.replace(" ", "_")


TAGS: dict[str, str] = {
    **dict.fromkeys(KINDS, "general"),
    **dict.fromkeys(COLOURS, "general"),
    **{f"{colour}_{kind}": "general" for kind in KINDS for colour in COLOURS},
    **dict.fromkeys((*COUNTS.values(), "multiple_objects"), "general"),
    **{tag_of(name): "general" for name in BACKGROUNDS},
    **dict.fromkeys(("grass", "water", "sand", "snow", "outdoors", "indoors", *LIGHTS, "no_humans"), "general"),
    **dict.fromkeys((*STYLE_TAGS.values(), *DAMAGE_TAGS.values()), "meta"),
    **dict.fromkeys(("rating:safe", "rating:questionable", "rating:explicit"), "rating"),
}
"""Every tag of the world with its category."""

IMPLICATIONS: dict[str, tuple[str, ...]] = {
    **{f"{colour}_{kind}": (colour, kind) for kind in KINDS for colour in COLOURS},
    **{tag_of(name): tags for name, tags in _SEEN_WITH.items()},
    "two_objects": ("multiple_objects",),
    "three_objects": ("multiple_objects",),
    **dict.fromkeys(("grass", "water", "sand", "snow"), ("outdoors",)),
}
"""What is true wherever a tag is."""

EXCLUSIONS: tuple[frozenset[str], ...] = (
    frozenset(COUNTS.values()),
    frozenset(("one_object", "multiple_objects")),
    frozenset(map(tag_of, BACKGROUNDS)),
    frozenset(("outdoors", "indoors")),
    frozenset(LIGHTS),
    frozenset(STYLE_TAGS.values()),
    frozenset(("rating:safe", "rating:questionable", "rating:explicit")),
)
"""Sets of tags of which no picture has two."""


def plural(kind: str) -> str:
    """The word for more than one of a kind."""
    return kind if kind == "fish" else f"{kind}s"


_OTHER_WORDS = """
a an the and or of on in under at over above below with without near beside between behind before , . : - ( ) '
is are no not one two three four five six many some left right top bottom middle side
big small large tiny tall short wide round long far high low light dark bright sunny plain multiple
fields seas beaches hills tables skies sky sun moon cloud clouds wave waves sand snow grass water air ground
day night sunset dusk dawn outdoors indoors room wall wood lamp
colour color colours colors colorful black grey brown gold object objects thing things human humans
picture photo photograph image drawing illustration
flat ink pixel art crayon neon lights negative inverted pastel woodcut style outline
rating safe questionable explicit blurry jpeg artifacts noise noisy cropped border watermark simple background
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
class Group:
    """Things of one kind and colour that stand together.

    Attributes:
        kind: A key of `shapes.KINDS`.
        colour: A key of `drawing.COLOURS`.
        count: How many, 1 to 3.
        size: The word for the size: "small", "" or "big"; only what stands alone has one.
    """

    kind: str
    colour: str
    count: int
    size: str = ""

    @property
    def bare(self) -> str:
        """Without an article: "big red house", "two blue stars"."""
        if self.count > 1:
            return f"{('two', 'three')[self.count - 2]} {self.colour} {plural(self.kind)}"
        return f"{self.size} {self.colour} {self.kind}".strip()

    @property
    def words(self) -> str:
        """As a caption says it: "a big red house", "two blue stars"."""
        if self.count > 1:
            return self.bare
        return f"{'an' if self.bare.startswith('orange') else 'a'} {self.bare}"


@dataclass(frozen=True)
class Scene:
    """What is to be seen, whatever the picture's size and style.

    Attributes:
        seed: What it was made from; also decides the scenery's details.
        groups: One or two, three things in all at most.
        relation: Of the first group to the second, "left of" or "above"; "" where there is only one.
        things: The groups' things in their order, with their places.
        background: A key of `scenery.BACKGROUNDS`.
        light: One of `scenery.LIGHTS`.
    """

    seed: int
    groups: tuple[Group, ...]
    relation: str
    things: tuple[Thing, ...]
    background: str
    light: str

    @property
    def caption(self) -> str:
        """The sentence that is true of it: "a red house left of two blue stars on a green field at night"."""
        what = f" {self.relation} ".join(group.words for group in self.groups)
        when = "" if self.light == "day" else f" at {self.light}"
        return f"{what} on a {self.background}{when}"

    @property
    def tags(self) -> tuple[str, ...]:
        """The keys of `TAGS` that are true of it however it is drawn, in their order."""
        return self.tags_drawn("", ())

    def tags_drawn(self, style: str, damage: Sequence[str] = ()) -> tuple[str, ...]:
        """The keys of `TAGS` that are true of a picture of it.

        Args:
            style: One of `styles.STYLES`.
            damage: Keys of `DAMAGE_TAGS` that were done to it.
        """
        true = {f"{group.colour}_{group.kind}" for group in self.groups}
        true |= {COUNTS[len(self.things)], tag_of(self.background), self.light, "no_humans", "rating:safe"}
        true |= {STYLE_TAGS[style]} if style else set()
        true |= {DAMAGE_TAGS[name] for name in damage}
        true |= {implied for tag in true for implied in IMPLICATIONS.get(tag, ())}
        return tuple(tag for tag in TAGS if tag in true)

    @property
    def name(self) -> str:
        """What a person might call a picture of it: "red-house-and-two-blue-stars"."""
        return "-and-".join(group.bare.replace(" ", "-") for group in self.groups)

    @property
    def held_out(self) -> bool:
        """Whether a kind has a colour here in which the readers were never shown it."""
        return any((group.kind, group.colour) in HELD_OUT for group in self.groups)

    def boxes(self, size: tuple[int, int] = (512, 512)) -> list[Box]:
        """Where each of `things` lies in a picture of that width and height."""
        width, height = size
        unit = min(size)
        left, top = (width - unit) / 2, (height - unit) / 2
        return [
            (
                left + (thing.x - thing.size / 2) * unit,
                top + (thing.y - thing.size / 2) * unit,
                left + (thing.x + thing.size / 2) * unit,
                top + (thing.y + thing.size / 2) * unit,
            )
            for thing in self.things
        ]


def scene(seed: int) -> Scene:
    """One to three things of one or two kinds before a scenery, the same ones for the same seed."""
    rng = random.Random(seed)
    background, light = rng.choice(tuple(BACKGROUNDS)), rng.choice(tuple(LIGHTS))
    counts = rng.choice(((1,), (1,), (2,), (3,), (1, 1), (1, 1), (1, 1), (1, 2), (2, 1)))
    relation = rng.choice(("left of", "above")) if len(counts) == 2 else ""
    kinds = _kinds(len(counts), relation, rng)
    colours = [rng.choice([colour for colour in COLOURS if colour != _UNSEEN.get(background)]) for _ in kinds]
    if len(set(kinds)) < len(kinds) and len(set(colours)) == 1:  # the same thing twice would be one group
        relation, counts, kinds, colours = "", (sum(counts),), kinds[:1], colours[:1]
    size = rng.choice(tuple(SIZES)) if counts == (1,) else ""
    groups = tuple(Group(*each, size) for each in zip(kinds, colours, counts, strict=True))
    things = _stacked(groups, rng) if relation == "above" else _in_a_row(groups, rng)
    return Scene(seed, groups, relation, things, background, light)


def draw(scene: Scene, size: tuple[int, int] = (512, 512), style: str = "flat") -> Image.Image:
    """A picture of a scene, RGB.

    The things lie in the central square whatever the aspect, so the truth survives a centre crop.

    Args:
        scene: What is to be seen.
        size: Width and height in pixels.
        style: One of `styles.STYLES`.

    Raises:
        ConfigError: There is no such style.
    """
    return drawing.paint(scene.things, scene.background, scene.light, scene.seed, size, style)


_STANDING = tuple(kind for kind in KINDS if kind not in AIRBORNE)
_FLYING = tuple(kind for kind in KINDS if kind in AIRBORNE)


def _kinds(count: int, relation: str, rng: random.Random) -> list[str]:
    """The groups' kinds; only what flies is above something, and only beside each other are two of a kind."""
    if relation == "above":
        return [rng.choice(_FLYING), rng.choice(_STANDING)]
    if count == 2 and rng.random() < 0.15:
        return [rng.choice(tuple(KINDS))] * 2
    return rng.sample(tuple(KINDS), count)


def _in_a_row(groups: Sequence[Group], rng: random.Random) -> tuple[Thing, ...]:
    """Each thing in its own column of the square, standing on the ground or hanging in the air."""
    each = [group for group in groups for _ in range(group.count)]
    things = []
    for index, group in enumerate(each):
        count = len(each)
        size = rng.uniform(*(SIZES[group.size] if count == 1 else ((0.37, 0.43), (0.27, 0.31))[count - 2]))
        slack = (0.96 - size) / 2 * 0.7 if count == 1 else 0.02 * (3 - count)
        x = (index + 0.5) / count * 0.92 + 0.04 + rng.uniform(-slack, slack)
        if group.kind in AIRBORNE:
            y = max(rng.uniform(0.3, 0.42), size / 2 + 0.03)
        else:
            y = rng.uniform(0.8, 0.93) - size / 2
        things.append(_thing(group, x, y, size))
    return tuple(things)


def _stacked(groups: Sequence[Group], rng: random.Random) -> tuple[Thing, ...]:
    """The first group in the sky, the second below it on the ground."""
    middle = rng.uniform(0.42, 0.58)
    things = []
    for group, (single, double), level in zip(groups, ((0.35, 0.3), (0.43, 0.37)), (0.23, 0.71), strict=True):
        for index in range(group.count):
            size = (single, double)[group.count - 1] * rng.uniform(0.9, 1.05)
            x = middle + (index - (group.count - 1) / 2) * 0.42 + rng.uniform(-0.01, 0.01)
            things.append(_thing(group, x, level + rng.uniform(-0.02, 0.02), size))
    return tuple(things)


def _thing(group: Group, x: float, y: float, size: float) -> Thing:
    return Thing(group.kind, group.colour, round(x, 4), round(y, 4), round(size, 4))
