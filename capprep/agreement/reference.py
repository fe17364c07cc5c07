"""The reference vocabulary: plain words for all sorts of pictures, against which a picture's own scores are centred."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_FILE = Path(__file__).with_name("reference.txt")


@cache
def reference_texts() -> tuple[str, ...]:
    """The texts in their order, some 400 things, places, colours, actions and styles.

    Of our own making and the same for every set, so that a small set's few tags do not decide what is taken out.
    Most of them are wrong about any one picture, which makes their mean that of a picture with just any text.
    """
    return tuple(_FILE.read_text(encoding="utf-8").splitlines()[1:])


@cache
def reference_version() -> str:
    """The name of the vocabulary, as in its first line; raised with every change of a word."""
    return _FILE.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
