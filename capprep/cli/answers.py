"""How answers are worded: counts, lists of what was left out, and the same as data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import click

from capprep import gather
from capprep.agreement import CONTRADICTED, SUPPORTED, Verdict
from capprep.candidates import LeftOut
from capprep.cli.session import Session, printable, shown_path
from capprep.curate import SELECT
from capprep.errors import EXIT_DONE, EXIT_SOME_FAILED
from capprep.pipeline import Refreshed, Step, current_policy
from capprep.run import Tally
from capprep.select import Example, Selection
from capprep.summary import Summary
from capprep.workspace import Workspace

NOTICES = "capprep.notices"
"""Where the context of a call keeps which notices were said."""

WIDEST = 60
"""To how many characters names are filled up, so that one long one does not push all others aside."""

_OF_THE_MODEL = {"weights": "another model", "spec": "another description of the tagger"}
"""What is said of fields whose values tell a person nothing."""

SHOWN = 20
"""How many files are named before the rest is only counted."""


def plural(count: int, noun: str) -> str:
    """A count with its noun: "1 picture", "2 pictures"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def left_out_lines(left_out: Sequence[LeftOut], *, all_of_them: bool = False) -> list[str]:
    """What was left out and why, a line each; beyond `SHOWN` only counted unless all are asked for."""
    if not left_out:
        return []
    shown = left_out if all_of_them else left_out[:SHOWN]
    names = [printable(left.sources[0] if left.sources else "") for left in shown]
    width = min(max(map(len, names)), WIDEST)
    lines = [f"{plural(len(left_out), 'file')} left out:"]
    lines += [
        f"  {name:<{width}}  {left.reason:<12}  {printable(left.message)}"
        for name, left in zip(names, shown, strict=True)
    ]
    if len(left_out) > len(shown):
        lines.append(f"  ... and {len(left_out) - SHOWN} more: capprep status --failed")
    return lines


def curation_lines(refreshed: Refreshed) -> list[str]:
    """What was not chosen, and what a person should look at."""
    summary = refreshed.summary
    lines = []
    reasons: dict[str, list[str]] = {}
    for left in refreshed.selection.left_out:
        if left.stage == SELECT:
            reasons.setdefault(left.reason, []).append(left.name)
    for reason, names in reasons.items():
        lines.append(f"{_not_chosen(reason, len(names))}: {shortened(names)}")
    if reasons:
        lines.append("to have one of them anyway: capprep select --include NAME")
    flawed = [f"{name} ({flaws[0]})" for name, flaws in summary.flaws.items()]
    if flawed:
        lines.append(f"{plural(len(flawed), 'picture')} to look at: {shortened(flawed)}")
    enlarged = [f"{name} {factor:.2f}x" for name, factor in summary.enlarged.items()]
    if enlarged:
        lines.append(f"enlarged, so less sharp than they could be: {shortened(enlarged)}")
    return lines


def _not_chosen(reason: str, count: int) -> str:
    """How many pictures are fine and not in the set, and why."""
    if reason == "duplicate":
        return f"{plural(count, 'duplicate')} left out, the best of each kept"
    said = {"not_chosen": "not among the best", "decided": "left out by you"}.get(reason, f"rejected as {reason}")
    return f"{plural(count, 'picture')} {said}"


def notice_lines(session: Session) -> list[str]:
    """What has to be known of the profile's models before their words are read, in a line.

    Once in a call of the program, however many commands it runs.
    """
    notice, said = session.profile.notice, click.get_current_context().meta.setdefault(NOTICES, set())
    if not notice or notice in said:
        return []
    said.add(notice)
    return [f"note: {notice}"]


def dataset_lines(refreshed: Refreshed) -> list[str]:
    """What is to be said of a person's own files in `dataset/`."""
    adopted, foreign = refreshed.adopted, refreshed.rendered.foreign
    lines = []
    if adopted.edited:
        lines.append(f"edited by hand, kept as they are: {shortened(adopted.edited)}")
    if adopted.withdrawn:
        lines.append(f"edited by hand before and deleted, so written anew: {shortened(adopted.withdrawn)}")
    if foreign:
        lines.append(f"not made by capprep, but any trainer would use them: {shortened(foreign)}")
    return lines


def artefact_lines(summary: Summary) -> list[str]:
    """Captions that have something wrong by their words alone, and what."""
    wrong = [f"{name} ({found[0].message})" for name, found in summary.artefacts.items()]
    return [f"{plural(len(wrong), 'caption')} to look at: {shortened(wrong)}"] if wrong else []


def beside_lines(workspace: Workspace) -> list[str]:
    """What is to be said of the texts beside source pictures."""
    used, count = current_policy(workspace).existing, workspace.sources.with_text()
    lines = []
    if count:
        whose = f"{plural(count, 'picture')} {'has' if count == 1 else 'have'} a text beside the file"
        how = "not used; to use it: capprep caption --existing keep (or prepend, append)"
        lines.append(f"{whose}, {how if used == 'ignore' else f'used as --existing {used} says'}")
    broken = [f"{file} ({message})" for file, message in gather.unusable_texts(workspace)]
    if broken:
        lines.append(f"{plural(len(broken), 'text')} beside pictures cannot be used: {shortened(broken)}")
    return lines


def beside_data(workspace: Workspace) -> dict[str, Any]:
    """The same as JSON data."""
    return {
        "pictures": workspace.sources.with_text(),
        "existing": current_policy(workspace).existing,
        "unusable": [{"file": file, "message": message} for file, message in gather.unusable_texts(workspace)],
    }


def unmatched_lines(selection: Selection) -> list[str]:
    """The rules that were about no tag at all, option by option: mistyped, or not needed."""
    rules: dict[str, list[str]] = {}
    for rule in selection.find_unmatched():
        rules.setdefault(rule.option, []).append(rule.text)
    return [
        f"--{option.replace('_', '-')}: no picture has a tag for {shortened(texts)}" for option, texts in rules.items()
    ]


def shortened(names: Sequence[str]) -> str:
    """Names one after the other; beyond `SHOWN` only counted."""
    more = f", and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(printable, names[:SHOWN])) + more


def verdict_counts(summary: Summary) -> dict[str, Any]:
    """How many written tags, and under "captions" how many captions, the pictures support, contradict, or neither."""
    judged = sum(verdict is not None for verdict in summary.tags.values())
    return {"tags": judged, **_counts(summary.tags.values()), "captions": _counts(summary.captions)}


def _counts(verdicts: Iterable[Verdict | None]) -> dict[str, int]:
    states = [verdict.state for verdict in verdicts if verdict is not None]
    supported, contradicted = states.count(SUPPORTED), states.count(CONTRADICTED)
    rest = len(states) - supported - contradicted
    return {"supported": supported, "contradicted": contradicted, "not_enough_evidence": rest}


def _counts_line(noun: str, counts: Mapping[str, int]) -> str:
    supported, contradicted, rest = (counts[name] for name in ("supported", "contradicted", "not_enough_evidence"))
    return (
        f"{plural(supported + contradicted + rest, noun)} written: {supported} fit their pictures,"
        f" {contradicted} do not, {rest} cannot be told from this set"
    )


def _by_hand(example: Example) -> dict[str, Any]:
    """A person's text with the verdicts on what it says, as JSON data."""
    return {
        "name": example.name,
        "text": example.text,
        "caption": example.caption,
        "verdict": example.caption_verdict and asdict(example.caption_verdict),
        "tags": [
            {"text": tag.text, "verdict": tag.verdict and asdict(tag.verdict)} for tag in example.tags if tag.kept
        ],
    }


def selection_data(refreshed: Refreshed) -> dict[str, Any]:
    """The selection as JSON data."""
    selection, summary = refreshed.selection, refreshed.summary
    return {
        "pictures": summary.pictures,
        "left_out": [left.to_json() for left in selection.left_out],
        "texts": summary.texts,
        "edited_by_hand": list(refreshed.adopted.edited),
        "written_by_hand": [_by_hand(example) for example in summary.by_hand],
        "duplicates": [asdict(group) for group in selection.groups],
        "flaws": summary.flaws,
        "chosen": summary.chosen,
        "dataset": asdict(refreshed.rendered),
    }


def note_changes(session: Session, workspace: Workspace, steps: Sequence[Step]) -> None:
    """Say which settings differ from those the facts at hand were made with, since all is made again with them."""
    for step in steps:
        before, now = workspace.fields(step.stage.name), asdict(step.stage)
        changes = [
            _OF_THE_MODEL.get(name, f"{name} {before[name]} before, {now[name]} now")
            for name in now
            if name in before and before[name] != now[name]
        ]
        if changes:
            session.note(f"{step.stage.name}: {', '.join(changes)}; what was made so before is kept")


def work_line(step: Step, tally: Tally) -> str:
    """What a stage did, where, and how fast."""
    if not tally.computed:
        return f"  {step.stage.name:<13} nothing to compute, {tally.known} known"
    rate = f"{tally.computed / tally.seconds:.1f}/s" if tally.seconds else ""
    known = f", {tally.known} known before" if tally.known else ""
    return f"  {step.stage.name:<13} {tally.computed} by {step.label}, {rate}{known}"


def answer_words(
    session: Session, workspace: Workspace, steps: Sequence[Step], tallies: Mapping[str, Tally], refreshed: Refreshed
) -> None:
    """Say what captioning or scoring came to, and end with the right status."""
    selection, summary = refreshed.selection, refreshed.summary
    counts = verdict_counts(summary)
    stages = {step.stage.name for step in steps}
    lost = [left for left in selection.left_out if left.stage in stages or left.reason == "not_read"]
    pictures = plural(summary.pictures, "picture")
    lines = [
        *notice_lines(session),
        f"{plural(summary.texts, 'text')} for {pictures} in {shown_path(workspace.dataset)}/",
    ]
    lines += [work_line(step, tallies[step.stage.name]) for step in steps]
    lines += [_counts_line("caption", counts["captions"])] if any(counts["captions"].values()) else []
    lines.append(_counts_line("tag", counts))
    lines += beside_lines(workspace)
    lines += dataset_lines(refreshed)
    lines += artefact_lines(summary)
    lines += unmatched_lines(selection)
    lines += left_out_lines(lost)
    lines.append("next: capprep review report.html")
    work = {
        step.stage.name: {"computed": tally.computed, "known": tally.known, "model": step.label}
        for step, tally in ((step, tallies[step.stage.name]) for step in steps)
    }
    texts = {
        "artefacts": {name: [artefact.code for artefact in found] for name, found in summary.artefacts.items()},
        "remarks": summary.remarks,
        "unmatched_rules": [asdict(rule) for rule in selection.find_unmatched()],
        "notice": session.profile.notice,
    }
    session.answer("\n".join(lines), {**selection_data(refreshed), "stages": work, "verdicts": counts, **texts})
    click.get_current_context().exit(EXIT_SOME_FAILED if lost else EXIT_DONE)
