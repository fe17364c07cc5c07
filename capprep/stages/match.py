"""The match facts: where pictures and texts lie in the space of BLIP's image-text contrast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from capprep.facts import MATCH_IMAGE, MATCH_TEXT, PICTURE, embedding_to_json
from capprep.models.batches import AdaptiveBatch
from capprep.stage import Outcome, Reader, Row, Runtime, Stage, Value
from capprep.stages.squares import SquareReader, Squares


@dataclass(frozen=True)
class MatchImage(Stage):
    """A picture's unit vector. With the texts' vectors it gives the whole similarity matrix for free."""

    name: ClassVar[str] = MATCH_IMAGE
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = (PICTURE,)

    weights: str = ""
    dtype: str = "float32"

    def load(self, runtime: Runtime) -> Reader:
        """See `Stage.load`."""
        from capprep.models.match import BlipMatcher

        matcher = BlipMatcher(runtime.needed_model, runtime.device, self.dtype)

        def learn(squares: Squares) -> list[Value]:
            return [Value(embedding_to_json(vector_D)) for vector_D in matcher.image_embeddings(squares)]

        return SquareReader(learn, runtime.device)


@dataclass(frozen=True)
class MatchText(Stage):
    """A text's unit vector. Texts are subjects of their own: a tag is read once, however many pictures carry it."""

    name: ClassVar[str] = MATCH_TEXT
    version: ClassVar[int] = 1
    subject: ClassVar[Literal["picture", "text"]] = "text"

    weights: str = ""
    dtype: str = "float32"

    def load(self, runtime: Runtime) -> Reader:
        """See `Stage.load`."""
        from capprep.models.match import BlipMatcher

        matcher = BlipMatcher(runtime.needed_model, runtime.device, self.dtype)

        def learn(rows: Sequence[Row]) -> list[Outcome]:
            vectors_ND = matcher.text_embeddings([(row.content or b"").decode() for row in rows])
            return [Value(embedding_to_json(vector_D)) for vector_D in vectors_ND]

        batch = AdaptiveBatch()
        return lambda rows: batch(rows, learn)
