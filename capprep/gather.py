"""What a workspace knows, gathered as candidates to select from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capprep.agreement import best_text
from capprep.candidates import Candidate, LeftOut
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
from capprep.sources import Source, Subject
from capprep.stage import Fact, Failure
from capprep.thresholds import Thresholds
from capprep.wording import spoken
from capprep.workspace import Workspace, text_id

Learnt = dict[str, dict[str, Any]]
"""What is known of each subject, as fields of `Candidate`, by its id."""


def candidates(workspace: Workspace, *, looks: bool = False) -> list[Candidate]:
    """Every picture that has a source, or what was cut from it, with its current facts.

    Args:
        workspace: Where.
        looks: With what each looks like, for choosing the best few; it takes memory.
    """
    learnt, failures = _learnt(workspace, looks)
    _choose(workspace, learnt)
    sources: dict[str, list[str]] = {}
    for source in workspace.sources:
        if source.id is not None:
            sources.setdefault(source.id, []).append(shown(workspace, source))
    return [
        Candidate(
            id=_decided(subject),
            number=subject.number,
            part=subject.part,
            sources=tuple(sources[subject.picture]),
            failures=tuple(failures.get(subject.id, ())),
            **learnt.get(subject.id, {}),
        )
        for subject in workspace.sources.subjects()
    ]


def _decided(subject: Subject) -> str:
    """The id by which decisions name it: the picture's, whatever box was cut from it; a part's own."""
    return subject.id if subject.part else subject.picture


def _learnt(workspace: Workspace, looks: bool) -> tuple[Learnt, dict[str, list[tuple[str, str, str]]]]:
    """The fields and the failures of each subject."""
    learnt: Learnt = {}
    failures: dict[str, list[tuple[str, str, str]]] = {}
    for name in (PICTURE, BLIP, BOORU, MATCH_IMAGE, MIRROR):
        for id_, record in workspace.records(name):
            if isinstance(record, Failure):
                failures.setdefault(id_, []).append((name, record.reason, record.message))
            else:
                learnt.setdefault(id_, {}).update(_fields(name, *record, looks))
    return learnt, failures


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
    if workspace.fields(MATCH_TEXT) != workspace.fields(MATCH_IMAGE):
        return {}
    facts = workspace.facts(MATCH_TEXT)
    vectors = {}
    for text in texts:
        fact = facts.get(text_id(text))
        if isinstance(fact, Fact):
            vectors[text] = embedding_from_json(fact.data)
    return vectors


def _fields(name: str, data: dict[str, Any], blobs: dict[str, str], looks: bool) -> Iterator[tuple[str, Any]]:
    """A fact as fields of `Candidate`."""
    if name == PICTURE:
        yield "picture", PictureFact.from_json(data)
        yield "appearance", Appearance.from_json(data, look=looks)
        yield "crop", blobs[CROP]
    elif name == BLIP:
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
        yield "mirrored", blobs[CROP]


def unreadable(workspace: Workspace) -> list[LeftOut]:
    """Files that could not be opened at all."""
    return [
        LeftOut((shown(workspace, source),), "source", source.reason, source.message)
        for source in workspace.sources.unreadable()
    ]


def shown(workspace: Workspace, source: Source) -> str:
    """A file's path for people: relative within the workspace, always valid text; "a.zip!b.png" for a member."""
    return workspace.sources.relative(source.key).replace(b"\0", b"!").decode("utf-8", "backslashreplace")
