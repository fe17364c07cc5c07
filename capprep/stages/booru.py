"""The tag fact: booru tags with their probabilities for the stored square, by a DeepDanbooru ONNX graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from capprep.facts import BOORU, PICTURE, TagScore, tags_to_json
from capprep.stage import Reader, Runtime, Stage, Value
from capprep.stages.squares import Squares, read_squares

if TYPE_CHECKING:
    from capprep.models.tagger import Label


@dataclass(frozen=True)
class Booru(Stage):
    """Every tag with a probability of at least `floor`; which of them are written is policy."""

    name: ClassVar[str] = BOORU
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = (PICTURE,)

    weights: str = ""
    floor: float = 0.05

    def load(self, runtime: Runtime) -> Reader:
        """See `Stage.load`."""
        from capprep.models.tagger import OnnxTagger

        tagger = OnnxTagger(runtime.needed_model, runtime.labels, runtime.device)

        def learn(squares: Squares) -> list[Value]:
            return [Value(tags_to_json(self._over_floor(tagger.labels, p_T))) for p_T in tagger.probabilities(squares)]

        return lambda rows: read_squares(rows, learn)

    def _over_floor(self, labels: Sequence[Label], p_T: NDArray[np.float32]) -> list[TagScore]:
        """The tags at or over the floor, most probable first."""
        order = np.argsort(-p_T, kind="stable")
        return [TagScore(labels[t].name, labels[t].category, float(p_T[t])) for t in order if p_T[t] >= self.floor]
