"""One file of the Hugging Face hub to this machine's cache of it: resumed, retried, checked before it can be loaded.

huggingface_hub's client does the transfer and keeps the cache, so that its variables hold here too (HF_HOME,
HF_HUB_CACHE, HF_HUB_OFFLINE, HF_ENDPOINT, HF_TOKEN). Its own download forgets a part when the process ends. Here the
part stays beside the file it will be, and the next attempt asks for the rest only. The transfer is always plain HTTP.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import SplitResult, urlsplit

from filelock import FileLock, Timeout

from capprep.errors import CapprepError

WAITS = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds before each further attempt, counted anew once there is more of the file than ever."""

LONGEST_WAIT = 60.0
"""Seconds: a hub that asks for a longer pause gets this one."""

BUSY = frozenset((408, 425, 429, 500, 502, 503, 504))
"""Answers that another attempt may better."""

PIECE = 1 << 20
"""Bytes written at a time, so at most what an interruption costs."""

PARTIAL = ".capprep.incomplete"
"""What a part is named after; with this ending `hf cache prune` finds those nobody wants any more."""

_ETAG = re.compile(r"[0-9A-Za-z_][0-9A-Za-z_.-]{0,199}")

Report = Callable[[int, int | None, str], None]
"""Told the bytes here, the bytes of the whole file if known, and a word on what is waited for."""


class HubError(Exception):
    """A file could not be fetched.

    Args:
        why: What was in the way, as a clause without a full stop.
        advice: What to do about it, one way a line, or "".
        connected: False where the hub could not be reached at all.
    """

    def __init__(self, why: str, advice: str = "", *, connected: bool = True) -> None:
        super().__init__(why)
        self.why = why
        self.advice = advice
        self.connected = connected


@dataclass(frozen=True)
class Remote:
    """A file on the hub.

    Attributes:
        repository: Its repository's id.
        name: Its path in there.
        revision: A commit, or a branch.
        size: What it must have in bytes, or None.
        endpoint: The hub's address; None for the client's own (HF_ENDPOINT).
    """

    repository: str
    name: str
    revision: str
    size: int | None = None
    endpoint: str | None = None


def fetch(
    remote: Remote,
    check: Callable[[Path], None],
    *,
    cache: Path | None = None,
    report: Report,
    waits: Sequence[float] = WAITS,
) -> Path:
    """Bring a file into the hub's cache on this machine.

    Args:
        remote: Which.
        check: Called with the whole file under a temporary name; what it raises ends the download, and the file then
            never gets the name under which programs look for it.
        cache: The hub's cache; None for the client's own (HF_HUB_CACHE, HF_HOME).
        report: Told how far it is.
        waits: Seconds before each further attempt where the hub is busy or a connection broke.

    Returns:
        The file in the cache.

    Raises:
        HubError: It could not be fetched; what came of it stays for the next attempt.
    """
    from huggingface_hub import constants

    download = _Download(remote, check, Path(cache or constants.HF_HUB_CACHE).expanduser(), report)
    failed = 0
    with _quiet_client():
        while True:
            most = download.most
            try:
                return download.once()
            except (HubError, CapprepError):
                raise
            except Exception as error:  # whatever the client's HTTP library, of which there were several, raises
                cause = _cause(error)
                failed = 1 if download.most > most else failed + 1
                if failed > len(waits) or not (_status(cause) in BUSY or (download.answered and _broken(cause))):
                    raise _explained(cause, remote, failed) from error
                pause = max(waits[failed - 1], _asked_pause(cause))
                report(download.done, download.total, f"{_explained(cause, remote, 1).why}; again in {pause:.0f} s")
                time.sleep(pause)


class _Download:
    """One file on its way; `once` is one attempt."""

    def __init__(self, remote: Remote, check: Callable[[Path], None], cache: Path, report: Report) -> None:
        self.answered = False
        self.most = 0
        self.done = 0
        self.total: int | None = remote.size
        self._remote = remote
        self._check = check
        self._cache = cache
        self._report = report

    def once(self) -> Path:
        from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
        from huggingface_hub.file_download import repo_folder_name

        remote = self._remote
        url = hf_hub_url(remote.repository, remote.name, revision=remote.revision, endpoint=remote.endpoint)
        found = get_hf_file_metadata(url, endpoint=remote.endpoint)
        self.answered = True
        if found.commit_hash is None or found.etag is None or not _ETAG.fullmatch(found.etag):
            raise HubError(
                f"what answers at {_address(remote)} is not a hub",
                "a proxy, or a network's login page, may stand in between; check HF_ENDPOINT if you have set it",
            )
        if remote.size is not None and found.size is not None and found.size != remote.size:
            raise HubError(
                f"the hub has it with {found.size} bytes instead of {remote.size}, so it is another file",
                "check HF_ENDPOINT if you have set it, or look for a newer version of capprep",
            )
        self.total = found.size
        folder = repo_folder_name(repo_id=remote.repository, repo_type="model")
        blob = self._cache / folder / "blobs" / found.etag
        with self._alone(self._cache / ".locks" / folder / f"{found.etag}.capprep.lock"):
            if not blob.exists():
                part = blob.with_name(blob.name + PARTIAL)
                part.parent.mkdir(parents=True, exist_ok=True)
                self._transfer(url, part)
                self._report(self.done, self.total, "checking")
                self._check(part)
                part.replace(blob)
        # finds the file there and gives it its name in the snapshot
        return Path(
            hf_hub_download(
                remote.repository,
                remote.name,
                revision=remote.revision,
                cache_dir=self._cache,
                endpoint=remote.endpoint,
            )
        )

    def _transfer(self, url: str, part: Path) -> None:
        here = part.stat().st_size if part.exists() else 0
        if self.total is not None and here > self.total:
            part.unlink()
            here = 0
        free = shutil.disk_usage(part.parent).free
        if self.total is not None and self.total - here > free:
            raise _full(f"{_megabytes(self.total - here)} are needed and {_megabytes(free)} are free", self._cache)
        self.done = here
        try:
            with part.open("ab") as file:
                self._receive(url, file)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise _full("the disk is full", self._cache) from error
            if _status(error) == 416:  # the part is not one of this file
                part.unlink(missing_ok=True)
                raise ConnectionResetError(errno.ECONNRESET, "the part that was here is not one of the file") from error
            raise

    def _receive(self, url: str, file: BinaryIO) -> None:
        """Append what is missing of the file."""
        from huggingface_hub import constants, get_session
        from huggingface_hub.utils import (  # type: ignore[attr-defined]  # public, and exported lazily
            build_hf_headers,
            hf_raise_for_status,
        )

        self.came(0)
        if self.done == self.total:
            return
        # without compression a byte of the answer is a byte of the file, which is what a range counts in
        headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
        if self.done:
            headers["Range"] = f"bytes={self.done}-"
        timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
        with get_session().stream("GET", url, headers=headers, timeout=timeout, follow_redirects=True) as response:
            hf_raise_for_status(response)
            if self.done and response.status_code != 206:  # not the rest, but the whole file
                file.truncate(0)
                self.done = 0
            for piece in response.iter_bytes(PIECE):
                file.write(piece)
                self.came(len(piece))
        if self.total is not None and self.done != self.total:
            raise ConnectionResetError(errno.ECONNRESET, f"{self.done} bytes came instead of {self.total}")

    @contextmanager
    def _alone(self, path: Path) -> Iterator[None]:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            self._report(self.done, self.total, "another process is fetching it")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def came(self, count: int) -> None:
        """Count bytes."""
        self.done += count
        self.most = max(self.most, self.done)
        self._report(self.done, self.total, "")


@contextmanager
def _quiet_client() -> Iterator[None]:
    """The client's warnings of each broken connection are ours to say; a user who asked it for more gets it."""
    from huggingface_hub.utils.logging import get_verbosity, set_verbosity

    before = get_verbosity()
    if before == logging.WARNING:
        set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        set_verbosity(before)


def _cause(error: BaseException) -> BaseException:
    """What a "not found on this machine and not on the hub" stands for."""
    while type(error).__name__ == "LocalEntryNotFoundError" and error.__cause__ is not None:
        error = error.__cause__
    return error


def _status(error: BaseException) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)


def _kinds(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def _broken(error: BaseException) -> bool:
    """Whether the connection failed, and not the answer or the disk."""
    kinds = _kinds(error)
    return bool(kinds & {"TransportError", "ConnectionError"}) and "OfflineModeIsEnabled" not in kinds


def _asked_pause(error: BaseException) -> float:
    response = getattr(error, "response", None)
    asked = response.headers.get("Retry-After", "") if response is not None else ""
    return min(float(asked), LONGEST_WAIT) if asked.isascii() and asked.isdigit() else 0.0


def _address(remote: Remote) -> str:
    """Host and port that are asked; an address may hold a password beside them."""
    parts = _parts(remote)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


def _parts(remote: Remote) -> SplitResult:
    from huggingface_hub import constants

    return urlsplit(remote.endpoint or constants.ENDPOINT)


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"


def _full(why: str, cache: Path) -> HubError:
    return HubError(
        f"{why} at {cache}", "make room there, or set HF_HOME to a folder on a larger disk, and run the command again"
    )


def _explained(error: BaseException, remote: Remote, attempts: int) -> HubError:
    """A failure in plain words."""
    kinds = _kinds(error)
    status = _status(error)
    if status is not None:
        return _refusal(error, remote, status, attempts)
    if "OfflineModeIsEnabled" in kinds:
        return HubError("HF_HUB_OFFLINE is set", "unset HF_HUB_OFFLINE to let it be fetched", connected=False)
    if "TimeoutException" in kinds or "ProxyError" in kinds or "ConnectError" in kinds:
        what = "did not answer in time" if "TimeoutException" in kinds else f"cannot be reached ({_first_line(error)})"
        return HubError(f"the hub at {_address(remote)} {what}", connected=False)
    if _broken(error):
        return HubError("the connection broke off", "run the command again: it goes on where it stopped")
    if isinstance(error, OSError) and error.errno is not None:
        return HubError(
            f"{error.filename or 'a file of the hub cache'}: {error.strerror}",
            "see to it that the folder may be written, or set HF_HOME to another one",
        )
    return HubError(_first_line(error))


def _refusal(error: BaseException, remote: Remote, status: int, attempts: int) -> HubError:
    """The hub's answers that are no file, in plain words."""
    response = cast(Any, error).response
    headers = response.headers
    elsewhere = response.request.url.host != _parts(remote).hostname or response.request.url.port != _parts(remote).port
    storage = f"{response.request.url.host}, where the hub keeps it, answered with status {status}"
    code, repository = headers.get("X-Error-Code", ""), remote.repository
    bad_token = status == 401 and "credentials" in headers.get("X-Error-Message", "")
    tried = f" and {attempts} attempts" if attempts > 1 else ""
    log_in = "log in with `hf auth login`, or set HF_TOKEN"
    newer = "look for a newer version of capprep, or choose another model: capprep models list"
    later = "run the command again later"
    gated = f"{repository} is given only to those who accepted its terms (status {status})"
    hidden = f"the hub does not give out {repository} (status {status}): it is private, renamed or gone"
    cases = (
        (status in BUSY, f"the hub is busy (status {status}{tried})", later),
        (elsewhere, storage, f"{later}, or see whether your network blocks that host"),
        (bad_token, "the hub does not accept your token (status 401)", f"{log_in} anew, or unset HF_TOKEN"),
        (code == "GatedRepo", gated, f"accept them on its page on the Hugging Face hub, then {log_in}"),
        (code == "RevisionNotFound", f"{repository} has no revision {remote.revision} any more", newer),
        (code == "EntryNotFound", f"{repository} has no such file at revision {remote.revision} any more", newer),
        (code == "RepoNotFound" or status in (401, 403), hidden, f"if you may see it, {log_in}\notherwise {newer}"),
        (
            status == 404,
            "the hub knows nothing of it (status 404)",
            f"check HF_ENDPOINT if you have set it, or {newer}",
        ),
        (True, f"the hub answered with status {status}", later),
    )
    return next(HubError(why, advice) for holds, why, advice in cases if holds)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
