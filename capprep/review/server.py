"""The report served on this machine alone, written anew each time it is loaded."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from capprep.errors import CapprepError, MissingExtra

if TYPE_CHECKING:
    from starlette.applications import Starlette

HOST = "127.0.0.1"

HEADERS = {
    # the address holds a secret: it is told to nobody and the page is kept nowhere
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def application(page: Callable[[], str], token: str) -> Starlette:
    """An ASGI application that answers `/TOKEN/` with a page, and nothing else.

    A Host header that is not this machine's is refused: another site's name that resolves to this address
    (DNS rebinding) must not read the page.

    Args:
        page: Makes the HTML.
        token: The secret part of the address.

    Raises:
        MissingExtra: starlette is not installed.
    """
    try:
        from starlette.applications import Starlette
        from starlette.middleware import Middleware
        from starlette.middleware.trustedhost import TrustedHostMiddleware
        from starlette.requests import Request
        from starlette.responses import HTMLResponse
        from starlette.routing import Route
    except ImportError as error:
        raise MissingExtra("starlette", "serve") from error

    def answer(_: Request) -> HTMLResponse:
        return HTMLResponse(page(), headers=HEADERS)

    guard = Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"], www_redirect=False)
    return Starlette(routes=[Route(f"/{token}/", answer)], middleware=[guard])


def serve(page: Callable[[], str], port: int, ready: Callable[[str], None]) -> None:
    """Serve a page until Ctrl-C.

    Args:
        page: Makes the HTML, at each load.
        port: Of this machine; 0 for any that is free.
        ready: Told the page's address, once it can be opened.

    Raises:
        MissingExtra: uvicorn is not installed.
        CapprepError: The port is taken.
    """
    try:
        import uvicorn
    except ImportError as error:
        raise MissingExtra("uvicorn", "serve") from error
    token = secrets.token_urlsafe(16)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
            listener.listen()  # whoever comes before the server runs waits instead of being refused
        except OSError as error:
            raise CapprepError(f"port {port} cannot be used: {error.strerror}", "name another with --port") from error
        settings = uvicorn.Config(application(page, token), log_level="error", lifespan="off")
        ready(f"http://{HOST}:{listener.getsockname()[1]}/{token}/")
        uvicorn.Server(settings).run(sockets=[listener])
