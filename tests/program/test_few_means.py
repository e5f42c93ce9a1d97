"""What this machine lacks (descriptors, ports) makes a run slower, and is never a row's failure."""

from __future__ import annotations

import contextlib
import os
import queue
import resource
import time
from pathlib import Path

import pytest

from img2dataset.fetching import Fetcher, FetchSettings, machine
from img2dataset.types import Fetched, Row
from tests.fetching.own_network import Visit, visit
from tests.pictures import photograph
from tests.program.runs import read_dataset, run, write_list
from tests.servers import ImageServer

ROWS = 2000


@pytest.mark.parametrize(
    ("descriptors", "thread_count", "connection"),
    [(256, 256, "keep-alive"), (256, 256, "close"), (256, 2000, "close"), (120, 64, "close")],
)
def test_few_descriptors_cost_no_row(
    descriptors: int, thread_count: int, connection: str, image_server: ImageServer, tmp_path: Path
) -> None:
    """256 is what macOS gives. Many hosts, so that idle connections take descriptors too."""
    path = f"/few/{connection}.jpg"
    image_server.put(path, photograph(80, 60), latency_s=0.05, headers=[("Connection", connection)])
    addresses = [image_server.url(path, host=1 + n) for n in range(16)]
    done = run(
        prefix=["prlimit", f"--nofile={descriptors}:{descriptors}"],
        url_list=write_list(tmp_path / "list.txt", addresses, ROWS),
        output_folder=tmp_path / "out",
        output_format="webdataset",
        number_sample_per_shard=500,
        processes_count=2,
        thread_count=thread_count,
        image_size=64,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    dataset = read_dataset(tmp_path / "out")
    assert dataset.failures() == {}
    assert dataset.statuses() == {"success": ROWS}


def test_few_ports_cost_no_row_and_are_told_once() -> None:
    urls = [f"http://10.1.2.3/slow?{n}" for n in range(600)]
    options = {"network_patience": 0, "thread_count": 200}
    (seen,) = visit(Visit(urls, options, ports="40000 40039", together=True))
    assert seen.failures == [None] * 600
    assert len([line for line in seen.warnings if "descriptors, memory or ports" in line]) == 1


def test_the_soft_limit_is_raised_towards_the_hard_one() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    try:
        assert machine.most_transfers() == 96
        machine.raise_limit()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert hard == before[1]
        assert soft == min(hard, machine.ENOUGH_DESCRIPTORS)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_transfers_that_lack_descriptors_for_a_while_go_on(image_server: ImageServer) -> None:
    """Somebody else in the process has taken all of them."""
    url = image_server.put("/lacking.jpg", b"lacking")
    delivered: queue.SimpleQueue[Fetched] = queue.SimpleQueue()
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    with Fetcher(FetchSettings(thread_count=64, adaptive_thread_count=False), delivered.put) as fetcher:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(before[0], 512), before[1]))
        try:
            with contextlib.suppress(OSError):
                while True:
                    taken.append(os.dup(0))
            fetcher.submit(Row(0, index, f"{url}?{index}") for index in range(100))
            time.sleep(2)
            assert delivered.empty()
        finally:
            for descriptor in taken:
                os.close(descriptor)
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for _ in range(100):
            fetched = delivered.get(timeout=60)
            assert fetched.failure is None
            fetcher.release(fetched.size)
