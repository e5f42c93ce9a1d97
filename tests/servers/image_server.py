"""The handle a test holds on a web server that runs in a process of its own (``process.py``).

The server shares no interpreter lock with the code under test, so that neither slows the other.
Commands go as one line of JSON (and a body) through its standard input, answers come back as one
line: when a call returns, the server has done it. It ends when the handle is closed or the test
process is gone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]


class ImageServer:
    """A web server on 127.0.0.1 to 127.0.0.16, one ephemeral port; https if given a certificate file.

    With ``client_authority`` it wants a certificate of its clients, signed by that authority.
    """

    def __init__(self, certificate: str | None = None, client_authority: str | None = None) -> None:
        self.scheme = "https" if certificate else "http"
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.servers.process", *filter(None, (certificate, client_authority))],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.process_id = self._process.pid
        self.port: int = self._answer()["port"]

    def url(self, path: str, host: int | str = 1) -> str:
        """The address of ``path``; ``host`` is the last number of 127.0.0.x (1 to 16) or a name."""
        return f"{self.scheme}://{f'127.0.0.{host}' if isinstance(host, int) else host}:{self.port}{path}"

    def put(
        self,
        path: str,
        body: bytes,
        content_type: str = "image/jpeg",
        *,
        status: int = 200,
        headers: Sequence[tuple[str, str]] = (),
        latency_s: float = 0.0,
    ) -> str:
        """Serve ``body`` at ``path`` from now on, whatever the query; returns its address.

        Content-Length is added; ``headers`` are sent as they are, repeated names too.
        """
        lines = [f"Content-Type: {content_type}", *(f"{name}: {value}" for name, value in headers)]
        self._command(
            {"do": "put", "path": path, "status": status, "lines": lines, "latency": latency_s}, body
        )
        return self.url(path)

    def count(self, path: str) -> int:
        """Requests for ``path`` so far, whatever their query."""
        return int(self._command({"do": "count", "path": path})["count"])

    def times(self, path: str) -> list[float]:
        """When each request for ``path``, a ``/limited/…`` one, came; seconds of one clock."""
        return list(self._command({"do": "times", "path": path})["times"])

    def sent(self) -> list[tuple[float, int]]:
        """When how many bytes of the resources went out, by answer; seconds of one clock."""
        return [(moment, size) for moment, size in self._command({"do": "sent"})["sent"]]

    def last_request(self, path: str) -> str | None:
        """Request line and headers of the latest request for ``path``, or None."""
        request = self._command({"do": "last", "path": path})["request"]
        return None if request is None else str(request)

    def statistics(self) -> dict[str, int]:
        """``requests`` and ``connections`` so far; ``open`` now, and at most (``peak``) since reset."""
        return self._command({"do": "statistics"})

    def reset_peak(self) -> None:
        self._command({"do": "reset_peak"})

    def abort(self) -> None:
        """Give up every connection that is open."""
        self._command({"do": "abort"})

    def close(self) -> None:
        if self._process.stdin and not self._process.stdin.closed:
            self._process.stdin.close()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()

    def __enter__(self) -> ImageServer:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _command(self, command: dict[str, Any], body: bytes = b"") -> dict[str, Any]:
        with self._lock:
            assert self._process.stdin
            self._process.stdin.write(json.dumps({**command, "size": len(body)}).encode() + b"\n" + body)
            self._process.stdin.flush()
            return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the test server ended with status {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer
