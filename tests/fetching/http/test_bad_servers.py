"""Every way a server can misbehave ends in time, with one of a few texts. Timeouts are short on purpose."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.fetching.download_all import download, download_all, failure_of
from tests.servers import ImageServer
from tests.servers.misbehaviours import SMALL_BODY


@pytest.mark.parametrize(
    ("path", "failure"),
    [
        ("/status/404", "HTTP 404"),
        ("/status/410", "HTTP 410"),
        ("/status/429", "HTTP 429"),
        ("/status/500", "HTTP 500"),
        ("/status/304", "HTTP 304"),
        ("/status/204", "empty body"),
        ("/empty", "empty body"),
        ("/large-error?size=100000000", "HTTP 404"),
        ("/error-that-hangs", "HTTP 404"),
        ("/hang-before-headers", "timeout: silence"),
        ("/hang-in-body", "timeout: silence"),
        ("/drip-headers?interval=0.05", "timeout: silence"),
        ("/drip-body?interval=0.05", "timeout: too slow"),
        ("/reset", "connection: reset"),
        ("/reset-in-body", "connection: reset"),
        ("/close", "connection: closed early"),
        ("/close-in-body", "connection: closed early"),
        ("/broken-chunks", "protocol: broken chunks"),
        ("/header-flood", "protocol: headers too large"),
        ("/long-header?size=1000000", "protocol: headers too large"),
        ("/not-http", "protocol: not HTTP"),
        ("/huge-length", "too large: body"),
        ("/endless-body", "too large: body"),
        ("/gzip-bomb?megabytes=20", "too large: body"),
    ],
)
def test_a_bad_answer_is_one_of_a_few_failures(image_server: ImageServer, path: str, failure: str) -> None:
    # Where time is not what ends it, a busy machine may take longer. A drip that pauses for the whole timeout
    # there is a silence.
    timeout = {"timeout: silence": 1.0, "timeout: too slow": 3.0}.get(failure, 60.0)
    settings = {"timeout": timeout, "max_download_bytes": 2_000_000, "max_retry_after": 0}
    assert failure_of(image_server.url(path), **settings) == failure


def test_a_dripping_server_cannot_outlive_the_deadline(image_server: ImageServer) -> None:
    url = image_server.url("/drip-body?interval=0.05&bytes=500")
    assert failure_of(url, timeout=2.0, deadline=3.0) == "timeout: deadline"


def test_redirects_do_not_renew_the_deadline(image_server: ImageServer) -> None:
    url = image_server.url("/slow-redirect?seconds=0.4")
    assert failure_of(url, timeout=10, deadline=1.5) == "timeout: deadline"


def test_a_pause_shorter_than_the_timeout_is_forgiven(image_server: ImageServer) -> None:
    assert download(image_server.url("/pause-in-body?seconds=1.2&size=1000"), timeout=4.0).size == 1000
    assert download(image_server.url("/slow?seconds=1.2"), timeout=4.0).body == SMALL_BODY


def test_the_limit_of_size_holds_for_what_was_announced_what_comes_and_what_unfolds(
    image_server: ImageServer,
) -> None:
    size = len(SMALL_BODY)
    for path in (f"/long-body?size={size}", f"/unsized?size={size}", "/chunked", "/encoded/gzip"):
        assert download(image_server.url(path), max_download_bytes=size).size == size
        assert failure_of(image_server.url(path), max_download_bytes=size - 1) == "too large: body"


def test_a_refused_connection_is_told_from_a_silent_one(full_backlog: str) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        assert failure_of(f"http://127.0.0.1:{port}/a.jpg") == "connection: refused"
    assert failure_of(full_backlog, timeout=0.5) == "timeout: connect"


@pytest.fixture
def full_backlog() -> Iterator[str]:
    """An address that takes no connection any more: its queue is full and nobody accepts."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/a.jpg"
        for each in waiting:
            each.close()


def test_a_name_that_does_not_exist_is_said_to_every_row_of_it() -> None:
    # .invalid never exists (RFC 6761); a resolver that is out of order may say so instead.
    outcomes = download_all([f"http://nowhere.invalid/{n}.jpg" for n in range(20)], timeout=5)
    assert {outcome.failure for outcome in outcomes} <= {"DNS: name not found", "DNS: temporary failure"}


def test_a_server_that_never_finishes_the_tls_handshake_is_a_connect_timeout(full_silence: int) -> None:
    assert failure_of(f"https://127.0.0.1:{full_silence}/a.jpg", timeout=0.5) == "timeout: connect"


@pytest.fixture
def full_silence() -> Iterator[int]:
    """A port that accepts and says nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        accepted: list[socket.socket] = []

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    accepted.append(listener.accept()[0])

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        for each in accepted:
            each.close()


@pytest.mark.parametrize("url", ["", "no scheme", "file:///etc/passwd", "http://bad host/", "http://a\x01b/"])
def test_what_cannot_be_requested_fails_at_once(url: str) -> None:
    assert (failure_of(url) or "").startswith(("invalid url: ", "scheme: "))


def test_what_can_pass_is_tried_again_until_it_works(image_server: ImageServer) -> None:
    url = image_server.url("/flaky/retried?fail=2&status=503")
    assert download(url, retries=2).body == SMALL_BODY
    assert image_server.count("/flaky/retried") == 3


def test_tries_end_at_the_limit(image_server: ImageServer) -> None:
    assert failure_of(image_server.url("/flaky/limited?fail=9&status=500"), retries=1) == "HTTP 500"
    assert image_server.count("/flaky/limited") == 2


def test_what_will_not_change_is_asked_once(image_server: ImageServer) -> None:
    assert failure_of(image_server.url("/flaky/gone?fail=9&status=404"), retries=5) == "HTTP 404"
    assert image_server.count("/flaky/gone") == 1


def test_a_row_that_waits_for_its_next_try_takes_no_slot(image_server: ImageServer) -> None:
    busy = [image_server.url(f"/flaky/busy{n}?fail=1&status=500&line=Retry-After:%202") for n in range(4)]
    good = [image_server.url("/chunked")] * 20
    outcomes = download_all(busy + good, thread_count=1, retries=1)
    assert {outcome.failure for outcome in outcomes} == {None}


def test_a_server_that_asks_for_too_long_a_wait_is_left_for_another_run(image_server: ImageServer) -> None:
    url = image_server.url("/flaky/later?fail=1&status=429&line=Retry-After:%20100000")
    assert failure_of(url, retries=3) == "HTTP 429"
    assert image_server.count("/flaky/later") == 1
