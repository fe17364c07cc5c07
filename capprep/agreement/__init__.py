"""Does a text fit its pictures: rank statistics on an image-text similarity matrix, with error control."""

from capprep.agreement.captions import caption_verdicts
from capprep.agreement.cells import Cells, cell_verdicts
from capprep.agreement.centring import best_text, centred, distinct, unit
from capprep.agreement.reference import reference_texts, reference_version
from capprep.agreement.sets import SetVerdict, set_verdict
from capprep.agreement.tags import tag_verdicts
from capprep.agreement.testability import class_of
from capprep.agreement.verdicts import (
    CONTRADICTED,
    KINDS,
    SUPPORTED,
    UNKNOWN,
    WEAK,
    Thresholds,
    Verdict,
)

__all__ = [
    "CONTRADICTED",
    "KINDS",
    "SUPPORTED",
    "UNKNOWN",
    "WEAK",
    "Cells",
    "SetVerdict",
    "Thresholds",
    "Verdict",
    "best_text",
    "caption_verdicts",
    "cell_verdicts",
    "centred",
    "class_of",
    "distinct",
    "reference_texts",
    "reference_version",
    "set_verdict",
    "tag_verdicts",
    "unit",
]
