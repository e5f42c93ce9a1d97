"""Where files can only be read forwards: a file system of streams, and a web server without ranges."""

from __future__ import annotations

import http.server
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fsspec.implementations.local import LocalFileSystem


class OneWayFile(io.RawIOBase):
    """A file that is read forwards, some bytes at a time."""

    def __init__(self, path: str) -> None:
        self._file = open(path, "rb")  # noqa: SIM115

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size if size < 0 else min(size, 1_000))

    def close(self) -> None:
        self._file.close()
        super().close()


class OneWayFileSystem(LocalFileSystem):
    """The local disk as streams."""

    protocol = "oneway"

    def _open(self, path: str, mode: str = "rb", block_size: int | None = None, **options: Any) -> OneWayFile:
        assert mode == "rb"
        return OneWayFile(path)

    def unstrip_protocol(self, name: str) -> str:
        return f"oneway://{name}"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.removeprefix("oneway://"))


class TarServer(http.server.ThreadingHTTPServer):
    """Serves one file in the way that the path says, and notes the ranges asked for.

    ``/length``, ``/chunked`` and ``/closing`` are without ranges and say their size, send chunks, or close
    the connection behind the last byte; ``/ranges`` knows ranges. Behind ``?cut`` half of it comes.
    """

    daemon_threads = True

    def __init__(self, data: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.data = data
        self.ranges: list[str | None] = []

    def url(self, way: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{way}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that leave before the end are none of its concern."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: TarServer

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self.server.ranges.append(self.headers.get("Range"))
        self._answer(with_body=True)

    def _answer(self, with_body: bool) -> None:
        way, _, cut = self.path.strip("/").partition("?")
        data = self.server.data
        asked = self.headers.get("Range") if way == "ranges" else None
        if asked is not None:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            data = data[int(first) : int(last) + 1]
        self.send_response(206 if asked is not None else 200)
        if way == "ranges":
            self.send_header("Accept-Ranges", "bytes")
            if asked is not None:
                end = int(first) + len(data) - 1
                self.send_header("Content-Range", f"bytes {first}-{end}/{len(self.server.data)}")
        if way == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
        elif way != "closing":
            self.send_header("Content-Length", str(len(data)))
        if way == "closing" or cut:
            self.send_header("Connection", "close")
        self.end_headers()
        if with_body:
            self._send(data[: len(data) // 2] if cut else data, way == "chunked", whole=not cut)

    def _send(self, data: bytes, in_chunks: bool, whole: bool) -> None:
        if not in_chunks:
            self.wfile.write(data)
            return
        for start in range(0, len(data), 50_000):
            chunk = data[start : start + 50_000]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        if whole:
            self.wfile.write(b"0\r\n\r\n")


@contextmanager
def tar_server(data: bytes) -> Iterator[TarServer]:
    with TarServer(data) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(10)
