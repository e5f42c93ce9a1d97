"""A row's own header lines go with its request; the fields asked for come back with its body."""

from __future__ import annotations

import queue

import pytest

from img2dataset import failures
from img2dataset.fetching import Fetcher, FetchSettings
from img2dataset.fetching.http.response_head import AnswerPolicy, kept_values, read_answer
from img2dataset.types import Fetched, Row
from tests.fetching.download_all import HANG_GUARD_S
from tests.servers import ImageServer

BODY = b"a body" * 100


def fetched(fetcher: Fetcher, answers: queue.SimpleQueue[Fetched], url: str, *headers: str) -> Fetched:
    fetcher.submit([Row(0, 0, url, headers)])
    answer = answers.get(timeout=HANG_GUARD_S)
    fetcher.release(answer.size)
    return answer


def test_header_lines_of_a_row_are_sent_with_its_request_and_with_no_other(image_server: ImageServer) -> None:
    url = image_server.put("/conditional/a.jpg", BODY)
    answers: queue.SimpleQueue[Fetched] = queue.SimpleQueue()
    with Fetcher(FetchSettings(adaptive_thread_count=False), answers.put) as fetcher:
        for headers in (('If-None-Match: "one"',), (), ("If-Modified-Since: then", 'If-None-Match: W/"two"')):
            assert fetched(fetcher, answers, url, *headers).body == BODY
            request = image_server.last_request("/conditional/a.jpg") or ""
            assert tuple(line for line in request.splitlines() if line.startswith("If-")) == headers


def test_header_lines_of_a_row_go_beside_those_of_the_user(image_server: ImageServer) -> None:
    from img2dataset.fetching import load_access

    url = image_server.put("/conditional/b.jpg", BODY)
    answers: queue.SimpleQueue[Fetched] = queue.SimpleQueue()
    settings = FetchSettings(
        access=load_access(extra_headers=["X-Own: yes"], environment={}), adaptive_thread_count=False
    )
    with Fetcher(settings, answers.put) as fetcher:
        for headers in (('If-None-Match: "one"',), ()):
            fetched(fetcher, answers, url, *headers)
            request = (image_server.last_request("/conditional/b.jpg") or "").splitlines()
            assert "X-Own: yes" in request
            assert ('If-None-Match: "one"' in request) is bool(headers)


def test_the_fields_that_are_asked_for_come_with_the_body(image_server: ImageServer) -> None:
    url = image_server.put("/conditional/c.jpg", BODY, headers=[("ETag", 'W/"c"'), ("etag", "second")])
    answers: queue.SimpleQueue[Fetched] = queue.SimpleQueue()
    with Fetcher(
        FetchSettings(kept_headers=("ETag", "Last-Modified"), adaptive_thread_count=False), answers.put
    ) as fetcher:
        assert fetched(fetcher, answers, url).headers == ('W/"c"', None)
        redirected = image_server.put("/conditional/d", b"", status=302, headers=[("Location", url)])
        assert fetched(fetcher, answers, redirected).headers == ('W/"c"', None)
    with Fetcher(FetchSettings(adaptive_thread_count=False), answers.put) as fetcher:
        assert fetched(fetcher, answers, url).headers == ()


def test_not_modified_is_told_as_its_status_and_is_not_tried_again(image_server: ImageServer) -> None:
    url = image_server.put("/conditional/e.jpg", b"", status=304)
    answers: queue.SimpleQueue[Fetched] = queue.SimpleQueue()
    with Fetcher(
        FetchSettings(retries=2, kept_headers=("ETag",), adaptive_thread_count=False), answers.put
    ) as fetcher:
        answer = fetched(fetcher, answers, url, 'If-None-Match: "e"')
    assert (answer.body, answer.failure, answer.headers) == (None, failures.of_status(304), ())
    assert image_server.count("/conditional/e.jpg") == 1


@pytest.mark.parametrize(("status", "length"), [(304, None), (404, 100_000)])
def test_no_body_is_expected_of_not_modified_whatever_its_length(status: int, length: int | None) -> None:
    head = f"HTTP/1.1 {status} Status\r\nContent-Length: 100000\r\n\r\n".encode()
    answer = read_answer(head, AnswerPolicy(max_body_bytes=1000))
    assert answer is not None
    assert answer.length == length


def test_kept_values_are_those_of_whole_names() -> None:
    head = b'HTTP/1.1 200 OK\r\nX-ETag: no\r\nETAG:  "x" \r\nLast-Modified: Thu, 01 Jan 1970\r\n\r\n'
    assert kept_values(head, ("ETag", "Last-Modified", "Age")) == ('"x"', "Thu, 01 Jan 1970", None)
