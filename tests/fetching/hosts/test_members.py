"""Members of a run on one machine, as real processes, and a server that counts what it sees of them all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from img2dataset.fetching.hosts.sharing import VARIABLE, make_shared_file
from tests.servers import ImageServer

REPOSITORY = Path(__file__).resolve().parents[3]
# One worker process of one member: says that it has started, downloads each URL when it is told to, and
# prints the failures, None for a success.
WORKER = """
import json, queue, sys
from img2dataset.fetching import Fetcher, FetchSettings
from img2dataset.types import Row
print("started", flush=True)
urls, settings = json.loads(sys.stdin.read())
delivered = queue.SimpleQueue()
failures = []
with Fetcher(FetchSettings(adaptive_thread_count=False, **settings), delivered.put) as fetcher:
    fetcher.submit(Row(0, n, url) for n, url in enumerate(urls))
    for _ in urls:
        fetched = delivered.get(timeout=200)
        failures.append(fetched.failure)
        fetcher.release(fetched.size)
print(json.dumps(failures))
"""


def run_members(
    urls: list[str], members: int, processes: int, **settings: Any
) -> tuple[list[str | None], float]:
    """Have ``urls`` downloaded by each process of each member, all at once.

    Gives the failures of all, and when they were told to begin: they have started before.
    """
    running: list[tuple[subprocess.Popen[str], dict[str, Any]]] = []
    for member in range(members):
        file = make_shared_file()
        assert file is not None
        for _ in range(processes):
            worker = subprocess.Popen(
                [sys.executable, "-c", WORKER],
                cwd=REPOSITORY,
                env={**os.environ, VARIABLE: str(file.fileno())},
                pass_fds=[file.fileno()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            chosen = {"members": members, "member": member, "processes": processes, **settings}
            running.append((worker, chosen))
        file.close()
    for worker, _ in running:
        assert worker.stdout
        assert worker.stdout.readline() == "started\n"
    began = time.monotonic()
    for worker, chosen in running:
        assert worker.stdin
        worker.stdin.write(json.dumps([urls, chosen]))
        worker.stdin.close()
    failures: list[str | None] = []
    for worker, _ in running:
        assert worker.stdout
        with worker, worker.stdout:
            failures += json.loads(worker.stdout.read() or '["the worker died"]')
    return failures, began


@pytest.mark.parametrize("processes", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_four_members_with_a_bound_of_two_never_have_more_than_two_connections(processes: int) -> None:
    with ImageServer() as server:
        quick = server.put("/quick.jpg", b"quick", latency_s=0.03)
        # A turn of 7.5 s, of which 5 are for what is under way, has room for one of these and for the
        # beginning of a second.
        slow = server.put("/slow.jpg", b"slow", latency_s=2.5)
        urls = [f"{url}?{n}" for n in range(2 // processes) for url in (quick, slow, quick)]
        failures, _ = run_members(urls, 4, processes, max_connections_per_host=2, timeout=10, deadline=4)
        assert failures == [None] * 4 * processes * len(urls)
        assert server.statistics()["peak"] == 2
        # Some were cut short by the end of a turn, and made again in the next, though no retry is allowed.
        assert server.count("/slow.jpg") > 4 * 2


# Eight are two for each, which is the simpler division.
@pytest.mark.parametrize("bound", [5, pytest.param(8, marks=pytest.mark.slow)])
def test_four_members_divide_a_bound_that_is_not_smaller(bound: int) -> None:
    with ImageServer() as server:
        url = server.put("/divided.jpg", b"divided", latency_s=0.2)
        failures, _ = run_members([url] * 20, 4, 2, max_connections_per_host=bound)
        assert failures == [None] * 160
        assert server.statistics()["peak"] == bound


@pytest.mark.parametrize("processes", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_twenty_a_second_are_never_more_in_all(processes: int) -> None:
    with ImageServer() as server:
        url = server.url("/limited/rate?per_second=1000")
        rate, senders = 20, 4 * processes
        failures, began = run_members(
            [url] * (50 // processes), 4, processes, max_requests_per_second_per_host=rate
        )
        assert failures == [None] * 200
        times = sorted(server.times("/limited/rate"))
        # Each sender may begin at once. On a busy machine a request may be seen late, and the next one in
        # time; none is seen before it may go out.
        earliest = [began + index // senders * senders / rate for index in range(200)]
        assert [at for at, least in zip(times, earliest, strict=True) if at < least] == []
        # At half the rate, as if a part were divided once more, it would take twice as long.
        assert times[-1] - times[0] < 2 * 200 / rate


def test_rows_of_a_host_whose_turn_it_is_not_hold_no_others(image_server: ImageServer) -> None:
    """And a row that is redirected to such a host waits for it too."""
    target = image_server.put("/turns.jpg", b"turns").replace("127.0.0.1", "127.0.0.2")
    moved = image_server.url(f"/redirect?to={quote(target)}", host=3)
    urls = [target] * 5 + [moved] * 5 + [image_server.url("/chunked", host=4)] * 50
    failures, _ = run_members(urls, 3, 1, max_connections_per_host=1, timeout=10, deadline=2)
    assert failures == [None] * 180
