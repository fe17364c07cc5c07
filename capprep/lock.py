"""From `models.lock` to weight files on this machine: found, fetched at a pinned revision, and verified."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from filelock import FileLock

from capprep.errors import ConfigError, ModelCorrupt, ModelMissing
from capprep.files import write_atomically

ROLES = ("caption", "match", "booru", "base")
"""What commands use models for; each role has an option --ROLE-model."""

CHECKS, PINS = "checks.json", "pins.json"
"""Files of the state: digests computed before, with the file's status then; digests recorded at the first fetch."""

HUB_TIMEOUT = 10.0
"""Seconds to wait for the hub's first answer."""

FOLDER_SUFFIXES = frozenset(".bin .ckpt .csv .json .model .onnx .safetensors .txt".split())
"""Files of a model's folder that make up what it computes."""


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


@dataclass(frozen=True)
class Found:
    """A model's files on this machine, verified.

    Attributes:
        name: The model's name, or the path the user gave.
        path: The file, or for a model of several files the folder they lie in.
        labels: The file that names a tagger's outputs, or None.
        sha256: Digest of the model: of its one file, or of all its files' names and digests. Hex.
        recorded: Files whose digest was not known and was recorded just now.
    """

    name: str
    path: Path
    labels: Path | None
    sha256: str
    recorded: tuple[str, ...] = ()


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


def default_state() -> Path:
    """Where checks and recorded digests are remembered between runs."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "capprep"


class Store:
    """Finds and fetches the lock's models, and remembers which files it has checked.

    Args:
        state: Folder for what is remembered; None for the user's own.
        cache: The hub's cache; None for the user's own.
        endpoint: The hub's address; None for the usual one.
        trust: Believe an earlier check of a file that has not changed since; False reads every file again.
        record: Remember the digest of a file whose digest nobody knew, and hold later files to it.
    """

    def __init__(
        self,
        state: Path | None = None,
        cache: Path | None = None,
        endpoint: str | None = None,
        *,
        trust: bool = True,
        record: bool = True,
    ) -> None:
        self._state = state or default_state()
        self._trust = trust
        self._record = record
        self._cache = cache
        self._endpoint = endpoint

    def find(self, model: Model, *, fetch: bool = True) -> Found:
        """A model of the lock, verified; fetched if need be.

        Raises:
            ModelMissing: A file is not here and could not be fetched, or `fetch` is False.
            ModelCorrupt: A file is not what the lock, or an earlier pull, says.
        """
        recorded: list[str] = []
        paths = (
            self.locate(model)
            if not fetch
            else [self._local(model, pin) or self._fetched(model, pin) for pin in model.files]
        )
        digests = {
            pin.name: self._verified(model, pin, path, recorded) for pin, path in zip(model.files, paths, strict=True)
        }
        if len(paths) > 1 and not model.package:
            _check_alone(model, paths)
        main = [path for path, pin in zip(paths, model.files, strict=True) if not pin.labels]
        labels = [path for path, pin in zip(paths, model.files, strict=True) if pin.labels]
        folder = Path(os.path.commonpath([path.parent for path in main])) if len(main) > 1 else main[0]
        return Found(model.name, folder, labels[0] if labels else None, _joint(digests), tuple(recorded))

    def locate(self, model: Model) -> list[Path]:
        """Where a model's files lie on this machine, unchecked, in the order of its pins.

        Raises:
            ModelMissing: One of them is not here.
        """
        paths = []
        for pin in model.files:
            path = self._local(model, pin)
            if path is None:
                raise _missing(model, pin, "it is not on this machine")
            paths.append(path)
        return paths

    def given(self, path: Path, labels: Path | None = None) -> Found:
        """A model the user names by its file or folder; its digest is computed and remembered.

        Raises:
            ModelMissing: There is no such file or folder, or nothing of a model in it.
        """
        if path.is_file():
            # a graph over 2 GB keeps its weights beside it, in files whose names begin with its own
            beside = path.parent.glob(f"{glob.escape(path.name)}?*") if path.suffix == ".onnx" else ()
            files = [path, *sorted(file for file in beside if file.is_file())]
        else:
            files = sorted(file for file in path.rglob("*") if file.suffix in FOLDER_SUFFIXES and file.is_file())
        if not files:
            raise ModelMissing(f"there is no model at {path}", "check the path")
        if labels is not None and not labels.is_file():
            raise ModelMissing(f"there is no label file at {labels}", "check the path")
        top = path if path.is_dir() else path.parent
        digests = {file.relative_to(top).as_posix(): self.sha256(file) for file in files}
        if labels is not None:
            digests["labels"] = self.sha256(labels)
        return Found(str(path), path, labels, _joint(digests))

    def sha256(self, path: Path) -> str:
        """A file's SHA-256 (hex), remembered as long as its size and time stay the same."""
        status = path.stat()
        stamp = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        name = str(path.absolute())
        known = self._read(CHECKS).get(name)
        if self._trust and known is not None and known[:-1] == stamp:
            return str(known[-1])
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self._remember(CHECKS, name, [*stamp, digest])
        return digest

    def _local(self, model: Model, pin: Pin) -> Path | None:
        if model.package:
            shipped = Path(str(resources.files("capprep"))) / model.package / pin.name
            return shipped if shipped.is_file() else None
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(
            model.repository, pin.name, cache_dir=self._cache, revision=pin.revision or model.revision
        )
        return Path(cached) if isinstance(cached, str) else None

    def _fetched(self, model: Model, pin: Pin) -> Path:
        if model.package:
            raise _missing(model, pin, "it is not in the installed program")
        from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

        repository, revision = model.repository, pin.revision or model.revision
        try:
            # asked first because a download that finds no network tries for half a minute, warning each time
            get_hf_file_metadata(
                hf_hub_url(repository, pin.name, revision=revision, endpoint=self._endpoint), timeout=HUB_TIMEOUT
            )
            return Path(
                hf_hub_download(repository, pin.name, revision=revision, cache_dir=self._cache, endpoint=self._endpoint)
            )
        except Exception as error:  # whatever the hub's HTTP library, of which there were several, raises
            raise _missing(model, pin, f"it could not be fetched ({_first_line(error)})") from error

    def _verified(self, model: Model, pin: Pin, path: Path, recorded: list[str]) -> str:
        """The file's digest, once it is known to be the right one."""
        if pin.bytes is not None and path.stat().st_size != pin.bytes:
            raise _corrupt(model, pin, path, f"has {path.stat().st_size} bytes instead of {pin.bytes}")
        digest = self.sha256(path)
        expected = pin.sha256 or self._read(PINS).get(model.origin(pin))
        if expected is None:
            if self._record:
                self._remember(PINS, model.origin(pin), digest)
            recorded.append(pin.name)
        elif digest != expected:
            raise _corrupt(model, pin, path, f"has the SHA-256 {digest[:16]}… instead of {expected[:16]}…")
        return digest

    def _read(self, name: str) -> dict[str, Any]:
        path = self._state / name
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            if name == CHECKS:  # forgetting costs one more check
                return {}
            raise ModelCorrupt(
                f"{path}, which holds the digests of fetched models, cannot be read: {error}",
                "mend it, or delete it if you trust the models on this machine",
            ) from error

    def _remember(self, name: str, entry: str, value: Any) -> None:
        """Add an entry to a file of the state, one process at a time."""
        self._state.mkdir(parents=True, exist_ok=True)
        with FileLock(self._state / f"{name}.lock"):
            known = {**self._read(name), entry: value}
            write_atomically(self._state / name, json.dumps(known, indent=1, sort_keys=True).encode())


def _check_alone(model: Model, paths: Sequence[Path]) -> None:
    """Refuse a folder with model files that the lock does not name: they could be loaded instead of those it does."""
    known = {path.absolute() for path in paths}
    for folder in {path.parent for path in paths}:
        for path in sorted(folder.iterdir()):
            if path.suffix in FOLDER_SUFFIXES and path.absolute() not in known:
                raise ModelCorrupt(
                    f"{path} lies beside the files of {model.name}, and models.lock does not name it",
                    "move it elsewhere; to use it, name its folder as a model of your own",
                )


def _joint(digests: Mapping[str, str]) -> str:
    """One digest for several files: theirs if there is one, else of all names and digests."""
    if len(digests) == 1:
        return next(iter(digests.values()))
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()


def _missing(model: Model, pin: Pin, why: str) -> ModelMissing:
    size = f" ({pin.shown_size})" if pin.shown_size else ""
    ways = []
    if model.repository:
        ways.append(f"with a network: capprep models pull {model.name}")
        ways.append(
            f"without one: fetch {model.origin(pin)} from the Hugging Face hub on another machine,"
            f" and name its file or folder with --{model.role}-model"
            if model.role in ROLES
            else f"without one: fetch {model.origin(pin)} from the Hugging Face hub on another machine"
        )
    ways.append("or use the small built-in models, which need neither: add --profile tiny")
    return ModelMissing(f"{model.name} needs the file {pin.name}{size}, and {why}", "\n".join(ways))


def _corrupt(model: Model, pin: Pin, path: Path, what: str) -> ModelCorrupt:
    return ModelCorrupt(
        # in the hub's cache the path is a link, and what has to go is the file behind it
        f"{pin.name} of {model.name} {what}: it is damaged, or not the file that models.lock names",
        f"delete {path.resolve()} and run: capprep models pull {model.name}",
    )


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
