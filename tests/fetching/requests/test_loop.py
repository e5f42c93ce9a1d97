"""What the loop does with a request that has ended, against real servers."""

from __future__ import annotations

import errno
import os
from urllib.parse import quote

import pytest

from tests.fetching.download_all import download_all
from tests.servers import ImageServer


@pytest.mark.parametrize("others", [0, 3])
def test_a_redirected_row_that_is_repeated_gives_back_the_slot_of_the_host_that_it_was_at(
    image_server: ImageServer, monkeypatch: pytest.MonkeyPatch, others: int
) -> None:
    """This machine has no descriptor for the connection to the second host, once."""
    target = image_server.put("/repeated.jpg", b"repeated").replace("127.0.0.1", "127.0.0.9")
    first = image_server.url(f"/redirect?to={quote(target)}")
    connections, real = [0], os.dup

    def dup(descriptor: int) -> int:
        connections[0] += 1
        if connections[0] == 2:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real(descriptor)

    monkeypatch.setattr(os, "dup", dup)
    urls = [first, *(f"{target}?{n}" for n in range(others))]
    outcomes = download_all(urls, thread_count=1, max_connections_per_host=1)
    assert [outcome.body for outcome in outcomes] == [b"repeated"] * len(urls)
    assert connections[0] > 2
