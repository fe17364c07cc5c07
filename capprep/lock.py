"""`models.lock`: the models capprep knows, with the files each is made of and what these must be."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from capprep.errors import ConfigError

ROLES = ("caption", "match", "booru", "base")
"""What commands use models for; each role has an option --ROLE-model."""


@dataclass(frozen=True)
class Pin:
    """One file of a model.

    Attributes:
        name: Its path in the repository.
        sha256: What it must hash to, hex, or None where nobody knew when the lock was written.
        bytes: Its exact size, or None.
        size: Its size for people ("989.8 MB"), or "".
        revision: Where the file's differs from the model's, else "".
        labels: True for the file that names a tagger's outputs.
    """

    name: str
    sha256: str | None
    bytes: int | None
    size: str
    revision: str
    labels: bool

    @property
    def shown_size(self) -> str:
        """The size for people."""
        if self.bytes is None:
            return self.size
        unit = next((unit for unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")) if self.bytes >= unit[0]), (1, "bytes"))
        return f"{self.bytes / unit[0]:.3g} {unit[1]}"


@dataclass(frozen=True)
class Model:
    """One model of the lock.

    Attributes:
        name: Its name in the lock ("blip-base").
        role: What it is for: one of `ROLES`, or another that no command uses yet.
        about: One line for people.
        repository, revision: On the Hugging Face hub; "" where the files ship with the program.
        licence: Of the weights.
        files: What it is made of, the main file first.
        package: The folder in the program's package that holds the files, or "".
        tagger: Of a tagger: the name of its description, see `models.tagger_spec.BUILT_IN`.
        thresholds: Of a tagger: its own ones, where they are not its description's.
    """

    name: str
    role: str
    about: str
    repository: str
    revision: str
    licence: str
    files: tuple[Pin, ...]
    package: str = ""
    tagger: str = "deepdanbooru"
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def origin(self, pin: Pin) -> str:
        """Repository, revision and path of a file, as one string."""
        return f"{self.repository}@{pin.revision or self.revision}/{pin.name}"


@dataclass(frozen=True)
class Profile:
    """A choice of models with the settings that suit them.

    Attributes:
        models: The model's name for each role.
        settings: Defaults that differ from the program's, by section and field.
        notice: What a user has to know of these models, or "".
    """

    models: Mapping[str, str]
    settings: Mapping[str, Mapping[str, Any]]
    notice: str


@dataclass(frozen=True)
class Lock:
    """The parsed `models.lock`."""

    models: Mapping[str, Model]
    profiles: Mapping[str, Profile]

    def profile(self, name: str) -> Profile:
        """A profile by its name.

        Raises:
            ConfigError: There is none.
        """
        if name not in self.profiles:
            raise ConfigError(f"there is no profile {name!r}", f"choose one of: {', '.join(self.profiles)}")
        return self.profiles[name]

    def named(self, name: str) -> Model:
        """A model by its name.

        Raises:
            ConfigError: There is none.
        """
        if name not in self.models:
            raise ConfigError(f"models.lock has no model {name!r}", f"choose one of: {', '.join(self.models)}")
        return self.models[name]


def read_lock() -> Lock:
    """The lock that ships with the program."""
    shipped = resources.files("capprep") / "models.lock"
    # in a checkout the file stands at the top, where people look for it
    path = shipped if shipped.is_file() else Path(__file__).parent.parent / "models.lock"
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    profiles = {
        name: Profile(entry["models"], entry.get("settings", {}), entry.get("notice", ""))
        for name, entry in data["profiles"].items()
    }
    return Lock({name: _model(name, entry) for name, entry in data["models"].items()}, profiles)


def _model(name: str, entry: Mapping[str, Any]) -> Model:
    files = tuple(
        Pin(
            file["name"],
            file.get("sha256"),
            file.get("bytes"),
            file.get("size", ""),
            file.get("revision", ""),
            file.get("is") == "labels",
        )
        for file in entry["files"]
    )
    return Model(
        name,
        entry["role"],
        entry["about"],
        entry.get("repository", ""),
        entry.get("revision", ""),
        entry["licence"],
        files,
        entry.get("package", ""),
        entry.get("tagger", "deepdanbooru"),
        entry.get("thresholds", {}),
    )
