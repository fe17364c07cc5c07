"""The tag fact: booru tags with their probabilities for the stored square, by an ONNX tagger."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from capprep.errors import ModelMismatch
from capprep.facts import BOORU, CROP, PICTURE, TagScore, tags_to_json
from capprep.models.tagger_spec import DEEPDANBOORU, TaggerSpec
from capprep.stage import Outcome, Reader, Row, Runtime, Stage, Value
from capprep.stages.squares import SquareReader, Squares, read_squares
from capprep.thresholds import FLOOR

if TYPE_CHECKING:
    from capprep.models.tagger import Label


@dataclass(frozen=True)
class Booru(Stage):
    """Every tag with a probability of at least `floor`; which of them are written is policy.

    A fact's data also has, under "beneath", the highest probability of each category that is under the floor, and
    under "thresholds" the tagger's own ones; see `thresholds.over`.

    Attributes:
        weights: Digest of graph and labels.
        spec: The tagger's description, see `TaggerSpec.to_text`.
        floor: What is less probable is not stored.
    """

    name: ClassVar[str] = BOORU
    version: ClassVar[int] = 2
    reads: ClassVar[tuple[str, ...]] = (PICTURE,)

    weights: str = ""
    spec: str = DEEPDANBOORU.to_text()
    floor: float = FLOOR

    def load(self, runtime: Runtime) -> Reader:
        """See `Stage.load`."""
        from capprep.models.tagger import OnnxTagger

        spec = TaggerSpec.from_text(self.spec)
        tagger = OnnxTagger(runtime.needed_model, runtime.labels, runtime.device, spec)
        own = spec.thresholds.to_json()
        categories = [label.category for label in tagger.labels]
        outputs = {
            category: np.flatnonzero([each == category for each in categories]) for category in sorted(set(categories))
        }

        def learn(squares: Squares) -> list[Value]:
            answers = tagger.probabilities(squares)
            return [Value({**self._data(tagger.labels, outputs, p_T), "thresholds": own}) for p_T in answers]

        return _Naming(SquareReader(learn, runtime.device, tagger.fit), learn)

    def _data(
        self, labels: Sequence[Label], outputs: Mapping[str, NDArray[np.intp]], p_T: NDArray[np.float32]
    ) -> dict[str, Any]:
        """The tags at or over the floor, most probable first, and the highest of each category beneath it.

        Args:
            labels: What each output stands for.
            outputs: Those of each category.
            p_T: A picture's probabilities.
        """
        over = np.flatnonzero(p_T >= self.floor)
        over = over[np.argsort(-p_T[over], kind="stable")]
        tags = [TagScore(labels[t].name, labels[t].category, float(p_T[t])) for t in over.tolist()]
        beneath: dict[str, float] = {}
        for category, own in outputs.items():
            low = p_T[own][p_T[own] < self.floor]
            if low.size:
                beneath[category] = round(float(low.max()), 6)
        return {**tags_to_json(tags), "beneath": beneath}


@dataclass(frozen=True)
class _Naming:
    """A reader that names the square to which a tagger's answer cannot be right."""

    reader: SquareReader
    learn: Callable[[Squares], list[Value]]

    def ahead(self, rows: Sequence[Row]) -> None:
        """See `SquareReader.ahead`."""
        self.reader.ahead(rows)

    def __call__(self, rows: Sequence[Row]) -> list[Outcome]:
        """See `SquareReader`."""
        try:
            return self.reader(rows)
        except ModelMismatch:
            # once more one by one, since a person can look at a square and not at a number in a batch
            for row in rows:
                _alone(row, self.learn)
            raise


def _alone(row: Row, learn: Callable[[Squares], list[Value]]) -> None:
    """Raise `ModelMismatch`, naming the square, where the tagger's answer to it cannot be right."""
    try:
        read_squares([row], learn)
    except ModelMismatch as error:
        square = row.facts[PICTURE].blobs[CROP]
        raise ModelMismatch(f"{error.message}; the picture is {square}", error.hint) from error
