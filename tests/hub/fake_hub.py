"""A hub on loopback: it answers what huggingface_hub's client asks for, writes down each request, and fails on demand.

Large files are answered as the hub answers them: the hub itself says what the file is and sends the client to another
host, which knows neither repository nor token and gives out ranges.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass(frozen=True)
class Request:
    """One request as it came in."""

    method: str
    path: str
    range: str
    token: bool


@dataclass
class Fault:
    """What goes wrong, once, in an answer.

    Attributes:
        method: Which requests it waits for.
        status: The answer, where it is none of the file.
        headers: Besides the usual ones.
        cut: Bytes of the body after which the connection is closed.
        stall: Bytes of the body after which nothing more comes until the hub is closed.
        deaf: True to ignore the range that is asked for.
    """

    method: str
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    stall: int | None = None
    deaf: bool = False


class FakeHub:
    """The hub's files and faults; `endpoint` is its address.

    Args:
        files: Content by (repository, revision, name). Each is also there under its commit.
    """

    def __init__(self, files: dict[tuple[str, str, str], bytes]) -> None:
        self.files = dict(files)
        self.sizes: dict[str, int] = {}
        """Sizes that the hub gives out in place of the true ones, by name."""
        self.swapped: dict[str, bytes] = {}
        """Bodies sent in place of the true ones, by name, under the true one's ETag."""
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self.sent = 0
        self.reached = threading.Event()
        """Set when a stalled answer has sent its part."""
        self.closing = threading.Event()
        self._turn = threading.Lock()
        self._servers = [_Server(("127.0.0.1", 0), self, mirror=mirror) for mirror in (False, True)]

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._servers[0].server_port}"

    @property
    def storage(self) -> str:
        return f"http://127.0.0.1:{self._servers[1].server_port}"

    def gets(self, name: str) -> list[Request]:
        """The requests for a file's content at the place that holds it."""
        return [r for r in self.requests if r.method == "GET" and r.path.startswith("/content/") and name in r.path]

    def fault(self, method: str, path: str) -> Fault | None:
        """The next fault meant for a request."""
        with self._turn:
            for fault in self.faults:
                # content comes from the storage, and what is not content from the hub itself
                if fault.method == method and (method == "HEAD" or path.startswith("/content/")):
                    self.faults.remove(fault)
                    return fault
        return None

    @contextmanager
    def running(self) -> Iterator[FakeHub]:
        threads = [threading.Thread(target=server.serve_forever, args=(0.05,)) for server in self._servers]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self.closing.set()
            for server, thread in zip(self._servers, threads, strict=True):
                server.shutdown()
                server.server_close()
                thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], hub: FakeHub, *, mirror: bool) -> None:
        super().__init__(address, _Handler)
        self.hub = hub
        self.mirror = mirror

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is part of the game."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        server = cast(_Server, self.server)
        hub = server.hub
        asked = self.headers.get("Range", "")
        hub.requests.append(Request(self.command, self.path, asked, "Authorization" in self.headers))
        fault = hub.fault(self.command, self.path)
        if fault is not None and fault.status:
            self._plain(fault.status, fault.headers)
        elif server.mirror:
            self._content(hub, asked, fault or Fault(""))
        else:
            self._resolve(hub)

    def _resolve(self, hub: FakeHub) -> None:
        found = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self.path)
        content = None if found is None else hub.files.get((found[1], found[2], found[3]))
        if found is None or content is None:
            known = {repository for repository, _, _ in hub.files}
            revisions = {revision for _, revision, _ in hub.files}
            code = "EntryNotFound"
            if found is None or found[1] not in known:
                code = "RepoNotFound"
            elif found[2] not in revisions:
                code = "RevisionNotFound"
            self._plain(404, {"X-Error-Code": code, "X-Repo-Commit": COMMIT})
            return
        name = found[3]
        self._plain(
            302,
            {
                "Location": f"{hub.storage}/content/{found[1]}/{found[2]}/{name}?signed=1",
                "X-Repo-Commit": COMMIT,
                "X-Linked-ETag": f'"{hashlib.sha256(content).hexdigest()}"',
                "X-Linked-Size": str(hub.sizes.get(name, len(content))),
                "X-HF-Warning": "login; a client that is not logged in is slow",
                # what a client with Xet would follow
                "X-Xet-Hash": "0" * 64,
                "Link": f'<{hub.endpoint}/api/xet-token>; rel="xet-auth"',
            },
        )

    def _content(self, hub: FakeHub, asked: str, fault: Fault) -> None:
        found = re.fullmatch(r"/content/([^/]+/[^/]+)/([^/]+)/(.+)\?signed=1", self.path)
        assert found is not None
        body = hub.swapped.get(found[3], hub.files[found[1], found[2], found[3]])
        start = 0 if fault.deaf or not asked else int(asked.removeprefix("bytes=").removesuffix("-"))
        if start and start >= len(body):
            self._plain(416, {"Content-Range": f"bytes */{len(body)}"})
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        part = body[start:]
        stop = fault.cut if fault.cut is not None else fault.stall
        if stop is None:
            self._send(hub, part)
            return
        self._send(hub, part[:stop])
        self.wfile.flush()
        self.close_connection = True
        if fault.stall is not None:
            hub.reached.set()
            hub.closing.wait()

    def _send(self, hub: FakeHub, part: bytes) -> None:
        self.wfile.write(part)
        hub.sent += len(part)

    def _plain(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass
