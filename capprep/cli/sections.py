"""The sections of `capprep.toml`: which dataclasses' options each of them sets."""

from __future__ import annotations

from capprep.config import Config, options
from capprep.stages.blip import Blip
from capprep.stages.picture import Picture
from capprep.train.config import TrainConfig

SECTIONS: dict[str, tuple[type[Config], ...]] = {
    "ingest": (Picture,),
    "caption": (Blip,),
    "train": (TrainConfig,),
}

INGEST_POLICY = ("max_upscale",)
CAPTION_POLICY = ("booru_threshold",)
"""Fields of `Policy` by the command that sets them, and so by the section."""


def known_fields() -> dict[str, set[str]]:
    """The names each section may hold."""
    fields = {
        section: {field.name for cls in classes for field, _ in options(cls)} for section, classes in SECTIONS.items()
    }
    fields["ingest"].update(INGEST_POLICY)
    fields["caption"].update(CAPTION_POLICY)
    return fields
