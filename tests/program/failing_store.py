"""A store that fails: a proxy in front of a real S3 server, in this process, told what to refuse.

Comes in: requests. Goes out: what the server answers, or a failure; and a list of what was asked.
"""

from __future__ import annotations

import http.client
import itertools
import random
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

SLOW_S = 0.3
_HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive"}
_ERROR = (
    '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
)


@dataclass
class Store:
    """What is asked of the store, and how it answers.

    ``failing_share`` of all requests fail in a way of its own each: 500, 503, a reset, or half a second late;
    or ``always`` in one way.
    ``refused`` are endings of object names whose puts fail for ever, once ``puts_before_refusal`` of them
    have passed, with ``refusal`` (status, code, message).
    """

    address: str = ""
    failing_share: float = 0.0
    always: str = ""
    refused: tuple[str, ...] = ()
    puts_before_refusal: int = 0
    refusal: tuple[int, str, str] = (403, "AccessDenied", "the key was revoked")
    puts: list[str] = field(default_factory=list)
    failures: int = 0
    random: random.Random = field(default_factory=lambda: random.Random(5))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def heal(self) -> None:
        """From now on everything works; what was asked is forgotten."""
        self.failing_share, self.always, self.refused = 0.0, "", ()
        self.puts.clear()
        self.failures = 0

    def shards_put(self) -> list[str]:
        """The names of the shards' files that puts were tried for, in their order, without folders."""
        return [name for name in (path.rpartition("/")[2] for path in self.puts) if name[:1].isdigit()]

    def failure_of(self, method: str, path: str) -> str | tuple[int, str, str] | None:
        """How this request fails, if it does: an answer, ``reset`` or ``slow``."""
        with self.lock:
            if method == "PUT":
                self.puts.append(path)
                if self.refused and path.endswith(self.refused):
                    self.puts_before_refusal -= 1
                    if self.puts_before_refusal < 0:
                        self.failures += 1
                        return self.refusal
            if self.random.random() >= self.failing_share:
                return None
            self.failures += 1
            return self.always or next(_FAILURES)


_FAILURES: Iterator[str | tuple[int, str, str]] = itertools.cycle(
    [
        (503, "SlowDown", "Please reduce your request rate."),
        "reset",
        (500, "InternalError", "We encountered an internal error."),
        "slow",
    ]
)


@contextmanager
def failing_store(server: str) -> Iterator[Store]:
    """A store in front of the S3 server at this address; healthy until it is told otherwise."""
    store = Store()
    host = urlsplit(server).netloc

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            failure = store.failure_of(self.command, urlsplit(self.path).path)
            if failure == "reset":
                self._reset()
            elif isinstance(failure, tuple):
                status, code, message = failure
                self._answer(status, [], _ERROR.format(code=code, message=message).encode())
            else:
                if failure == "slow":
                    time.sleep(SLOW_S)
                self._forward(body)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any

        def _forward(self, body: bytes) -> None:
            connection = http.client.HTTPConnection(host, timeout=60)
            try:
                connection.request(self.command, self.path, body, dict(self.headers.items()))
                answer = connection.getresponse()
                self._answer(answer.status, answer.getheaders(), answer.read())
            finally:
                connection.close()

        def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() not in _HOP_BY_HOP and (self.command == "HEAD" or name != "Content-Length"):
                    self.send_header(name, value)
            if self.command != "HEAD":
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def _reset(self) -> None:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()

        def log_message(self, *arguments: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *arguments: object) -> None:
            pass  # what a reset leaves behind

    with Server(("127.0.0.1", 0), Proxy) as proxy:
        store.address = f"http://127.0.0.1:{proxy.server_address[1]}"
        thread = threading.Thread(target=proxy.serve_forever, daemon=True)
        thread.start()
        try:
            yield store
        finally:
            proxy.shutdown()
            thread.join()
