"""The page's server, on loopback: what ``live_page`` has seen comes in, answers to a browser go out.

Whoever asks must know the token, and must have called this machine by a name of loopback: else a page of
another site, whose name is made to point here, could read along. Nothing is ever written.
"""

from __future__ import annotations

import hmac
import io
import json
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from img2dataset.reporting.live.metrics import CONTENT_TYPE, metrics_page
from img2dataset.reporting.live.samples import ShownSample
from img2dataset.reporting.page.whole import asset

ADDRESSES = {"127.0.0.1", "localhost", "[::1]"}
# An answer that nobody takes is given up, and a connection whose next request has no whole head by then.
TIMEOUT_S, HEAD_TIMEOUT_S = 30.0, 5.0
# A browser that has the latest view waits so long for the next one.
LONGEST_WAIT_S = 10.0
# Each takes a descriptor and a thread of the run, before its token is known; a browser opens six.
MOST_CONNECTIONS = 32


class Seen(Protocol):
    """What there is to serve, of one run."""

    def view(self, after: int | None, wait_s: float) -> tuple[int, Mapping[str, Any]]:
        """The number of the latest view, and it; waits while there is none but that with number ``after``."""

    def sample(self, key: str) -> ShownSample | None:
        """One of the samples that are shown."""

    def told_last(self) -> None:
        """The last view has been sent to somebody."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a request."""

    status: int
    content_type: str
    body: bytes
    nonce: str = ""
    is_last_view: bool = False


class PageServer:
    """Serves one page, from ``start`` to ``close``.

    Args:
        seen: what is shown.
        port: of 127.0.0.1; 0: one that is free. Where it is taken, another one.

    Raises:
        OSError: there is no loopback, or no port is free.
    """

    def __init__(self, seen: Seen, port: int = 0) -> None:
        self.token = secrets.token_urlsafe(24)
        handler = _handler(seen, self.token)
        try:
            self._server = _Server(("127.0.0.1", port), handler)
        except OSError:
            if not port:
                raise
            self._server = _Server(("127.0.0.1", 0), handler)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """The address of the page, with its token."""
        return f"http://127.0.0.1:{self.port}/?token={self.token}"

    def serve(self) -> None:
        """Answer requests until ``close``."""
        self._server.serve_forever(poll_interval=0.2)

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = MOST_CONNECTIONS
    # Nothing else on this machine is to take the port over.
    allow_reuse_port = False

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, or close the connection at once where there are enough."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread can be started
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and make room for another connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a browser that goes away is no error of a run."""


class _Heads(io.RawIOBase):
    """What comes in on a connection; each head must be whole in time, however slowly its bytes drip."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.begin()

    def begin(self) -> None:
        """The next head is waited for from now on."""
        self._deadline = time.monotonic() + HEAD_TIMEOUT_S

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        self._connection.settimeout(left_s)
        return self._connection.recv_into(buffer)


def answer(seen: Seen, token: str, path: str, headers: Mapping[str, str]) -> Answer:
    """The answer to a GET of a path.

    Args:
        seen: what is shown.
        token: that whoever asks must have.
        path: of the request, with its query.
        headers: of the request.
    """
    host = headers.get("Host", "")
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    if name.lower() not in ADDRESSES:
        return _text(403, "this page is served to 127.0.0.1 and localhost only")
    parts = urlsplit(path)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    given = query.get("token") or headers.get("Authorization", "").removeprefix("Bearer ")
    if not hmac.compare_digest(given.encode("utf-8", "replace"), token.encode()):
        return _text(403, "this page needs its token: open the address that img2dataset has printed")
    make = _PAGES.get(parts.path)
    return make(seen, query) if make is not None else _text(404, "there is nothing here")


def _page(seen: Seen, query: Mapping[str, str]) -> Answer:
    nonce = secrets.token_urlsafe(16)
    text = _file("page.html").replace("{nonce}", nonce)
    style = asset("style.css") + _file("live.css")
    text = text.replace("{style}", style).replace("{script}", _file("live.js"))
    return Answer(200, "text/html; charset=utf-8", text.encode(), nonce)


def _view(seen: Seen, query: Mapping[str, str]) -> Answer:
    after = query.get("after", "")
    is_number = after.isascii() and after.isdecimal() and len(after) < 10
    number, view = seen.view(int(after) if is_number else None, LONGEST_WAIT_S)
    body = json.dumps({"number": number, **view}).encode()
    return Answer(200, "application/json", body, is_last_view=bool(view.get("is_last")))


def _image(seen: Seen, query: Mapping[str, str]) -> Answer:
    sample = seen.sample(query.get("key", ""))
    if sample is None:
        return _text(404, "this image is not shown any more")
    return Answer(200, sample.content_type, sample.image)


def _metrics(seen: Seen, query: Mapping[str, str]) -> Answer:
    return Answer(200, CONTENT_TYPE, metrics_page(seen.view(None, 0.0)[1]).encode())


_PAGES: dict[str, Callable[[Seen, Mapping[str, str]], Answer]] = {
    "/": _page,
    "/view": _view,
    "/image": _image,
    "/metrics": _metrics,
}


def _file(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _text(status: int, text: str) -> Answer:
    return Answer(status, "text/plain; charset=utf-8", f"{text}\n".encode())


def _handler(seen: Seen, token: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version, sys_version = "img2dataset", ""

        def setup(self) -> None:
            super().setup()
            self._heads = _Heads(self.connection)
            self.rfile.close()
            self.rfile = io.BufferedReader(self._heads)

        def handle_one_request(self) -> None:
            self._heads.begin()
            super().handle_one_request()

        def do_GET(self) -> None:
            self._send(answer(seen, token, self.path, self.headers))  # type: ignore[arg-type]

        def do_HEAD(self) -> None:
            self.do_GET()

        def _send(self, made: Answer) -> None:
            self.connection.settimeout(TIMEOUT_S)
            self.send_response(made.status)
            self.send_header("Content-Type", made.content_type)
            self.send_header("Content-Length", str(len(made.body)))
            for name, value in _SAFE.items():
                self.send_header(name, value)
            scripts = f"'nonce-{made.nonce}'" if made.nonce else "'none'"
            self.send_header(
                "Content-Security-Policy",
                f"default-src 'none'; script-src {scripts}; style-src {scripts}; img-src 'self' data:;"
                " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            )
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(made.body)
            if made.is_last_view:
                seen.told_last()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing: the token would stand in it."""

    return Handler


_SAFE = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    # The token is in the address.
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
