"""The models of `models.lock` on this machine: found, fetched at a pinned revision, verified, put aside where wrong."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from filelock import FileLock

from capprep.errors import ModelCorrupt, ModelMissing
from capprep.files import write_atomically
from capprep.hub import WAITS, HubError, Remote, Report
from capprep.hub import fetch as fetch_from_hub
from capprep.lock import ROLES, Model, Pin

CHECKS, PINS = "checks.json", "pins.json"
"""Files of the state: digests computed before, with the file's status then; digests recorded at the first fetch."""

QUARANTINE = "quarantine"
"""Folder of the state for files that are not what they should be, each named with its digest; nothing reads it."""

FOLDER_SUFFIXES = frozenset(".bin .ckpt .csv .json .model .onnx .safetensors .txt".split())
"""Files of a model's folder that make up what it computes."""

PIECE = 1 << 22
"""Bytes read at a time."""

WORTH_WATCHING = 1 << 27
"""Bytes of a file from which on reading it takes longer than a moment."""

Watch = Callable[[str, int, int, str], None]
"""Told a model's name, the bytes done, the bytes in all, and a word on what is going on."""


def _unwatched(name: str, done: int, total: int, detail: str) -> None:
    pass


@dataclass(frozen=True)
class Found:
    """A model's files on this machine, verified.

    Attributes:
        name: The model's name, or the path the user gave.
        path: The file, or for a model of several files the folder they lie in.
        labels: The file that names a tagger's outputs, or None.
        sha256: Digest of the model: of its one file, or of all its files' names and digests. Hex.
        recorded: Files whose digest was not known and was recorded just now.
        put_aside: Where files lie now that were wrong and have been fetched anew.
    """

    name: str
    path: Path
    labels: Path | None
    sha256: str
    recorded: tuple[str, ...] = ()
    put_aside: tuple[Path, ...] = ()


@dataclass(frozen=True)
class _Settled:
    """A file that is the right one; and where the wrong one went that was in its place."""

    path: Path
    digest: str
    put_aside: Path | None = None


class _Task:
    """What is told of one model: the bytes of its files so far, of all that anybody knows the size of."""

    def __init__(self, name: str, watch: Watch) -> None:
        self._name = name
        self._watch = watch
        self._before = 0
        self._size = 0
        self._told = False

    def file(self, name: str) -> Report:
        """The next file."""
        self._before += self._size
        self._size = 0

        def report(done: int, total: int | None, detail: str) -> None:
            self._size = max(done, total or 0)
            self._told = True
            self._watch(self._name, self._before + done, self._before + self._size, detail or name)

        return report

    def end(self) -> None:
        """All is here."""
        if self._told:
            self._watch(self._name, self._before + self._size, self._before + self._size, "")


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
        watch: Told how far fetching and reading is.
        waits: Seconds before each further attempt where the hub is busy or a connection broke.
    """

    def __init__(
        self,
        state: Path | None = None,
        cache: Path | None = None,
        endpoint: str | None = None,
        *,
        trust: bool = True,
        record: bool = True,
        watch: Watch = _unwatched,
        waits: Sequence[float] = WAITS,
    ) -> None:
        self._state = state or default_state()
        self._trust = trust
        self._record = record
        self._cache = cache
        self._endpoint = endpoint
        self._watch = watch
        self._waits = waits

    def find(self, model: Model, *, fetch: bool = True) -> Found:
        """A model of the lock, verified; fetched if need be, also in place of a file that is damaged.

        Raises:
            ModelMissing: A file is not here and could not be fetched, or `fetch` is False.
            ModelCorrupt: A file is not what the lock, or an earlier pull, says, and there is no better one.
        """
        local = [self._local(model, pin) for pin in model.files] if fetch else self.locate(model)
        task = _Task(model.name, self._watch)
        settled, recorded = [], []
        for pin, path in zip(model.files, local, strict=True):
            file = self._settled(model, pin, path, task, fetch=fetch)
            settled.append(file)
            if self._expected(model, pin) is None:
                recorded.append(pin.name)
                if self._record:
                    self._remember(PINS, model.origin(pin), file.digest)
        task.end()
        files = [file.path for file in settled]
        if len(files) > 1 and not model.package:
            _check_alone(model, files)
        main = [path for path, pin in zip(files, model.files, strict=True) if not pin.labels]
        labels = [path for path, pin in zip(files, model.files, strict=True) if pin.labels]
        folder = Path(os.path.commonpath([path.parent for path in main])) if len(main) > 1 else main[0]
        digests = {pin.name: file.digest for pin, file in zip(model.files, settled, strict=True)}
        put_aside = tuple(file.put_aside for file in settled if file.put_aside is not None)
        return Found(model.name, folder, labels[0] if labels else None, _joint(digests), tuple(recorded), put_aside)

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

    def sha256(self, path: Path, read: Callable[[int], None] | None = None) -> str:
        """A file's SHA-256 (hex), remembered as long as its size and time stay the same.

        Args:
            path: The file.
            read: Told the bytes read so far; not called where the digest is remembered.
        """
        stamp = _stamp(path)
        known = self._read(CHECKS).get(str(path.absolute()))
        if self._trust and known is not None and known[:-1] == stamp:
            return str(known[-1])
        digest = _digest(path, read)
        self._remember(CHECKS, str(path.absolute()), [*stamp, digest])
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

    def _settled(self, model: Model, pin: Pin, path: Path | None, task: _Task, *, fetch: bool) -> _Settled:
        """A file that is the right one; one that is not is put aside and fetched anew."""
        if path is None:
            return _Settled(*self._fetched(model, pin, task))
        try:
            before = _stamp(path)
            digest, problem = self._judged(model, pin, path, task)
        except FileNotFoundError:  # another process has put it aside just now
            if not fetch:
                raise
            return _Settled(*self._fetched(model, pin, task))
        if not problem:
            return _Settled(path, digest)
        if model.package:
            raise ModelCorrupt(problem, "install capprep again")
        if not fetch:
            raise ModelCorrupt(problem, f"to put it aside and fetch it again: capprep models pull {model.name}")
        aside = self._put_aside(pin, path, digest, before)
        try:
            return _Settled(*self._fetched(model, pin, task), aside)
        except ModelMissing as error:
            raise ModelCorrupt(f"{problem}. {_whereabouts(aside)}. {error.message}", error.hint) from error

    def _fetched(self, model: Model, pin: Pin, task: _Task) -> tuple[Path, str]:
        """A file from the hub and its digest."""
        if model.package:
            raise ModelMissing(f"{model.name} needs the file {pin.name}, and it is gone", "install capprep again")
        checked: list[Any] = []

        def check(part: Path) -> None:
            digest = _digest(part)
            if problem := self._problem(model, pin, part.stat().st_size, digest):
                raise self._refused(model, pin, part, digest, problem)
            checked[:] = [_stamp(part), digest]

        remote = Remote(model.repository, pin.name, pin.revision or model.revision, pin.bytes, self._endpoint)
        try:
            path = fetch_from_hub(remote, check, cache=self._cache, report=task.file(pin.name), waits=self._waits)
        except HubError as error:
            why = f"it could not be fetched: {error.why}"
            raise _missing(model, pin, why, error.advice, connected=error.connected) from error
        stamp = _stamp(path)
        # the new name changed the time of the file's status, and nothing else if it is the file just checked
        if checked and all(now == then for n, (now, then) in enumerate(zip(stamp, checked[0], strict=True)) if n != 2):
            self._remember(CHECKS, str(path.absolute()), [*stamp, checked[1]])
        digest, problem = self._judged(model, pin, path, task)
        if problem:
            raise self._refused(model, pin, path, digest, problem)
        return path, digest

    def _judged(self, model: Model, pin: Pin, path: Path, task: _Task) -> tuple[str, str]:
        """A file's digest, and what is wrong with the file or ""."""
        size = path.stat().st_size
        report = task.file(pin.name)
        watched = size >= WORTH_WATCHING
        digest = self.sha256(path, (lambda done: report(done, size, "checking")) if watched else None)
        return digest, self._problem(model, pin, size, digest)

    def _problem(self, model: Model, pin: Pin, size: int, digest: str) -> str:
        expected = self._expected(model, pin)
        if pin.bytes is not None and size != pin.bytes:
            what = f"has {size} bytes instead of {pin.bytes}"
        elif expected is not None and digest != expected:
            what = f"has the SHA-256 {digest[:16]}… instead of {expected[:16]}…"
        else:
            return ""
        known = "models.lock names" if pin.sha256 or pin.bytes is not None else "was fetched first"
        return f"{pin.name} of {model.name} {what}: it is damaged, or not the file that {known}"

    def _expected(self, model: Model, pin: Pin) -> str | None:
        """What a file must hash to, from the lock or from its first fetch."""
        return pin.sha256 or self._read(PINS).get(model.origin(pin))

    def _refused(self, model: Model, pin: Pin, path: Path, digest: str, problem: str) -> ModelCorrupt:
        """Put a file aside that came from the hub just now; the error that says so."""
        again = self._aside(pin, digest).exists()
        aside = self._put_aside(pin, path, digest)
        ways = [f"to fetch it again: capprep models pull {model.name}"]
        if again:
            ways = [
                "the very same file came before: a proxy or a mirror may answer with a file of its own",
                "check HF_ENDPOINT if you have set it, try another network, or look for a newer version of capprep",
            ]
        if pin.sha256 is None and pin.bytes is None:
            ways.append(f"if you trust the new file: delete the line of {pin.name} in {self._state / PINS}")
        return ModelCorrupt(f"{problem}. {_whereabouts(aside)}", "\n".join(ways))

    def _aside(self, pin: Pin, digest: str) -> Path:
        return self._state / QUARANTINE / f"{digest}-{Path(pin.name).name}"

    def _put_aside(self, pin: Pin, path: Path, digest: str, judged: list[int] | None = None) -> Path | None:
        """Move a wrong file where nothing looks for it.

        Args:
            pin: Which file it was to be.
            path: Where it lies.
            digest: What it hashes to.
            judged: Its stamp when it was judged; where it has another now, somebody has put a new file there.

        Returns:
            Where it is now; None where it could only be deleted, or is a new file.
        """
        target = self._aside(pin, digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self._state / f"{QUARANTINE}.lock"):
            if not path.exists() or judged not in (None, _stamp(path)):
                return None
            # in the hub's cache a name is a link to the content, perhaps through another one
            links = []
            while path.is_symlink():
                links.append(path)
                path = path.parent / path.readlink()
            try:
                shutil.move(path, target)
            except OSError:  # the state lies on another disk, which is full: a wrong file is not worth keeping
                target.unlink(missing_ok=True)
                path.unlink(missing_ok=True)
            for link in links:
                link.unlink(missing_ok=True)
            return target if target.exists() else None

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


def _stamp(path: Path) -> list[int]:
    """What changes when a file does: its size, its times, its place on the disk."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _digest(path: Path, read: Callable[[int], None] | None = None) -> str:
    digest = hashlib.sha256()
    done = 0
    with path.open("rb", buffering=0) as file:
        while piece := file.read(PIECE):
            digest.update(piece)
            done += len(piece)
            if read is not None:
                read(done)
    return digest.hexdigest()


def _whereabouts(aside: Path | None) -> str:
    return f"It was moved to {aside}, where nothing uses it" if aside is not None else "It is no longer there"


def _missing(model: Model, pin: Pin, why: str, advice: str = "", *, connected: bool = False) -> ModelMissing:
    size = f" ({pin.shown_size})" if pin.shown_size else ""
    ways = [advice] if advice else []
    if model.repository and not connected:
        ways.append(f"with a network: capprep models pull {model.name}")
        named = f", and name its file or folder with --{model.role}-model" if model.role in ROLES else ""
        ways.append(f"without one: fetch {model.origin(pin)} from the Hugging Face hub on another machine{named}")
    need = "no download" if connected else "neither"
    ways.append(f"or use the small built-in models, which need {need}: add --profile tiny")
    return ModelMissing(f"{model.name} needs the file {pin.name}{size}, and {why}", "\n".join(ways))
