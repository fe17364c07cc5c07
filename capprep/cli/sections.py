"""The sections of `capprep.toml`: which dataclasses' options each of them sets."""

from __future__ import annotations

from capprep.candidates import CURATING, WORDING
from capprep.config import Config, options
from capprep.stages.blip import Blip
from capprep.stages.picture import Picture
from capprep.train.config import TrainConfig

SECTIONS: dict[str, tuple[type[Config], ...]] = {
    "ingest": (Picture,),
    "select": (),
    "caption": (Blip,),
    "train": (TrainConfig,),
}

POLICIES = {"ingest": ("split", "mirror"), "select": CURATING, "caption": WORDING}
"""Fields of `Policy` by the section that sets them."""


def known_fields() -> dict[str, set[str]]:
    """The names each section may hold."""
    fields = {
        section: {field.name for cls in classes for field, _ in options(cls)} for section, classes in SECTIONS.items()
    }
    for section, names in POLICIES.items():
        fields[section].update(names)
    return fields
