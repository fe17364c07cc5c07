"""A selection as the rows that the report shows: the standing of each picture, a row for each tag, the set in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from capprep.agreement import CONTRADICTED, SUPPORTED, UNKNOWN, WEAK, Verdict
from capprep.candidates import LeftOut
from capprep.curate import SELECT
from capprep.facts import PICTURE
from capprep.select import Example, Selection, TagChoice

UNSCORED = "unscored"
"""The standing of a text that was never compared with its pictures."""

STANDINGS = (CONTRADICTED, UNKNOWN, SUPPORTED, UNSCORED)
"""Worst first."""

_IN_WORDS = {
    SUPPORTED: "supported",
    CONTRADICTED: "contradicted",
    UNKNOWN: "with not enough evidence",
    UNSCORED: "not scored",
}

_NOT_CHOSEN = {
    "duplicate": ("duplicate", "duplicates"),
    "not_chosen": ("not among the best", "not among the best"),
    "decided": ("by your decision", "by your decision"),
}
"""What is said of pictures that are fine and not in the set, by reason, of one and of more."""


@dataclass(frozen=True)
class TagRow:
    """One tag over the whole set.

    Attributes:
        name: The tagger's spelling.
        text: As written in the text files.
        category: The tagger's.
        verdict: Agreement's, or None where not scored.
        kept: How many pictures have it in their text.
        dropped: How many pictures had it left out.
        probability: The tagger's mean over the pictures that keep it; over those it was left out of where none
            does; None where it gave it to no picture.
    """

    name: str
    text: str
    category: str
    verdict: Verdict | None
    kept: int
    dropped: int
    probability: float | None


TagKey = tuple[str, str, str, Verdict | None]


def key_of(tag: TagChoice | TagRow) -> TagKey:
    """What makes two pictures' tags the same row."""
    return tag.name, tag.text, tag.category, tag.verdict


def tag_rows(selection: Selection) -> tuple[TagRow, ...]:
    """A row for each tag of the set, the one on most pictures first."""
    kept: dict[TagKey, list[float | None]] = {}
    dropped: dict[TagKey, list[float | None]] = {}
    for tag in (tag for example in selection.examples for tag in example.tags):
        (kept if tag.kept else dropped).setdefault(key_of(tag), []).append(tag.probability)
    rows = []
    for key in kept | dropped:
        inside, outside = kept.get(key, []), dropped.get(key, [])
        counted = [p for p in inside if p is not None] or [p for p in outside if p is not None]
        rows.append(TagRow(*key, len(inside), len(outside), sum(counted) / len(counted) if counted else None))
    return tuple(sorted(rows, key=lambda row: (-row.kept, -row.dropped, row.text, row.name)))


def state_of(verdict: Verdict | None) -> str:
    """A verdict's state, `unscored` if there is none."""
    return UNSCORED if verdict is None else verdict.state


def standing(example: Example) -> str:
    """One word for a picture's whole text, from its caption and the tags it keeps.

    Contradicted if any of them is; else unknown if the caption is weak; else supported if any of them is; else
    unknown if any was scored.
    """
    states = {state_of(example.caption_verdict), *(state_of(tag.verdict) for tag in example.tags if tag.kept)}
    if CONTRADICTED not in states and _weak(example.caption_verdict):
        return UNKNOWN
    return next(state for state in (CONTRADICTED, SUPPORTED, UNKNOWN, UNSCORED) if state in states)


def doubts(example: Example) -> list[str]:
    """Why a picture's words should be looked at: the caption is contradicted or weak, or tags are contradicted."""
    caption = example.caption_verdict
    reasons = [caption.reason] if caption and (caption.state == CONTRADICTED or _weak(caption)) else []
    tags = ((tag.text, tag.verdict) for tag in example.tags if tag.kept)
    return reasons + [
        f'"{text}" {verdict.reason}' for text, verdict in tags if verdict and state_of(verdict) == CONTRADICTED
    ]


def worst_first(examples: Sequence[Example]) -> list[int]:
    """The places of the pictures in the queue of what to look at first.

    A contradicted caption weighs most, then a weak one, the more the more other pictures fit it better. Then
    come the number of contradicted tags, a picture that was enlarged, and how well the caption fits. Equals stay
    in order of arrival.
    """

    def trouble(example: Example) -> tuple[bool, float, int, bool, float]:
        contradicted = sum(tag.kept and state_of(tag.verdict) == CONTRADICTED for tag in example.tags)
        caption = example.caption_verdict
        fit = 0.5 if caption is None or caption.auc is None else caption.auc
        weakness = fit - 1 if _weak(caption) else 0.0
        return state_of(caption) != CONTRADICTED, weakness, -contradicted, example.picture.scale >= 1, fit

    return sorted(range(len(examples)), key=lambda place: trouble(examples[place]))


def _weak(verdict: Verdict | None) -> bool:
    """True if a text was compared and stands out in its picture neither way."""
    return verdict is not None and verdict.kind == WEAK


def tally(states: Iterable[str]) -> dict[str, int]:
    """How many of each standing, worst first, every standing named."""
    counted = Counter(states)
    return {state: counted[state] for state in STANDINGS}


def overview(selection: Selection) -> list[str]:
    """The set in a few sentences; commands to run stand in backticks."""
    examples = selection.examples
    if not examples:
        left = f", and {_left_out(selection)}" if selection.left_out else ""
        return [f"No pictures yet{left}. Run `capprep ingest FOLDER` to bring some in."]
    sentences = [f"{_count(len(examples), 'picture')} in the set{_mirrored(examples)}, {_left_out(selection)}."]
    captions = [state_of(example.caption_verdict) for example in examples if example.caption is not None]
    tags = [state_of(row.verdict) for row in tag_rows(selection) if row.kept]
    if not captions and not any(example.tags for example in examples):
        sentences.append("No captions and no tags yet. Run `capprep caption --blip --booru` to make them.")
    else:
        sentences.append(f"{_count(len(captions), 'caption')}{_split(captions)}.")
        sentences.append(f"{_count(len(tags), 'tag')} in the texts{_split(tags)}.")
    return sentences + _remarks(selection)


def left_out_counts(left_out: Sequence[LeftOut]) -> list[str]:
    """What was left out and why, as counts: "7 duplicates", "2 rejected as blurred"; the most first.

    A picture that a model failed on is in the set all the same.
    """
    counts = Counter(map(_why, left_out))
    return [
        f"{number:,} {one if number == 1 else more}"
        for (one, more), number in sorted(counts.items(), key=lambda item: -item[1])
    ]


def _why(item: LeftOut) -> tuple[str, str]:
    """The reason as the words after a count, of one and of more."""
    if item.stage == SELECT:
        rejected = f"rejected as {item.reason}"
        return _NOT_CHOSEN.get(item.reason, (rejected, rejected))
    if item.reason == "too_small":
        return "too small", "too small"
    if item.stage in (PICTURE, "source"):
        return "that could not be used", "that could not be used"
    return f"without {item.stage}", f"without {item.stage}"


def _left_out(selection: Selection) -> str:
    """Such as "3 left out: 2 duplicates, 1 too small"."""
    if not selection.left_out:
        return "nothing left out"
    return f"{len(selection.left_out):,} left out: {', '.join(left_out_counts(selection.left_out))}"


def _mirrored(examples: Sequence[Example]) -> str:
    copies = sum(example.mirror is not None for example in examples)
    if not copies:
        return ""
    return f", {'each' if copies == len(examples) else f'{copies:,} of them'} with a mirrored copy"


def _remarks(selection: Selection) -> list[str]:
    examples = selection.examples
    flawed = sum(bool(example.flaws) for example in examples)
    inside = {example.id for example in examples}
    alike = sum(sum(member.id in inside for member in group.members) > 1 for group in selection.groups)
    enlarged = sum(example.picture.scale < 1 for example in examples)
    texts = sum(example.edited for example in examples)
    pixels = sum(example.pixels_edited for example in examples)
    remarks = []
    if flawed:
        remarks.append(f"{_count(flawed, 'picture')} to look at.")
    if alike:
        remarks.append(f"{_count(alike, 'group')} of pictures in it show{'s' if alike == 1 else ''} the same.")
    if enlarged:
        remarks.append(f"{_count(enlarged, 'picture')} had to be enlarged, which blurs.")
    if texts or pixels:
        edited = [_count(n, thing) for n, thing in ((texts, "text"), (pixels, "picture")) if n]
        remarks.append(f"{' and '.join(edited)} edited by hand.")
    return remarks


def _split(states: Sequence[str]) -> str:
    """Such as ": 9 supported, 3 contradicted"."""
    counts = tally(states)
    order = (SUPPORTED, CONTRADICTED, UNKNOWN, UNSCORED)
    words = [f"{counts[state]:,} {_IN_WORDS[state]}" for state in order if counts[state]]
    return ": " + ", ".join(words) if words else ""


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
