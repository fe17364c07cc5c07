"""What a text is made from, and what it is: words in, the line and a record of every piece out."""

from __future__ import annotations

from dataclasses import dataclass

from capprep.facts import TagScore
from capprep.filewords.rules import Rule

TRIGGER = "trigger"
NAME = "name"
CAPTION = "caption"
TAG = "tag"
EXISTING = "existing"


@dataclass(frozen=True, slots=True)
class Words:
    """What is known of one picture in words.

    Attributes:
        caption: Its sentence, or None.
        tags: Its tags over their thresholds, without ratings.
        existing: The text that lies beside the source picture, "" for none.
        name: The stem of the source picture's file, for a form with {name}.
    """

    caption: str | None = None
    tags: tuple[TagScore, ...] = ()
    existing: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of a text, or what was left out of it.

    Attributes:
        kind: `TRIGGER`, `NAME`, `CAPTION`, `TAG` or `EXISTING`.
        given: As it was given ("long_hair").
        text: As words, without escapes ("long hair").
        kept: True if it is in the text.
        step: The step that dropped or changed it, "" where none did.
        reason: Why, as a sentence; "" where nothing was done.
        place: Of a tag: its place in `Words.tags`; else -1.
        category: Of a tag.
        probability: Of a tag, 0..1.
        chunk: In which chunk of 75 tokens it begins, from 0; None if dropped or where tokens were not counted.
    """

    kind: str
    given: str
    text: str
    kept: bool = True
    step: str = ""
    reason: str = ""
    place: int = -1
    category: str = ""
    probability: float = 1.0
    chunk: int | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """The text of one picture with the reason for everything.

    Attributes:
        text: The exact content of its file: one line, without a line end.
        pieces: Those in the text in its order, then what was dropped.
        matched: The rules of the person that were about something here.
        tokens: How long it is for the text encoder, the padding of chunks counted; None where not counted.
        chunks: How many chunks of 75 tokens it takes; None where not counted.
    """

    text: str
    pieces: tuple[Piece, ...]
    matched: frozenset[Rule] = frozenset()
    tokens: int | None = None
    chunks: int | None = None

    @property
    def kept(self) -> tuple[Piece, ...]:
        """What is in the text, in its order."""
        return tuple(piece for piece in self.pieces if piece.kept)

    @property
    def dropped(self) -> tuple[Piece, ...]:
        """What is not."""
        return tuple(piece for piece in self.pieces if not piece.kept)

    @property
    def tags(self) -> tuple[Piece, ...]:
        """What became of each of `Words.tags`, in that order."""
        return tuple(sorted((piece for piece in self.pieces if piece.kind == TAG), key=lambda piece: piece.place))

    @property
    def behind(self) -> tuple[Piece, ...]:
        """What begins behind the first chunk: read by the webui, cut off by trainers with one window of 77."""
        return tuple(piece for piece in self.kept if piece.chunk)
