"""The text that stands for `[filewords]`: pure functions from caption and tags to one line, and the reasons."""

from __future__ import annotations

from capprep.filewords.compose import compose
from capprep.filewords.pieces import Piece, Text, Words
from capprep.filewords.rules import TEXT_FIELDS, Rule, TextRules, Vocabulary, inlined
from capprep.filewords.words import KAOMOJI, caption_text, escape, join, retarget, split, tag_text, unescape

__all__ = [
    "KAOMOJI",
    "TEXT_FIELDS",
    "Piece",
    "Rule",
    "Text",
    "TextRules",
    "Vocabulary",
    "Words",
    "caption_text",
    "compose",
    "escape",
    "inlined",
    "join",
    "retarget",
    "split",
    "tag_text",
    "unescape",
]
