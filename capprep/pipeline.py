"""What the commands do: the stages in order, then the selection and what is rendered from it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capprep import dataset
from capprep.config import options
from capprep.engines import Engine
from capprep.errors import DatasetError
from capprep.facts import (
    BLIP,
    BOORU,
    CROP,
    MATCH_IMAGE,
    MATCH_TEXT,
    PICTURE,
    PictureFact,
    embedding_from_json,
    tags_from_json,
)
from capprep.images import files
from capprep.run import Tally, Watch, run, run_sources, unwatched
from capprep.select import Candidate, Judgements, LeftOut, Policy, Selection, judge, select, vocabulary
from capprep.stage import Fact, Failure, Stage
from capprep.workspace import Source, Workspace, text_id

POLICY = "policy"
"""The name under which the workspace remembers the thresholds."""


@dataclass(frozen=True)
class Step:
    """A stage and where it is run.

    Attributes:
        stage: What is learnt.
        engine: Where.
        label: The model and the device, for people ("blip-base on cuda").
    """

    stage: Stage
    engine: Engine
    label: str = ""


@dataclass(frozen=True)
class Refreshed:
    """The selection as it now stands, and what it changed in `dataset/`.

    Attributes:
        selection: The training set and what was left out.
        rendered: What was written.
        adopted: What a person did in `dataset/` since the last time.
    """

    selection: Selection
    rendered: dataset.Rendered
    adopted: dataset.Adopted


def ingest(workspace: Workspace, places: Sequence[Path], step: Step, watch: Watch = unwatched) -> Tally:
    """Read every picture under some places, and those ingested before, that is not known yet.

    Raises:
        DatasetError: A place does not exist, or there is no picture anywhere.
    """
    found = files.scan(places, skip=(workspace.dataset, workspace.runs, workspace.folder))
    # a folder is a source only while it cannot be opened, and then it is found again;
    # os.path, because `Path.is_dir` raises where it may not look
    kept = [s.path for s in workspace.sources() if _may_exist(s.path) and not os.path.isdir(s.path)]  # noqa: PTH112
    paths = sorted({*found, *kept}, key=os.fsencode)
    if not paths and not workspace.pictures():
        raise DatasetError(
            f"there is no picture file in {', '.join(map(str, places))}",
            f"these are looked for: {' '.join(sorted(files.SUFFIXES))}",
        )
    workspace.forget_sources({source.path for source in workspace.sources()} - set(paths))
    return run_sources(workspace, step.stage, step.engine, paths, watch=watch)


def _may_exist(path: Path) -> bool:
    """False if a file is known to be gone; one that cannot be looked at may be back tomorrow."""
    try:
        return path.exists()
    except OSError:
        return True


def caption(workspace: Workspace, steps: Iterable[Step], watch: Watch = unwatched) -> dict[str, Tally]:
    """Bring the facts of some stages up to date, one stage after the other.

    Returns:
        What each stage did, by its name.

    Raises:
        WorkspaceError: Nothing was ingested yet.
    """
    return {step.stage.name: run(workspace, step.stage, step.engine, watch=watch) for step in steps}


def score(
    workspace: Workspace,
    images: Step,
    texts: Step,
    policy: Mapping[str, Any] | None = None,
    watch: Watch = unwatched,
) -> tuple[dict[str, Tally], Refreshed]:
    """Bring the vectors of all pictures and of their words up to date, a person's latest ones too, and refresh.

    Args:
        workspace: Where.
        images: The matcher's stage for pictures.
        texts: Its stage for texts.
        policy: See `refresh`.
        watch: Told of the progress.

    Returns:
        What each stage did, by its name, and what came of it.

    Raises:
        DatasetError: See `refresh`.
        WorkspaceError: Nothing was ingested yet.
    """
    _set_policy(workspace, policy)
    pictures = candidates(workspace)
    first = _adopted(workspace, pictures)
    workspace.set_texts(vocabulary(pictures, workspace.decisions()))
    tallies = caption(workspace, (images, texts), watch)
    refreshed = refresh(workspace)
    # what was saved in the meantime is adopted too, to be scored the next time
    then = refreshed.adopted
    adopted = dataset.Adopted(first.edited + then.edited, first.withdrawn + then.withdrawn)
    return tallies, replace(refreshed, adopted=adopted)


def refresh(workspace: Workspace, policy: Mapping[str, Any] | None = None) -> Refreshed:
    """Select, see to a person's edits in `dataset/`, and render what follows.

    Args:
        workspace: Where.
        policy: Fields of `Policy` that change, remembered from now on.

    Raises:
        DatasetError: What a person left in `dataset/` is no UTF-8 text, or no square picture.
    """
    _set_policy(workspace, policy)
    pictures = candidates(workspace)
    adopted = _adopted(workspace, pictures)
    selection = _selected(workspace, pictures)
    return Refreshed(selection, dataset.render(workspace, selection), adopted)


def _set_policy(workspace: Workspace, policy: Mapping[str, Any] | None) -> None:
    if policy:
        workspace.set_setting(POLICY, {**asdict(current_policy(workspace)), **policy})


def selected(workspace: Workspace) -> Selection:
    """The selection under the policy last used; reads facts and writes nothing."""
    return _selected(workspace, candidates(workspace))


def _adopted(workspace: Workspace, pictures: Sequence[Candidate]) -> dataset.Adopted:
    """See to a person's edits; whose they are does not depend on any verdict."""
    decisions, policy = workspace.decisions(), current_policy(workspace)
    return dataset.adopt(workspace, select(pictures, (), Judgements(), decisions, policy))


def _selected(workspace: Workspace, pictures: Sequence[Candidate]) -> Selection:
    policy, decisions = current_policy(workspace), workspace.decisions()
    vectors = _vectors(workspace, vocabulary(pictures, decisions))
    judgements = judge(pictures, decisions, vectors, policy)
    return select(pictures, unreadable(workspace), judgements, decisions, policy)


def _vectors(workspace: Workspace, texts: Iterable[str]) -> dict[str, NDArray[np.float32]]:
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


def current_policy(workspace: Workspace) -> Policy:
    """The thresholds last used in this workspace."""
    known = {field.name for field, _ in options(Policy)}
    remembered = workspace.setting(POLICY) or {}
    return Policy(**{name: value for name, value in remembered.items() if name in known})


def candidates(workspace: Workspace) -> list[Candidate]:
    """Every picture that has a source, with its current facts."""
    facts = {name: workspace.facts(name) for name in (PICTURE, BLIP, BOORU, MATCH_IMAGE)}
    sources: dict[str, list[str]] = {}
    for source in workspace.sources():
        if source.id is not None:
            sources.setdefault(source.id, []).append(shown(workspace, source))
    return [
        _candidate(number, subject, tuple(sources[subject]), {name: of.get(subject) for name, of in facts.items()})
        for number, subject in workspace.pictures()
    ]


def _candidate(
    number: int, subject: str, sources: tuple[str, ...], facts: dict[str, Fact | Failure | None]
) -> Candidate:
    values = {name: fact for name, fact in facts.items() if isinstance(fact, Fact)}
    failures = tuple((name, fact.reason, fact.message) for name, fact in facts.items() if isinstance(fact, Failure))
    picture, blip, booru, vector = (values.get(name) for name in (PICTURE, BLIP, BOORU, MATCH_IMAGE))
    return Candidate(
        id=subject,
        number=number,
        sources=sources,
        picture=PictureFact.from_json(picture.data) if picture else None,
        crop=picture.blobs[CROP].name if picture else None,
        failures=failures,
        caption=blip.data["caption"] if blip else None,
        tags=tags_from_json(booru.data) if booru else None,
        embedding=embedding_from_json(vector.data) if vector else None,
    )


def unreadable(workspace: Workspace) -> list[LeftOut]:
    """Files that could not be opened at all."""
    return [
        LeftOut((shown(workspace, source),), "source", source.reason, source.message)
        for source in workspace.sources()
        if source.id is None
    ]


def shown(workspace: Workspace, source: Source) -> str:
    """A file's path for people: relative within the workspace, always valid text."""
    path = source.path.relative_to(workspace.root) if source.path.is_relative_to(workspace.root) else source.path
    return os.fsencode(path).decode("utf-8", "backslashreplace")
