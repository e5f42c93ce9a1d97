"""Download a handful of URLs with a fetcher of their own, releasing every body at once."""

from __future__ import annotations

import queue
from collections.abc import Sequence
from typing import Any

from img2dataset.fetching import Fetcher, FetchSettings
from img2dataset.types import Fetched, Row

HANG_GUARD_S = 60


def download_all(urls: Sequence[str], **settings: Any) -> list[Fetched]:
    """The outcomes in the order of ``urls``; ``settings`` are fields of ``FetchSettings``."""
    delivered: queue.SimpleQueue[Fetched] = queue.SimpleQueue()
    with Fetcher(FetchSettings(**{"adaptive_thread_count": False, **settings}), delivered.put) as fetcher:
        fetcher.submit(Row(0, index, url) for index, url in enumerate(urls))
        outcomes: dict[int, Fetched] = {}
        for _ in urls:
            fetched = delivered.get(timeout=HANG_GUARD_S)
            assert fetched.row.index not in outcomes
            outcomes[fetched.row.index] = fetched
            fetcher.release(fetched.size)
        assert delivered.empty()
        assert (fetcher.waiting, fetcher.in_flight, fetcher.held_bytes) == (0, 0, 0)
    return [outcomes[index] for index in range(len(urls))]


def download(url: str, **settings: Any) -> Fetched:
    return download_all([url], **settings)[0]


def failure_of(url: str, **settings: Any) -> str | None:
    """How the download of ``url`` failed; checks that a failure has no body and a body no failure."""
    fetched = download(url, **settings)
    assert (fetched.body is None) == (fetched.failure is not None)
    assert fetched.size == len(fetched.body or b"")
    return fetched.failure
