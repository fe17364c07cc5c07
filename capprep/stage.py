"""The vocabulary of the core: what a stage is, what it reads and returns, and the key of a fact."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

from capprep.config import Config
from capprep.images.files import read
from capprep.images.unusable import Unusable

Json = Any
"""What `json` can write: None, bool, int, float, str, list and dict of the same."""


@dataclass(frozen=True)
class Fact:
    """A stored value as a stage reads it: small data, and large parts as files.

    Attributes:
        data: The value's JSON part.
        blobs: Large parts by name, each a file that must not be changed.
    """

    data: Mapping[str, Json]
    blobs: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Cut:
    """The part of a picture that a subject is, where it is not for the stage to choose.

    Attributes:
        box: Left, top, right and bottom in pixels of the upright picture.
        part: How many-eth part of a picture that was split, from 1; 0 for a whole picture's own box.
    """

    box: tuple[float, float, float, float]
    part: int = 0


@dataclass(frozen=True)
class OnDisk:
    """A content that is read where it is needed, instead of being sent there.

    Attributes:
        path: The file that holds it.
        sha256: What it must hash to, hex.
        size: In bytes.
    """

    path: str
    sha256: str
    size: int

    def read(self) -> bytes:
        """The content.

        Raises:
            Unusable: The file cannot be read any more, or is another one now.
        """
        content = read(self.path)
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise Unusable("unreadable", "it was changed while it was read; run it again", retry=True)
        return content


@dataclass(frozen=True)
class Row:
    """One subject of a stage.

    Attributes:
        id: SHA-256 of the content, and of the cut where there is one, 64 hex digits.
        content: The subject's bytes (a picture's file, a text in UTF-8), given to stages that
            read no other fact; None for the others.
        facts: The facts this stage reads, by the name of their stage.
        cut: The part of the content that is meant; None for all of it.
        on_disk: Where the content lies, for an engine to read it before the stage sees the row; None where there is
            none, or it is here.
    """

    id: str
    content: bytes | None = None
    facts: Mapping[str, Fact] = field(default_factory=dict)
    cut: Cut | None = None
    on_disk: OnDisk | None = None

    @property
    def size(self) -> int:
        """Bytes of the content, wherever it is."""
        return self.on_disk.size if self.on_disk else len(self.content or b"")


@dataclass(frozen=True)
class Kept:
    """A large part that was kept where it was made.

    Attributes:
        sha256: Of its bytes, hex.
    """

    sha256: str


@dataclass(frozen=True)
class Value:
    """What a stage learnt about one subject: small data as JSON, large parts as bytes or as kept already."""

    data: Mapping[str, Json]
    blobs: Mapping[str, bytes | Kept] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """Why a stage could not learn its fact; stored like a value.

    Attributes:
        reason: A stable code for programs, such as `truncated`.
        message: The same for people, one sentence.
        retry: True where another run may succeed (a file that could not be opened).
    """

    reason: str
    message: str
    retry: bool = False


Outcome = Value | Failure
Reader = Callable[[Sequence[Row]], Sequence[Outcome]]
"""Learns one fact for each row of a batch: as many outcomes, in the same order."""


class Loads(Protocol):
    """What an engine runs: a stage, or one that more is done for. Equal ones load the same."""

    def __hash__(self) -> int: ...

    def load(self, runtime: Runtime) -> Reader:
        """See `Stage.load`."""


def learn(reader: Reader, rows: Sequence[Row]) -> list[Outcome]:
    """What a reader learns of a batch, contents on disk read before; one that cannot be read costs only its row."""
    loaded: list[Row] = []
    failures: dict[int, Failure] = {}
    for number, row in enumerate(rows):
        if row.on_disk is None:
            loaded.append(row)
            continue
        try:
            loaded.append(replace(row, content=row.on_disk.read(), on_disk=None))
        except Unusable as unusable:
            failures[number] = Failure(unusable.reason, unusable.message, retry=True)
    outcomes = iter(reader(loaded) if loaded else ())
    return [failures[number] if number in failures else next(outcomes) for number in range(len(rows))]


@dataclass(frozen=True)
class Runtime:
    """What a stage needs to run and what must not change a value.

    Attributes:
        device: "cpu" or "cuda".
        model: The model's file or folder, or None for a stage without one.
        labels: The file that names a tagger's outputs; None where the model itself does.
    """

    device: str = "cpu"
    model: Path | None = None
    labels: Path | None = None

    @property
    def needed_model(self) -> Path:
        """The model, for a stage that cannot do without.

        Raises:
            ValueError: The caller gave none.
        """
        if self.model is None:
            raise ValueError("this stage needs a model in its Runtime")
        return self.model


@dataclass(frozen=True)
class Stage(Config, ABC):
    """How to learn one fact about one subject.

    A field is whatever changes the value: a size, a prompt, a dtype, the weights' digest.
    What does not (device, batch size, path) comes in `Runtime`.

    Attributes:
        name: The fact's name, also the stage's ("caption.blip").
        version: Raised whenever the code would give another value for the same fields.
        subject: What the rows are: pictures or texts.
        reads: The names of the facts it needs; () means that it reads the content itself.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    subject: ClassVar[Literal["picture", "text"]] = "picture"
    reads: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def load(self, runtime: Runtime) -> Reader:
        """Load what is needed once, for instance weights, and return the function that does the work."""


def recipe(stage: Stage, reads: Mapping[str, str]) -> dict[str, Json]:
    """Everything a fact's value depends on besides the subject.

    Args:
        stage: The stage with its parameters.
        reads: The key of each fact it reads, by name; exactly the names in `stage.reads`.
    """
    if set(reads) != set(stage.reads):
        raise ValueError(f"{stage.name} reads {stage.reads}, not {tuple(reads)}")
    return {
        "stage": stage.name,
        "version": stage.version,
        "fields": dataclasses.asdict(stage),
        "reads": dict(reads),
    }


def key(stage: Stage, reads: Mapping[str, str]) -> str:
    """The key of a stage's facts: SHA-256 (hex) of its recipe in canonical JSON."""
    text = json.dumps(recipe(stage, reads), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
