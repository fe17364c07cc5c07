"""What the page's script reads: a selection and its thumbnails as JSON values, each tag and reason stored once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from capprep.agreement import Verdict
from capprep.candidates import LeftOut
from capprep.facts import PictureFact
from capprep.review.rows import TagKey, TagRow, key_of, overview, standing, state_of, tag_rows, tally, worst_first
from capprep.review.thumbnails import Thumbnail
from capprep.select import Example, Selection

SCHEMA = 2
"""Raised whenever a field changes its meaning; whoever reads the data can tell."""

_NO_CROP = Thumbnail(problem="its crop is not in the workspace")


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
        _picture(example, thumbnails.get(example.crop, _NO_CROP), places, reasons) | {"worst": queue[place]}
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
        "left": [_left_out(item) for item in selection.left_out],
    }


def _picture(
    example: Example, thumbnail: Thumbnail, places: Mapping[TagKey, int], reasons: dict[str, int]
) -> dict[str, Any]:
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
        "notes": [*([picture.why] if picture.crop == "auto" else []), *picture.notes],
        "box": [_number(edge) for edge in picture.box],
        "scale": _number(picture.scale),
        "size": picture.size,
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


def _left_out(item: LeftOut) -> dict[str, Any]:
    return {"sources": list(item.sources), "stage": item.stage, "reason": item.reason, "message": item.message}


def _number(value: float | None, digits: int = 4) -> float | None:
    """A number as JSON can write it; None for NaN and infinity, which it cannot."""
    return None if value is None or not math.isfinite(value) else round(value, digits)
