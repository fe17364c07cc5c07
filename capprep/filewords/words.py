"""Words as a text file holds them: spelling, comparison, escapes, cutting and joining at commas."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable

KAOMOJI = frozenset("0_0 (o)_(o) +_+ +_- ._. <o>_<o> <|>_<|> =_= >_< 3_3 6_9 >_o @_@ ^_^ o_o u_u x_x |_| ||_||".split())
"""Tags whose underscores are faces, not spaces."""

NAME = "[name]"
"""What the webui's trainer replaces by the name of the net."""


@functools.lru_cache(maxsize=4096)
def tag_text(name: str) -> str:
    """A booru tag as words: underscores are spaces, except in faces; what would break the line or the list goes."""
    if name in KAOMOJI:
        return name
    return _one_line(name.replace("_", " ").replace(",", " "))


def caption_text(caption: str, *, commas: bool = False) -> str:
    """A caption as one piece of a comma list: trainers shuffle and drop at commas, which would shred a sentence.

    Args:
        caption: The sentence.
        commas: True to leave those that stand between words.
    """
    if commas:
        return ", ".join(filter(None, map(_one_line, caption.split(","))))
    return _one_line(caption.replace(",", " "))


def name_text(stem: str) -> str:
    """A picture's file name as words, without the number in front: the webui's rule for pictures without a text."""
    return tag_text(re.sub(r"^[-\d]+\s*", "", stem))


@functools.lru_cache(maxsize=4096)
def key(text: str) -> str:
    """What a tag is compared by: its words without regard to case and to how Unicode spells accents.

    Text encoders of Stable Diffusion read lower case only.
    """
    return unicodedata.normalize("NFC", tag_text(text)).casefold()


def escape(text: str) -> str:
    r"""Brackets and backslashes with a backslash before, since the webui reads bare ones as emphasis."""
    return re.sub(r"([\\()\[\]])", r"\\\1", text)


def escape_around_name(text: str) -> str:
    """The same for a person's own words, in which `[name]` stays for the trainer to fill in."""
    return NAME.join(map(escape, text.split(NAME)))


def unescape(text: str) -> str:
    """What `escape` did is undone; other backslashes stay."""
    return re.sub(r"\\([\\()\[\]])", r"\1", text)


def retarget(text: str, before: str, now: str) -> str:
    """A whole text written for one trainer as another reads the same words.

    Args:
        text: As it stands in its file.
        before: For whom it was written, "webui" or "kohya" as in `TextRules.escape`.
        now: For whom it is wanted.
    """
    if before == now:
        return text
    return unescape(text) if now == "kohya" else escape(text)


def split(text: str) -> list[str]:
    """The pieces of a text between its commas as words, in their order: what `join` and `escape` did is undone."""
    pieces = (_one_line(unescape(piece)) for piece in text.split(","))
    return list(dict.fromkeys(piece for piece in pieces if piece))


def join(caption: str | None, tags: Iterable[str]) -> str:
    """Caption first, then the tags, separated by ", "; equal pieces once, empty ones not at all."""
    pieces = [caption_text(caption or ""), *tags]
    return ", ".join(dict.fromkeys(piece for piece in pieces if piece))


def _one_line(text: str) -> str:
    """Without control characters, runs of white space as one space, and without the webui's command BREAK."""
    # nearly every text is, and looking at each character takes longer than all the rest
    if not text.isprintable():
        text = "".join(character if character.isprintable() else " " for character in text)
    return re.sub(r"\bBREAK\b", "break", " ".join(text.split()))
