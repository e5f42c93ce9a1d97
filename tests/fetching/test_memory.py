"""Memory is set by the options, not by the sizes of bodies; and nothing is lost or stuck for it."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
from pathlib import Path

import pytest

from img2dataset.fetching import Fetcher, FetchSettings
from img2dataset.types import Fetched, Row
from tests.fetching.download_all import HANG_GUARD_S, download_all
from tests.own_peak import with_own_peak
from tests.servers import ImageServer

MEBIBYTE = 1 << 20
REPOSITORY = Path(__file__).resolve().parents[2]

# Runs in a process of its own, so that its peak of memory is the fetcher's.
PROGRAM = """
import json, queue, resource, sys
from img2dataset.fetching import Fetcher, FetchSettings
from img2dataset.types import Row

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

url, count, budget = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
before, delivered, sizes, failures = peak(), queue.SimpleQueue(), 0, []
settings = FetchSettings(body_memory=budget, deadline=300, adaptive_thread_count=False)
with Fetcher(settings, delivered.put) as fetcher:
    fetcher.submit(Row(0, index, f"{url}&n={index}") for index in range(count))
    for _ in range(count):
        fetched = delivered.get(timeout=240)
        sizes += len(fetched.body or b"")
        if fetched.failure:
            failures.append(fetched.failure)
        fetcher.release(fetched.size)
        del fetched
print(json.dumps({"grown_mb": peak() - before, "bytes": sizes, "failures": failures}))
"""


@pytest.mark.parametrize("kind", ["long-body", "unsized"])
def test_two_hundred_large_bodies_pass_through_a_small_budget(image_server: ImageServer, kind: str) -> None:
    size, budget = 20 * 1000 * 1000, 64 * MEBIBYTE
    count = 200 if kind == "long-body" else 60
    url = image_server.url(f"/{kind}?size={size}")
    command = with_own_peak([sys.executable, "-c", PROGRAM, url, str(count), str(budget)])
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=280, check=True)
    result = json.loads(run.stdout)
    assert result["failures"] == []
    assert result["bytes"] == size * count
    # The budget, one body that grows while it moves in memory, and libcurl's own buffers.
    assert result["grown_mb"] < 160


def test_bodies_are_not_fetched_far_ahead_of_their_use(image_server: ImageServer) -> None:
    url = image_server.put("/ahead.jpg", bytes(1000))
    delivered: queue.SimpleQueue[Fetched] = queue.SimpleQueue()
    with Fetcher(
        FetchSettings(thread_count=4, ready_limit=8, adaptive_thread_count=False), delivered.put
    ) as fetcher:
        fetcher.submit(Row(0, index, f"{url}?{index}") for index in range(200))
        done = 0
        most = 0
        while done < 200:
            fetched = delivered.get(timeout=HANG_GUARD_S)
            most = max(most, delivered.qsize() + 1)
            fetcher.release(fetched.size)
            done += 1
    assert most <= 8 + 4


def test_nothing_starts_while_nobody_releases(image_server: ImageServer) -> None:
    url = image_server.put("/held.jpg", bytes(1000))
    delivered: queue.SimpleQueue[Fetched] = queue.SimpleQueue()
    with Fetcher(
        FetchSettings(thread_count=2, ready_limit=4, adaptive_thread_count=False), delivered.put
    ) as fetcher:
        fetcher.submit(Row(0, index, f"{url}?{index}") for index in range(50))
        held = [delivered.get(timeout=HANG_GUARD_S) for _ in range(2)]
        while fetcher.in_flight:
            held += [delivered.get(timeout=HANG_GUARD_S)]
        assert fetcher.held_bytes <= 6 * 1000
        for fetched in held:
            fetcher.release(fetched.size)
        for _ in range(50 - len(held)):
            fetcher.release(delivered.get(timeout=HANG_GUARD_S).size)
        assert fetcher.held_bytes == 0


def test_one_body_larger_than_the_whole_budget_still_arrives(image_server: ImageServer) -> None:
    url = image_server.url("/long-body?size=3000000")
    outcomes = download_all([url, url, url], body_memory=100_000)
    assert [outcome.size for outcome in outcomes] == [3_000_000] * 3


def test_compressed_bodies_that_unfold_beyond_the_budget_arrive_or_are_refused(
    image_server: ImageServer,
) -> None:
    bombs = [image_server.url(f"/gzip-bomb?megabytes=4&n={n}") for n in range(20)]
    outcomes = download_all(bombs, body_memory=8 * MEBIBYTE, max_download_bytes=5 * MEBIBYTE)
    assert [outcome.size for outcome in outcomes] == [4 * MEBIBYTE] * 20
    outcomes = download_all(bombs, body_memory=8 * MEBIBYTE, max_download_bytes=3 * MEBIBYTE)
    assert {outcome.failure for outcome in outcomes} == {"too large: body"}
