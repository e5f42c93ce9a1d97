"""Header block → what to do, as a pure function."""

from __future__ import annotations

import pytest

from img2dataset.fetching import FetchSettings
from img2dataset.fetching.consent import wanted_headers
from img2dataset.fetching.http.response_head import Answer, AnswerPolicy, read_answer

SETTINGS = FetchSettings(disallowed_header_directives=("noai",), user_agent_token="mybot", respect_tdm=True)
POLICY = AnswerPolicy(1000, wanted_headers(SETTINGS))


def read(text: str) -> Answer | None:
    return read_answer(text.replace("\n", "\r\n").encode("latin-1"), POLICY)


@pytest.mark.parametrize(
    ("head", "answer"),
    [
        ("HTTP/1.1 200 OK\n\n", Answer(200)),
        ("HTTP/2 200 \n\n", Answer(200)),
        ("HTTP/1.0 203\n\n", Answer(203)),
        ("HTTP/1.1 200 OK\nContent-Length: 1000\n\n", Answer(200, length=1000)),
        ("HTTP/1.1 200 OK\ncontent-length:7\n\n", Answer(200, length=7)),
        ("HTTP/1.1 200 OK\nContent-Length: 1001\n\n", Answer(200, "too large: body", length=1001)),
        ("HTTP/1.1 200 OK\nContent-Length: many\n\n", Answer(200)),
        ("HTTP/1.1 200 OK\nContent-Length: 0\n\n", Answer(200, "empty body", length=0)),
        ("HTTP/1.1 200 OK\nContent-Encoding: GZIP\n\n", Answer(200, encoded=True)),
        ("HTTP/1.1 200 OK\nContent-Encoding: identity\n\n", Answer(200)),
        (
            "HTTP/1.1 200 OK\nX-Robots-Tag: a\nX-ROBOTS-TAG: MyBot: noai\n\n",
            Answer(200, "opt-out: X-Robots-Tag"),
        ),
        ("HTTP/1.1 200 OK\nNot-X-Robots-Tag: noai\n\n", Answer(200)),
        ("HTTP/1.1 404 Not Found\nX-Robots-Tag: noai\n\n", Answer(404, "HTTP 404")),
        ("HTTP/1.1 304 Not Modified\n\n", Answer(304, "HTTP 304")),
        ("HTTP/1.1 503 Busy\nRetry-After: 7\n\n", Answer(503, "HTTP 503", retry_after="7")),
        ("HTTP/1.1 301 Moved\nLocation:  /b.jpg \n\n", Answer(301, location=b"/b.jpg")),
        ("HTTP/1.1 308 Moved\nLocation: /b\nContent-Length: 9\n\n", Answer(308, location=b"/b", length=9)),
        ("HTTP/1.1 302 Found\n\n", Answer(302, "redirect: no location")),
        ("HTTP/1.1 302 Found\nLocation:\n\n", Answer(302, location=b"")),
        ("HTTP/1.1 302 Found\nLocation: /b", Answer(302, location=b"/b")),
    ],
)
def test_the_headers_decide_before_any_body(head: str, answer: Answer) -> None:
    assert read(head) == answer


def test_an_interim_answer_is_no_answer() -> None:
    assert read("HTTP/1.1 103 Early Hints\nLink: </x>\n\n") is None
