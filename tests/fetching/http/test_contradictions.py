"""Headers that contradict their bodies: whatever begins as an image is one. And cookies within redirects."""

from __future__ import annotations

import gzip
import socket
import threading
import zlib
from collections.abc import Iterator
from datetime import datetime, timezone

import pytest

from img2dataset.fetching.requests.outcomes import parse_retry_after
from tests.fetching.download_all import download, failure_of
from tests.pictures import photograph

JPEG = photograph(120, 90)


class RawServer:
    """Answers each request with what was put at its path, byte for byte, and closes the connection."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.answers: dict[str, bytes] = {}
        self.requests: list[str] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def put(self, path: str, *headers: str, body: bytes = JPEG, status: str = "200 OK") -> str:
        lines = [f"HTTP/1.1 {status}", *headers, "Connection: close", "", ""]
        self.answers[path] = "\r\n".join(lines).encode("latin-1") + body
        return f"http://127.0.0.1:{self.port}{path}"

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                head = b""
                while b"\r\n\r\n" not in head and (piece := connection.recv(65536)):
                    head += piece
                self.requests.append(head.decode("latin-1"))
                connection.sendall(self.answers.get(head.split()[1].decode("latin-1"), b"") if head else b"")

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def server() -> Iterator[RawServer]:
    server = RawServer()
    yield server
    server.close()


def length(body: bytes) -> str:
    return f"Content-Length: {len(body)}"


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "binary", "image/jpeg", "aws-chunked", "gzip", "deflate", "br", "none", "UTF-8, gzip"],
)
def test_an_encoding_that_is_none_is_not_undone(server: RawServer, encoding: str) -> None:
    url = server.put("/a", f"Content-Encoding: {encoding}", length(JPEG))
    assert download(url).body == JPEG


@pytest.mark.parametrize("encoding", ["foo", "utf-8", "binary", "gzip"])
@pytest.mark.parametrize("told", [True, False])
def test_an_encoding_of_the_transfer_that_is_none_is_not_undone(
    server: RawServer, encoding: str, told: bool
) -> None:
    headers = [length(JPEG)] if told else []
    body = gzip.compress(JPEG) if encoding == "gzip" and not told else JPEG
    url = server.put("/a", f"Transfer-Encoding: {encoding}", *headers, body=body)
    assert download(url).body == JPEG
    again = server.put("/b", length(JPEG))
    assert download(again).body == JPEG


@pytest.mark.parametrize(
    "lines",
    [
        ["Location: /picture", "Location: /elsewhere"],
        ["Location: /picture", "Location: http://192.0.2.1/", "Location: /third"],
        ["Location: /picture", "a line without a colon"],
        ["Set-Cookie: a=b", "Location: /picture", "nothing", "Content-Length: 0"],
    ],
)
def test_a_redirect_with_a_line_that_is_refused_leads_to_its_first_location(
    server: RawServer, lines: list[str]
) -> None:
    server.put("/picture", length(JPEG))
    url = server.put("/a", *lines, status="302 Found", body=b"")
    assert download(url).body == JPEG
    assert [request.split()[1] for request in server.requests] == ["/a", "/picture"]


def test_without_a_location_before_the_refused_line_it_is_no_redirect(server: RawServer) -> None:
    url = server.put("/a", "nothing", "Location: /picture", status="302 Found", body=b"")
    assert failure_of(url) == "protocol: not HTTP"
    url = server.put("/b", "Location: http://169.254.169.254/", "Location: /picture", status="302 Found")
    assert failure_of(url) == "address: link-local"


@pytest.mark.parametrize(
    "junk", [b"junk", b"\0" * 4000, b"\x1f\x8bjunk", gzip.compress(b"more", mtime=0)[:7]]
)
def test_what_stands_behind_compressed_data_is_cut_off(server: RawServer, junk: bytes) -> None:
    body = gzip.compress(JPEG) + junk
    url = server.put("/a", "Content-Encoding: gzip", length(body), body=body)
    assert download(url).body == JPEG


@pytest.mark.parametrize("broken", [gzip.compress(JPEG)[:-8] + bytes(8), zlib.compress(JPEG)[:-4] + bytes(4)])
@pytest.mark.parametrize("said", ["gzip", "deflate", "utf-8"])
def test_a_wrong_checksum_behind_a_whole_picture_costs_nothing(
    server: RawServer, said: str, broken: bytes
) -> None:
    url = server.put("/a", f"Content-Encoding: {said}", length(broken), body=broken)
    assert download(url).body == JPEG


def test_compressed_data_that_breaks_off_gives_what_was_in_it(server: RawServer) -> None:
    broken = bytearray(gzip.compress(JPEG, 1))
    middle = len(broken) // 2
    broken[middle : middle + 64] = b"\xff" * 64
    url = server.put("/a", "Content-Encoding: gzip", length(broken), body=bytes(broken))
    body = download(url).body
    assert body is not None
    assert body.startswith(JPEG[: len(JPEG) // 4])


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_what_is_compressed_is_undone_whatever_else_the_header_says(server: RawServer, pack: object) -> None:
    body = pack(JPEG)  # type: ignore[operator]
    url = server.put("/a", "Content-Encoding: aws-chunked, gzip", length(body), body=body)
    assert download(url).body == JPEG


def test_a_bomb_that_lies_about_its_encoding_is_bounded(server: RawServer) -> None:
    body = gzip.compress(bytes(20_000_000))
    url = server.put("/a", "Content-Encoding: utf-8", length(body), body=body)
    assert failure_of(url, max_download_bytes=1_000_000) == "too large: body"


@pytest.mark.parametrize("said", ["-1", "12abc", "", "99999999999999999999999"])
def test_a_length_that_is_none_is_not_believed(server: RawServer, said: str) -> None:
    url = server.put("/a", f"Content-Length: {said}")
    assert download(url).body == JPEG


def test_two_lengths_that_differ_are_not_believed(server: RawServer) -> None:
    url = server.put("/a", "Content-Length: 7", length(JPEG))
    assert download(url).body == JPEG


def test_a_contradiction_costs_one_request_more_and_no_retry(server: RawServer) -> None:
    url = server.put("/a", "Content-Encoding: utf-8", length(JPEG))
    assert download(url, retries=0).body == JPEG
    assert len(server.requests) == 2
    # The next row on the same transfer is asked for as usual.
    packed = gzip.compress(JPEG)
    url = server.put("/b", "Content-Encoding: gzip", length(packed), body=packed)
    assert download(url).body == JPEG
    assert len(server.requests) == 3


def cookies_of(request: str) -> list[str]:
    (line,) = [line for line in request.split("\r\n") if line.lower().startswith("cookie:")] or [""]
    return sorted(line.partition(": ")[2].split("; ")) if line else []


def test_cookies_set_in_a_chain_of_redirects_are_sent_on_in_it_and_forgotten(server: RawServer) -> None:
    first = server.put(
        "/a",
        "Location: /in/b",
        "Set-Cookie: session=1; Path=/; HttpOnly",
        "Set-Cookie: gone=2; Max-Age=0",
        "Set-Cookie: old=3; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        "Set-Cookie: elsewhere=4; Domain=example.com",
        "Set-Cookie: secure=5; Secure; Path=/",
        "Set-Cookie: inside=6; Path=/in",
        "Set-Cookie: outside=7; Path=/out",
        status="302 Found",
        body=b"",
    )
    server.put("/in/b", "Location: /c", "Set-Cookie: session=8; Path=/", status="302 Found", body=b"")
    server.put("/c", length(JPEG))
    assert download(first).body == JPEG
    assert [cookies_of(request) for request in server.requests] == [
        [],
        ["inside=6", "session=1"],
        ["session=8"],
    ]
    assert download(server.put("/d", length(JPEG))).body == JPEG
    assert cookies_of(server.requests[-1]) == []


@pytest.mark.parametrize("age", ["²", "--5", "+7", "9" * 500, "-" + "9" * 500, "5 ", "", "1e3"])
def test_no_age_of_a_cookie_ends_the_downloader(server: RawServer, age: str) -> None:
    """It would end the run with it: one server decides what stands there."""
    first = server.put(
        "/a",
        "Location: /b",
        f"Set-Cookie: odd=1; Max-Age={age}",
        "Set-Cookie: good=2; Max-Age=60",
        status="302 Found",
        body=b"",
    )
    server.put("/b", length(JPEG))
    assert download(first).body == JPEG
    kept = [] if age.startswith("-9") else ["odd=1"]
    assert cookies_of(server.requests[-1]) == sorted(["good=2", *kept])


def test_an_empty_location_asks_again_with_the_cookie_that_came_with_it(server: RawServer) -> None:
    url = server.put("/a", "Location:", "Set-Cookie: seen=1", status="302 Found", body=b"")
    assert failure_of(url) == "redirect: too many"
    assert [cookies_of(request) for request in server.requests][:3] == [[], ["seen=1"], ["seen=1"]]


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Europe/Berlin", "Asia/Kolkata"])
@pytest.mark.parametrize(
    "date",
    [
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 -0000",
        "06 Nov 1994 08:49:37",
    ],
)
def test_a_date_is_of_greenwich_wherever_the_program_runs(
    zone: str, date: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        then = datetime(1994, 11, 6, 8, 49, 37, tzinfo=timezone.utc).timestamp()
        assert parse_retry_after(date, then - 60) == 60
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("packed", [gzip.compress(b""), zlib.compress(b"")])
def test_nothing_that_was_packed_is_an_empty_body(server: RawServer, packed: bytes) -> None:
    """With --disable_all_reencoding no decoder would see that there is no picture."""
    url = server.put("/a", "Content-Encoding: image/jpeg", length(packed), body=packed)
    assert failure_of(url) == "empty body"
