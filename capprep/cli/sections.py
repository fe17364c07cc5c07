"""The sections of `capprep.toml`: which dataclasses' options each of them sets."""

from __future__ import annotations

from capprep.config import Config, options
from capprep.select import Policy
from capprep.stages.blip import Blip
from capprep.stages.picture import Picture
from capprep.train.config import TrainConfig

SECTIONS: dict[str, tuple[type[Config], ...]] = {
    "ingest": (Picture,),
    "caption": (Blip, Policy),
    "train": (TrainConfig,),
}


def known_fields() -> dict[str, set[str]]:
    """The names each section may hold."""
    return {
        section: {field.name for cls in classes for field, _ in options(cls)} for section, classes in SECTIONS.items()
    }
