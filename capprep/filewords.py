"""The text that stands for `[filewords]`: pure functions from a caption and tags to one line."""

from __future__ import annotations

import re
from collections.abc import Iterable

KAOMOJI = frozenset("0_0 (o)_(o) +_+ +_- ._. <o>_<o> <|>_<|> =_= >_< 3_3 6_9 >_o @_@ ^_^ o_o u_u x_x |_| ||_||".split())
"""Tags whose underscores are faces, not spaces."""


def tag_text(name: str) -> str:
    """A booru tag as words: underscores are spaces, except in faces; what would break the line or the list goes."""
    if name in KAOMOJI:
        return name
    return _one_line(name.replace("_", " ").replace(",", " "))


def caption_text(caption: str) -> str:
    """A caption as one piece of a comma list: trainers shuffle and drop at commas, which would shred a sentence."""
    return _one_line(caption.replace(",", " "))


def escape(text: str) -> str:
    r"""Parentheses and backslashes with a backslash before, since the webui reads (bare ones) as emphasis."""
    return re.sub(r"([\\()])", r"\\\1", text)


def split(text: str) -> list[str]:
    """The pieces of a line between its commas as words, in their order: what `join` and `escape` did is undone."""
    pieces = (_one_line(re.sub(r"\\([\\()])", r"\1", piece)) for piece in text.split(","))
    return list(dict.fromkeys(piece for piece in pieces if piece))


def join(caption: str | None, tags: Iterable[str]) -> str:
    """Caption first, then the tags, separated by ", "; equal pieces once, empty ones not at all."""
    pieces = [caption_text(caption or ""), *tags]
    return ", ".join(dict.fromkeys(piece for piece in pieces if piece))


def _one_line(text: str) -> str:
    """Without control characters, runs of white space as one space."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())
