"""A server may end a connection that was used before; what it had not taken is sent again at once."""

from __future__ import annotations

import collections
import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fetching.download_all import download_all, failure_of
from tests.servers import Nginx, TestAuthority, find_nginx

BODY = b"body" * 5000


@pytest.mark.parametrize(
    "keepalive",
    [
        "keepalive_requests 3; keepalive_timeout 60s;",
        "keepalive_requests 1; keepalive_timeout 60s;",
        "keepalive_requests 1000; keepalive_timeout 0;",
    ],
)
def test_a_server_of_http2_that_ends_its_connections_costs_no_row(
    keepalive: str, certificates: TestAuthority, tmp_path: Path
) -> None:
    if find_nginx() is None:
        pytest.skip("nginx is not installed; on Debian: apt-get install nginx-light")
    server = Nginx(tmp_path / "nginx", tmp_path / "files", certificates.certificate("127.0.0.1"), keepalive)
    (tmp_path / "files" / "a.jpg").write_bytes(BODY)
    try:
        for address in (server.http2, server.https, server.http):
            urls = [f"{address}/a.jpg?{n}" for n in range(600)]
            outcomes = download_all(urls, thread_count=64, ca_bundle=certificates.authority_file)
            assert {outcome.failure for outcome in outcomes} == {None}
            assert {len(outcome.body or b"") for outcome in outcomes} == {len(BODY)}
    finally:
        server.close()


class RawServer:
    """Answers the first ``answered`` requests of each connection, then ends it as told, unanswered."""

    def __init__(self, answered: int, resets: bool) -> None:
        self.answered, self.resets = answered, resets
        self.requests: collections.Counter[str] = collections.Counter()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            for number in range(self.answered + 1):
                request = b""
                while not request.endswith(b"\r\n\r\n"):
                    received = connection.recv(4096)
                    if not received:
                        return
                    request += received
                self.requests[request.split(b" ")[1].decode()] += 1
                if number < self.answered:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody")
            if self.resets:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def close(self) -> None:
        self._listener.close()


@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize("answered", [1, 5])
def test_a_kept_connection_that_is_ended_unanswered_costs_no_row(answered: int, resets: bool) -> None:
    server = RawServer(answered, resets)
    outcomes = download_all([f"{server.url}/{n}" for n in range(400)], thread_count=8)
    assert {outcome.failure for outcome in outcomes} == {None}
    # libcurl itself goes through up to five kept connections.
    assert max(server.requests.values()) <= 9
    server.close()


@pytest.mark.parametrize(("resets", "failure"), [(False, "closed early"), (True, "reset")])
def test_a_new_connection_that_is_ended_unanswered_is_the_hosts_failure(resets: bool, failure: str) -> None:
    server = RawServer(0, resets)
    outcomes = download_all([f"{server.url}/{n}" for n in range(20)], thread_count=4)
    assert {outcome.failure for outcome in outcomes} == {f"connection: {failure}"}
    assert set(server.requests.values()) == {1}
    server.close()


@pytest.fixture
def rude(certificates: TestAuthority) -> Iterator[str]:
    """Ends its connections over TLS without saying so; the path says what it sends."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.certificate("127.0.0.1"))
    listener = socket.create_server(("127.0.0.1", 0))
    answers = {
        b"/unsized": b"\r\n" + BODY,
        b"/short": b"Content-Length: %d\r\n\r\n" % (2 * len(BODY)) + BODY,
        b"/chunked": b"Transfer-Encoding: chunked\r\n\r\n4e20\r\n" + BODY + b"\r\n",
        b"/nothing": b"\r\n",
    }

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as tls:
                    path = tls.recv(4096).split(b" ")[1]
                    tls.sendall(b"HTTP/1.1 200 OK\r\n" + answers[path])

    threading.Thread(target=serve, daemon=True).start()
    yield f"https://127.0.0.1:{listener.getsockname()[1]}"
    listener.close()


def test_an_answer_of_unknown_length_may_end_without_the_farewell_of_tls(
    rude: str, certificates: TestAuthority
) -> None:
    (fetched,) = download_all([f"{rude}/unsized"], ca_bundle=certificates.authority_file)
    assert (fetched.failure, fetched.body) == (None, BODY)


@pytest.mark.parametrize(
    ("path", "failure"),
    [
        ("short", "connection: closed early"),
        ("chunked", "connection: closed early"),
        ("nothing", "empty body"),
    ],
)
def test_one_that_is_known_to_be_cut_off_is_still_a_failure(
    path: str, failure: str, rude: str, certificates: TestAuthority
) -> None:
    assert failure_of(f"{rude}/{path}", ca_bundle=certificates.authority_file) == failure
