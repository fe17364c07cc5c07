"""What the commands do: the stages in order, then the selection and what is rendered from it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from capprep import dataset, gather
from capprep.beside import remember_texts
from capprep.candidates import BOX, PIXELS, Candidate, Policy, mirror_id
from capprep.config import options
from capprep.curate import Decisions, curate
from capprep.decisions import Decision, resolve
from capprep.engines import Engine
from capprep.errors import DatasetError, ModelMissing, WorkspaceError
from capprep.facts import MATCH_IMAGE, PICTURE
from capprep.filewords import Vocabulary, compose
from capprep.filewords import Words as Said
from capprep.filewords.chunks import Encode
from capprep.gather import Candidates
from capprep.images import archives
from capprep.images.crop import split
from capprep.images.entries import SUFFIXES, Entry
from capprep.images.entries import split as split_key
from capprep.images.files import revisit, scan
from capprep.images.texts import with_texts
from capprep.models import clip_tokens
from capprep.portions import portions
from capprep.run import Tally, Watch, run, run_cuts, run_sources, unwatched
from capprep.select import MIRRORED, Judgements, Selection, judge, painted, select, with_mirrors
from capprep.stage import Cut, Failure, Stage, key
from capprep.stages.mirror import Mirror, flipped
from capprep.stages.picture import Picture
from capprep.summary import Summary
from capprep.wording import Wordings, needs_words, vocabulary
from capprep.workspace import Workspace

_AT_ONCE = 500
"""Files of an earlier ingest looked at before they are noted."""

SETTING = "policy"
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
        summary: What there is to say of the set.
        rendered: What was written.
        adopted: What a person did in `dataset/` since the last time.
    """

    selection: Selection
    summary: Summary
    rendered: dataset.Rendered
    adopted: dataset.Adopted


def ingest(
    workspace: Workspace,
    places: Sequence[Path],
    step: Step,
    watch: Watch = unwatched,
    *,
    recursive: bool = True,
    policy: Mapping[str, Any] | None = None,
) -> Tally:
    """Read every picture under some places, and those ingested before, that is not known yet.

    Args:
        workspace: Where.
        places: Folders, archives and files.
        step: The stage that makes squares.
        watch: Told of the progress.
        recursive: Look into folders in folders.
        policy: Fields of `Policy` that change, remembered from now on.

    Raises:
        DatasetError: A place does not exist, or there is no picture anywhere.
    """
    skip = (workspace.dataset, workspace.runs, workspace.folder)
    sources = workspace.sources
    sources.begin_search()
    for some in portions(with_texts(scan(places, skip=skip, recursive=recursive)), _AT_ONCE):
        sources.find(some)
    for some in portions(with_texts(_elsewhere(sources.absent())), _AT_ONCE):
        sources.find(some)
    if not sources.found() and not sources.any():
        raise DatasetError(
            f"there is no picture file in {', '.join(map(str, places))}",
            f"these are looked for: {' '.join(sorted(SUFFIXES))}, and archives: {' '.join(archives.SUFFIXES)}",
        )
    for gone in portions(sources.absent(), _AT_ONCE):
        sources.forget(gone)
    _remember(workspace, policy)
    remember_texts(workspace)
    tally = run_sources(workspace, step.stage, step.engine, watch=watch)
    again = _recut(workspace, step, watch)
    tally.computed += again.computed
    tally.failed += again.failed
    return tally


def _elsewhere(keys: Iterable[bytes]) -> Iterator[Entry]:
    """What was ingested before from elsewhere, as it is now."""
    last = ""
    for path in (split_key(each)[0] for each in keys):
        # all of an archive lies at one path
        if path != last:
            yield from revisit(path)
        last = path


def recut(workspace: Workspace, engine: Engine, watch: Watch = unwatched) -> Tally:
    """Cut what decisions ask for, with the settings of the last ingest.

    Raises:
        WorkspaceError: Another version of the program made the squares.
    """
    fields = workspace.fields(PICTURE)
    if not fields:
        return Tally()
    known = {field.name for field in dataclasses.fields(Picture)}
    stage = Picture(**{name: value for name, value in fields.items() if name in known})
    if key(stage, {}) != workspace.current(PICTURE):
        raise WorkspaceError(
            "the squares here were made by another version of capprep",
            "run `capprep ingest FOLDER` again; it cuts what was decided as well",
        )
    return _recut(workspace, Step(stage, engine), watch)


def _recut(workspace: Workspace, step: Step, watch: Watch) -> Tally:
    """Cut again what a person gave a box for, and panoramas where they are split; mirror what is to be mirrored."""
    policy, decisions = current_policy(workspace), workspace.decisions()
    boxes = {id_: payload for (id_, kind), payload in decisions.items() if kind == BOX}
    pictures = workspace.sources.pictures() if policy.split or boxes else set()
    cuts: dict[str, list[Cut]] = {}
    if policy.split:
        for id_, record in workspace.records(PICTURE):
            if id_ in pictures and not isinstance(record, Failure):
                parts = split((record[0]["width"], record[0]["height"]))
                cuts |= {id_: [Cut(box, part) for part, box in enumerate(parts, start=1)]} if parts else {}
    for id_, payload in boxes.items():
        if id_ in pictures:
            left, top, right, bottom = json.loads(payload)
            cuts[id_] = [Cut((left, top, right, bottom))]
    workspace.sources.set_cuts(cuts)
    tally = run_cuts(workspace, step.stage, step.engine, watch=watch) if cuts else Tally()
    # in a rehearsal there are no squares to mirror
    if policy.mirror and not workspace.rehearsal:
        run(workspace, Mirror(), step.engine, watch=watch)
    return tally


def caption(
    workspace: Workspace, steps: Iterable[Step], watch: Watch = unwatched, policy: Policy | None = None
) -> dict[str, Tally]:
    """Bring the facts of some stages up to date, one stage after the other, for the pictures of the set.

    Args:
        workspace: Where.
        steps: The stages.
        watch: Told of the progress.
        policy: How texts are going to be written, if not as they were: a picture whose text is kept needs no words.

    Returns:
        What each stage did, by its name.

    Raises:
        WorkspaceError: Nothing was ingested yet.
    """
    policy = policy or current_policy(workspace)
    chosen = _kept(workspace, _candidates(workspace))
    if policy.existing == "keep":
        chosen = chosen.some(np.flatnonzero([needs_words(each, policy) for each in chosen]))
    return _caption(workspace, steps, chosen, watch)


def _caption(workspace: Workspace, steps: Iterable[Step], chosen: Candidates, watch: Watch) -> dict[str, Tally]:
    """See `caption`; words for what is not in the set would be for nothing."""
    subjects = chosen.subjects()
    return {
        step.stage.name: run(
            workspace,
            step.stage,
            step.engine,
            only=subjects if step.stage.subject == "picture" else None,
            watch=watch,
        )
        for step in steps
    }


def _candidates(workspace: Workspace) -> Candidates:
    return Candidates(workspace, looks=bool(current_policy(workspace).keep))


def _kept(workspace: Workspace, pictures: Candidates) -> Candidates:
    """Those of the candidates that are in the set."""
    return pictures.some(curate(pictures, workspace.decisions(), current_policy(workspace)).places)


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
    _remember(workspace, policy)
    pictures = _candidates(workspace)
    first = _adopted(workspace, pictures)
    current, decisions, chosen = current_policy(workspace), workspace.decisions(), _kept(workspace, pictures)
    workspace.set_texts(vocabulary(chosen, decisions, Wordings(current, _encode(current))))
    tallies = _caption(workspace, (images, texts), chosen, watch)
    refreshed = refresh(workspace, count=True)
    # what was saved in the meantime is adopted too, to be scored the next time
    then = refreshed.adopted
    adopted = dataset.Adopted(first.edited + then.edited, first.withdrawn + then.withdrawn)
    return tallies, replace(refreshed, adopted=adopted)


def refresh(workspace: Workspace, policy: Mapping[str, Any] | None = None, *, count: bool = False) -> Refreshed:
    """Select, see to a person's edits in `dataset/`, and render what follows.

    Args:
        workspace: Where.
        policy: Fields of `Policy` that change, remembered from now on.
        count: Say what lies behind the first tokens of a text, too; the tokenizer takes half a second to read.

    Raises:
        DatasetError: What a person left in `dataset/` is no UTF-8 text, or no square picture.
    """
    _remember(workspace, policy)
    pictures = _candidates(workspace)
    adopted = _adopted(workspace, pictures)
    selection, summary = _selected(workspace, pictures, count=count), Summary()
    rendered = dataset.render(workspace, with_mirrors(summary.noting(selection.examples)))
    return Refreshed(selection, summary, rendered, adopted)


def decide(workspace: Workspace, decisions: Sequence[Decision]) -> list[str]:
    """Keep a person's decisions, all of them or none.

    Returns:
        The names of pictures whose new crop will not be seen, since their squares were painted over.

    Raises:
        DatasetError: A picture is not there, or named as several are.
    """
    if not decisions:
        return []
    pictures = Candidates(workspace)
    resolved = resolve(decisions, pictures)
    workspace.decide_all(resolved)
    cut, before = {id_ for id_, kind, _ in resolved if kind == BOX}, workspace.decisions()
    return [each.name for each in pictures if each.id in cut and (each.id, PIXELS) in before]


def foresee(workspace: Workspace) -> Refreshed:
    """What `refresh` would come to; a person's edits are not looked at, and nothing is written."""
    dataset.look(workspace)
    # the squares are not there to be mirrored
    selection, summary = (
        _selected(workspace, _candidates(workspace), mirrored=lambda each: each.mirrored or each.crop),
        Summary(),
    )
    rendered = dataset.foresee(workspace, with_mirrors(summary.noting(selection.examples)))
    return Refreshed(selection, summary, rendered, dataset.Adopted())


def changed_policy(workspace: Workspace, changes: Mapping[str, Any]) -> Policy:
    """The policy last used, with some fields changed; nothing is remembered.

    Raises:
        ConfigError: Together they are not possible.
    """
    policy = Policy(**{**asdict(current_policy(workspace)), **changes})
    # the trigger has to fit into the budget, whatever the words are
    compose(Said(), Vocabulary.of(policy), _encode(policy))
    return policy


def _remember(workspace: Workspace, changes: Mapping[str, Any] | None) -> None:
    if changes:
        workspace.set_setting(SETTING, asdict(changed_policy(workspace, changes)))


def _encode(policy: Policy, *, count: bool = False) -> Encode | None:
    """The tokenizer for a budget, or for counting where it is there."""
    if not (policy.budget or count):
        return None
    try:
        return clip_tokens.encoder()
    except ModelMissing:
        if policy.budget:
            raise
        return None


def selected(workspace: Workspace) -> Selection:
    """The selection under the policy last used, held in memory; reads facts and writes nothing."""
    return _selected(workspace, _candidates(workspace)).held()


def _adopted(workspace: Workspace, pictures: Candidates) -> dataset.Adopted:
    """See to a person's edits; whose they are does not depend on any verdict."""

    def named(stem: str) -> str | None:
        if not names:
            names.update({candidate.name: candidate.id for candidate in pictures})
        copied = stem.removesuffix(MIRRORED)
        return names.get(stem) or (mirror_id(names[copied]) if copied in names else None)

    names: dict[str, str] = {}
    return dataset.adopt(workspace, named)


def _selected(
    workspace: Workspace,
    pictures: Candidates,
    *,
    count: bool = False,
    mirrored: Callable[[Candidate], str | None] | None = None,
) -> Selection:
    policy, decisions = current_policy(workspace), workspace.decisions()
    curation = curate(pictures, decisions, policy)
    chosen = pictures.some(curation.places)
    wordings = Wordings(policy, _encode(policy, count=count))
    judgements = Judgements()
    if workspace.current(MATCH_IMAGE) is not None:
        vectors = gather.text_vectors(workspace, vocabulary(chosen, decisions, wordings))
        judgements = judge(chosen, decisions, vectors, wordings)
    mirrored = mirrored or partial(_mirrored, workspace, decisions)
    return select(chosen, curation, gather.unreadable(workspace), judgements, decisions, wordings, mirrored)


def _mirrored(workspace: Workspace, decisions: Decisions, candidate: Candidate) -> str | None:
    """The digest of a picture's mirrored square, as it looks now where a person changed the square."""
    own = candidate.picture and painted(decisions.get((candidate.id, PIXELS)), candidate.picture.size)
    if not own or candidate.picture is None:
        return candidate.mirrored
    return workspace.blobs.add(flipped(workspace.blobs.path(own[0]), candidate.picture.format_out))


def current_policy(workspace: Workspace) -> Policy:
    """The thresholds last used in this workspace."""
    known = {field.name for field, _ in options(Policy)}
    remembered = workspace.setting(SETTING) or {}
    return Policy(**{name: value for name, value in remembered.items() if name in known})
