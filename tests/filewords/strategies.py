"""Words, tags and options as hypothesis draws them, and the tokenizer they are counted with."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

from hypothesis import strategies as st
from transformers import CLIPTokenizer

import capprep.models
from capprep.facts import TagScore
from capprep.filewords import TextRules, Words

KNOWN = (
    "1girl 2girls multiple_girls 1boy solo no_humans couple long_hair very_long_hair absurdly_long_hair short_hair "
    "blue_hair red_hair light_blue_hair multicolored_hair blue_eyes red_eyes heterochromia closed_eyes "
    "looking_at_viewer day night night_sky sky indoors outdoors bedroom shirt white_shirt flower hair_flower "
    "hair_ornament katana sword weapon red_dress dress slime_(substance) o_o >_< (o)_(o) highres monochrome "
    "watercolor_(medium) signature cat cat_ears a_b"
).split()
CATEGORIES = ("general", "character", "copyright", "meta", "artist")

hostile = st.text(st.characters(), max_size=40) | st.text(r"ab,()[]{}\_: .1BREAK" + "\n\t#=", max_size=40)
"""Any text, lone surrogates too, and texts of what has a meaning somewhere."""

names = st.sampled_from(KNOWN) | hostile
tags = st.lists(
    st.builds(TagScore, names, st.sampled_from(CATEGORIES), st.integers(1, 20).map(lambda p: p / 20)), max_size=14
).map(tuple)
captions = (
    st.none() | st.sampled_from(["a cat, sitting on a mat", "two girls (twins) [smiling]", "BREAK [name]"]) | hostile
)
words = st.builds(
    Words,
    captions,
    tags,
    st.just("") | st.lists(names, max_size=5).map(", ".join) | hostile,
    st.just("") | st.just("00017-my_cat") | hostile,
)
forms = st.sampled_from(
    [
        "caption, tags",
        "tags",
        "caption",
        "{tags}, {caption}",
        "a photo of {trigger} with {tags} in it",
        "{name}, art, {tags}",
    ]
)


@st.composite
def options(draw: st.DrawFn, **fixed: object) -> TextRules:
    """Any options that go together."""
    preset = draw(st.sampled_from(["none", "style", "character", "concept"]))
    known = st.lists(st.sampled_from(KNOWN), max_size=3).map(", ".join)
    values: dict[str, object] = {
        "trigger": draw(st.sampled_from(["", "zwx", "zwx (x), art", "1girl"])),
        "preset": preset,
        "concept": "red dress, katana" if preset == "concept" else "",
        "alias": draw(st.sampled_from(["", "a_b = letters", "cat = feline, feline = animal", "night = day"])),
        "blacklist": draw(known),
        "whitelist": draw(st.just("") | known),
        "keep_tags": draw(known),
        "drop_implied": draw(st.booleans()),
        "drop_conflicts": draw(st.booleans()),
        "order": draw(st.sampled_from(["score", "people", "alphabetical"])),
        "merge": draw(forms),
        "existing": draw(st.sampled_from(["ignore", "keep", "prepend", "append"])),
        "escape": draw(st.sampled_from(["webui", "kohya"])),
    }
    return TextRules(**{**values, **fixed})  # type: ignore[arg-type]


@functools.cache
def clip() -> Callable[[str], Sequence[int]]:
    """Stable Diffusion's own tokenizer."""
    tokenizer = CLIPTokenizer.from_pretrained(Path(capprep.models.__path__[0]) / "clip_tokenizer")
    return lambda text: tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]


def scores(*named: tuple[str, float] | str, category: str = "general") -> tuple[TagScore, ...]:
    """Tags by name, with 0.9 where no probability is given."""
    pairs = [(each, 0.9) if isinstance(each, str) else each for each in named]
    return tuple(TagScore(name, category, probability) for name, probability in pairs)
