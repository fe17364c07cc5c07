"""What a workspace knows, gathered as candidates to select from."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

import msgspec
import numpy as np
from numpy.typing import NDArray

from capprep.agreement import best_text
from capprep.candidates import Beside, Candidate, LeftOut
from capprep.facts import (
    BLIP,
    BOORU,
    CROP,
    MATCH_IMAGE,
    MATCH_TEXT,
    MIRROR,
    PICTURE,
    Appearance,
    PictureFact,
    embedding_from_json,
    sentences_from_json,
    tags_from_json,
)
from capprep.portions import portions
from capprep.sources import Source, Subject
from capprep.stage import Failure
from capprep.thresholds import Thresholds
from capprep.wording import spoken
from capprep.workspace import Workspace, text_id

PAGE = 500
"""Pictures read at once."""

FEW = 50
"""Pictures read at once where single ones are asked for."""

Learnt = dict[str, dict[str, Any]]
"""What is known of each subject, as fields of `Candidate`, by its id."""

_STAGES = (PICTURE, BLIP, BOORU, MATCH_IMAGE, MIRROR)


_SUBJECT = np.dtype([("id", "V32"), ("picture", "V32"), ("number", np.int64), ("part", np.int32)])
"""A `Subject` in an array: of thousands it takes a fifth of the memory."""

_DIGESTS = msgspec.json.Decoder(dict[str, str])


class Candidates(Sequence[Candidate]):
    """Every picture that has a source, or what was cut from it, with its current facts, in order of number.

    They are read from the workspace whenever they are asked for, a page at a time: of any number of pictures no more
    are in memory.
    """

    def __init__(self, workspace: Workspace, *, looks: bool = False) -> None:
        """See what there is.

        Args:
            workspace: Where.
            looks: With what each looks like, for choosing the best few.
        """
        self._workspace = workspace
        self._looks: bool | None = looks
        self._keys = {name: key for name in _STAGES if (key := workspace.current(name)) is not None}
        self._subject_N = np.fromiter(map(_row, workspace.sources.subjects()), _SUBJECT)
        self._page: tuple[int, list[Candidate]] = (-1, [])

    def some(self, places: NDArray[np.integer]) -> Candidates:
        """Those at some places, in order of place, without what they are compared with others by."""
        fewer = copy.copy(self)
        fewer._looks = None
        # of all of them no copy is made
        fewer._subject_N = self._subject_N if len(places) == len(self) else self._subject_N[places]
        fewer._page = (-1, [])
        return fewer

    def subjects(self) -> set[str]:
        """The ids by which facts name them."""
        return set(map(bytes.hex, self._subject_N["id"].tolist()))

    def __len__(self) -> int:
        return len(self._subject_N)

    def __iter__(self) -> Iterator[Candidate]:
        for start in range(0, len(self), PAGE):
            yield from self._read(start, start + PAGE)

    @overload
    def __getitem__(self, place: int) -> Candidate: ...

    @overload
    def __getitem__(self, place: slice) -> list[Candidate]: ...

    def __getitem__(self, place: int | slice) -> Candidate | list[Candidate]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        number, within = divmod(place % len(self), FEW)
        if self._page[0] != number:
            self._page = number, self._read(number * FEW, (number + 1) * FEW)
        return self._page[1][within]

    def _read(self, start: int, stop: int) -> list[Candidate]:
        rows = self._subject_N[start:stop].tolist()
        subjects = [Subject(id_.hex(), picture.hex(), number, part) for id_, picture, number, part in rows]
        paths = self._workspace.sources.paths(dict.fromkeys(each.picture for each in subjects))
        texts = beside(self._workspace, paths)
        learnt, failures = self._learnt([each.id for each in subjects])
        return [
            Candidate(
                id=_decided(each),
                number=each.number,
                part=each.part,
                sources=tuple(map(_shown, paths[each.picture])),
                failures=tuple(failures.get(each.id, ())),
                beside=texts.get(each.picture),
                **learnt.get(each.id, {}),
            )
            for each in subjects
        ]

    def _learnt(self, ids: Sequence[str]) -> tuple[Learnt, dict[str, list[tuple[str, str, str]]]]:
        """What is known of some subjects, as fields of `Candidate`, and what failed."""
        learnt: Learnt = {}
        failures: dict[str, list[tuple[str, str, str]]] = {}
        for name, key in self._keys.items():
            for id_, record in self._workspace.stored(key, ids).items():
                if isinstance(record, Failure):
                    failures.setdefault(id_, []).append((name, record.reason, record.message))
                else:
                    learnt.setdefault(id_, {}).update(_fields(name, *record, self._looks))
        _choose(self._workspace, learnt)
        return learnt, failures


def _row(subject: Subject) -> tuple[bytes, bytes, int, int]:
    return bytes.fromhex(subject.id), bytes.fromhex(subject.picture), subject.number, subject.part


def _decided(subject: Subject) -> str:
    """The id by which decisions name it: the picture's, whatever box was cut from it; a part's own."""
    return subject.id if subject.part else subject.picture


def _choose(workspace: Workspace, learnt: Learnt) -> None:
    """Of several sentences make the one that fits its picture best the caption, once the matcher knows them all."""
    several = [known for known in learnt.values() if known.get("sentences") and "embedding" in known]
    texts = {text for known in several for text in map(spoken, known["sentences"]) if text}
    vectors = text_vectors(workspace, texts) if texts else {}
    for known in several:
        # one without words fits nothing
        said = [(sentence, spoken(sentence)) for sentence in known["sentences"] if spoken(sentence)]
        if said and all(text in vectors for _, text in said):
            place = best_text(known["embedding"], np.stack([vectors[text] for _, text in said]))
            best, first = said[place][0], known["sentences"][0]
            others = "" if best is first else f', the captioner itself would say "{spoken(first)}"'
            why = f"best of {len(known['sentences'])} by agreement{others}"
            known.update(caption=best.text, ended=best.ended, choice=why)


def text_vectors(workspace: Workspace, texts: Iterable[str]) -> dict[str, NDArray[np.float32]]:
    """The vector of each text that is known, made by the same matcher as the pictures' own.

    Of these texts only: verdicts must not depend on texts that were there once.
    """
    key = workspace.current(MATCH_TEXT)
    if key is None or workspace.fields(MATCH_TEXT) != workspace.fields(MATCH_IMAGE):
        return {}
    vectors = {}
    for some in portions(texts, PAGE):
        stored = workspace.stored(key, [text_id(text) for text in some])
        for text in some:
            record = stored.get(text_id(text))
            if isinstance(record, tuple):
                vectors[text] = embedding_from_json(json.loads(record[0]))
    return vectors


def _fields(name: str, text: str, blobs: str, looks: bool | None) -> Iterator[tuple[str, Any]]:
    """A fact as it is stored, as fields of `Candidate`."""
    if name == PICTURE:
        yield "picture", PictureFact.stored(text)
        yield "crop", _crop(blobs)
        if looks is not None:
            yield "appearance", Appearance.stored(text, look=looks)
        return
    data = json.loads(text)
    if name == BLIP:
        first, *others = sentences_from_json(data)
        yield "caption", first.text
        yield "ended", first.ended
        if others:
            yield "sentences", (first, *others)
    elif name == BOORU:
        yield "tags", tags_from_json(data)
        # facts of an earlier version have neither
        yield "thresholds", Thresholds.from_json(data.get("thresholds", {}))
        yield "beneath", data.get("beneath", {})
    elif name == MATCH_IMAGE:
        yield "embedding", embedding_from_json(data)
    else:
        yield "mirrored", _crop(blobs)


def _crop(blobs: str) -> str:
    return _DIGESTS.decode(blobs)[CROP]


def unreadable(workspace: Workspace) -> list[LeftOut]:
    """Files that could not be opened at all."""
    return [
        LeftOut((shown(workspace, source),), "source", source.reason, source.message)
        for source in workspace.sources.unreadable()
    ]


def beside(workspace: Workspace, pictures: Iterable[str]) -> dict[str, Beside]:
    """The text beside each of some pictures that has one, by the picture's id.

    Of several files of one picture the first whose text says something counts, in the order of their paths.
    """
    found: dict[str, Beside] = {}
    ids = list(pictures)
    for start in range(0, len(ids), PAGE):
        for id_, text in workspace.sources.texts(ids[start : start + PAGE]):
            if id_ not in found or (text.content and not found[id_].text):
                found[id_] = Beside(_shown(workspace.sources.relative(text.file)), text.content or "", text.message)
    return found


def unusable_texts(workspace: Workspace) -> list[tuple[str, str]]:
    """The texts beside pictures that cannot be used, each as people are shown it, and why."""
    return [(_shown(file), message) for file, message in workspace.sources.unusable_texts()]


def shown(workspace: Workspace, source: Source) -> str:
    """A file's path for people: relative within the workspace, always valid text; "a.zip!b.png" for a member."""
    return _shown(workspace.sources.relative(source.key))


def _shown(stored: bytes) -> str:
    return stored.replace(b"\0", b"!").decode("utf-8", "backslashreplace")
