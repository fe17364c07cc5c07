"""What the page's script reads: a selection and its thumbnails as JSON values, each tag, reason and picture once."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from typing import Any

from capprep.agreement import Verdict
from capprep.candidates import LeftOut
from capprep.curate import SELECT, Group
from capprep.facts import PictureFact
from capprep.review.rows import (
    TagKey,
    TagRow,
    key_of,
    left_out_counts,
    overview,
    standing,
    state_of,
    tag_rows,
    tally,
    worst_first,
)
from capprep.review.thumbnails import Thumbnail
from capprep.select import Example, Selection

SCHEMA = 3
"""Raised whenever a field changes its meaning; whoever reads the data can tell."""

_NO_CROP = Thumbnail(problem="its crop is not in the workspace")


def shown_squares(selection: Selection) -> tuple[set[str], set[str]]:
    """The digests of the squares that the page shows large, beside its words or others, and small, in a list."""
    grouped = {member.name for group in selection.groups for member in group.members}
    large = {example.crop for example in selection.examples}
    large |= {copy.crop for copy in selection.training if copy.pixels_edited}
    large |= {item.crop for item in selection.left_out if item.crop and item.name in grouped}
    return large, {item.crop for item in selection.left_out if item.crop}


def page_data(selection: Selection, thumbnails: Mapping[str, Thumbnail]) -> dict[str, Any]:
    """Everything the page shows of a selection.

    Args:
        selection: The training set and what was left out.
        thumbnails: By the digest of the crop; a picture without one says so.
    """
    rows = tag_rows(selection)
    places = {key_of(row): place for place, row in enumerate(rows)}
    reasons: dict[str, int] = {}
    queue = {place: position for position, place in enumerate(worst_first(selection.examples))}
    pictures = [
        _picture(example, thumbnails, places, reasons) | {"worst": queue[place]}
        for place, example in enumerate(selection.examples)
    ]
    captions = [state_of(example.caption_verdict) for example in selection.examples if example.caption is not None]
    return {
        "schema": SCHEMA,
        "overview": overview(selection),
        "tallies": {
            "pictures": tally(standing(example) for example in selection.examples),
            "captions": tally(captions),
            "tags": tally(state_of(row.verdict) for row in rows if row.kept),
        },
        "pictures": pictures,
        "tags": [_tag(row) for row in rows],
        "reasons": list(reasons),
        "left": [_left_out(item, thumbnails) for item in selection.left_out],
        "leftCounts": left_out_counts(selection.left_out),
        "groups": _groups(selection),
    }


def _picture(
    example: Example, thumbnails: Mapping[str, Thumbnail], places: Mapping[TagKey, int], reasons: dict[str, int]
) -> dict[str, Any]:
    thumbnail = thumbnails.get(example.crop, _NO_CROP)
    kept = [[places[key_of(tag)], _number(tag.probability)] for tag in example.tags if tag.kept]
    dropped = [
        [places[key_of(tag)], _number(tag.probability), reasons.setdefault(tag.reason, len(reasons))]
        for tag in example.tags
        if not tag.kept
    ]
    return {
        "id": example.id,
        "name": example.name,
        "sources": list(example.sources),
        "source": _source(example.picture),
        "thumbnail": thumbnail.uri,
        "problem": thumbnail.problem,
        "standing": standing(example),
        "caption": example.caption,
        "replaced": example.replaced,
        "verdict": _verdict(example.caption_verdict),
        "kept": kept,
        "dropped": dropped,
        "text": example.text,
        "edited": example.edited,
        "pixelsEdited": example.pixels_edited,
        "remarks": list(example.remarks),
        "flaws": list(example.flaws),
        "sharper": _number(example.sharper),
        "chosen": example.chosen,
        "mirror": _mirror(example, thumbnails),
    }


def _mirror(example: Example, thumbnails: Mapping[str, Thumbnail]) -> dict[str, Any] | None:
    """What a mirrored copy has of its own; of any other its picture, mirrored, is the preview."""
    copy = example.mirror
    if copy is None:
        return None
    thumbnail = thumbnails.get(copy.crop, _NO_CROP) if copy.pixels_edited else Thumbnail()
    return {
        "name": copy.name,
        "text": copy.text if copy.edited else None,
        "pixelsEdited": copy.pixels_edited,
        "thumbnail": thumbnail.uri,
        "problem": thumbnail.problem,
    }


def _source(picture: PictureFact) -> dict[str, Any]:
    return {
        "width": picture.width,
        "height": picture.height,
        "format": picture.format,
        "mode": picture.mode,
        "orientation": picture.orientation,
        "frames": picture.frames,
        "frame": picture.frame,
        "notes": list(picture.notes),
        "crop": picture.crop,
        "why": picture.why,
        "box": [_number(edge) for edge in picture.box],
        "trimmed": [_number(edge) for edge in picture.trimmed],
        "scale": _number(picture.scale),
        "size": picture.size,
        "alpha": _number(picture.alpha),
        "icc": picture.icc,
        "measures": picture.measures and {name: _number(value) for name, value in picture.measures.to_json().items()},
    }


def _tag(row: TagRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "text": row.text,
        "category": row.category,
        "verdict": _verdict(row.verdict),
        "kept": row.kept,
        "dropped": row.dropped,
        "probability": _number(row.probability),
    }


def _verdict(verdict: Verdict | None) -> dict[str, Any]:
    if verdict is None:
        return {"state": state_of(None), "kind": "", "reason": "", "auc": None, "p": None}
    return {
        "state": verdict.state,
        "kind": verdict.kind,
        "reason": verdict.reason,
        "auc": _number(verdict.auc),
        "p": _number(verdict.p, digits=6),
    }


def _left_out(item: LeftOut, thumbnails: Mapping[str, Thumbnail]) -> dict[str, Any]:
    thumbnail = thumbnails.get(item.crop, _NO_CROP) if item.crop else Thumbnail()
    return {
        "name": item.name,
        "sources": list(item.sources),
        "stage": item.stage,
        "reason": item.reason,
        "message": item.message,
        "thumbnail": thumbnail.uri,
        "problem": thumbnail.problem,
        "undo": _undo(item),
    }


def _undo(item: LeftOut) -> str:
    """The command that brings a picture back, or "" where no decision can."""
    undone = item.stage == SELECT or item.reason == "too_small"
    return f"capprep select --include {shlex.quote(item.name)}" if undone and item.name and item.crop else ""


def _groups(selection: Selection) -> list[dict[str, Any]]:
    """Pictures that show the same, each named by its place in the set or among what was left out."""
    inside = {example.id: place for place, example in enumerate(selection.examples)}
    outside = {item.name: place for place, item in enumerate(selection.left_out) if item.crop}

    def members(group: Group) -> list[dict[str, Any]]:
        return [
            {
                "name": member.name,
                "relation": member.relation,
                "keeper": member.id == group.keeper,
                "picture": inside.get(member.id),
                "left": outside.get(member.name),
            }
            for member in group.members
        ]

    return [{"reason": group.reason, "members": members(group)} for group in selection.groups]


def _number(value: float | None, digits: int = 4) -> float | None:
    """A number as JSON can write it; None for NaN and infinity, which it cannot."""
    return None if value is None or not math.isfinite(value) else round(value, digits)
