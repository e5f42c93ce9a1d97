"""Connections that processes of one machine take in turn, with real processes and a real file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from img2dataset.failures import of_status
from img2dataset.fetching.hosts.politeness import HostManners
from img2dataset.fetching.hosts.sharing import MachineSlots
from img2dataset.fetching.hosts.slots import HostSlots
from img2dataset.fetching.hosts.states import HELD_S, LOOK_AGAIN_S, Ending
from tests.servers import ImageServer

REPOSITORY = Path(__file__).resolve().parents[3]
# A process that takes a slot of "a.example", of two, says so, and keeps it until it is ended.
HOLDER = """
import sys
from img2dataset.fetching.hosts.sharing import MachineSlots
slots = MachineSlots(sys.argv[1])
print(slots.acquire("a.example", range(2)), flush=True)
sys.stdin.read()
"""
# A process that says whether it can take the only slot of a host in the machine's own file.
TRIER = """
import sys
from img2dataset.fetching.hosts.sharing import MachineSlots
print(MachineSlots().acquire(sys.argv[1], range(1)), flush=True)
"""
DOWNLOADER = """
import queue, sys, json
from img2dataset.fetching import Fetcher, FetchSettings
from img2dataset.types import Row
url, rows = sys.argv[1], int(sys.argv[2])
delivered = queue.SimpleQueue()
settings = FetchSettings(max_connections_per_host=2, processes=4, adaptive_thread_count=False)
with Fetcher(settings, delivered.put) as fetcher:
    fetcher.submit(Row(0, n, url) for n in range(rows))
    bodies = 0
    for _ in range(rows):
        fetched = delivered.get(timeout=60)
        bodies += fetched.body is not None
        fetcher.release(fetched.size)
print(json.dumps(bodies))
"""


def start(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def holds(process: subprocess.Popen[str]) -> bool:
    assert process.stdout
    return process.stdout.readline().strip() == "True"


def test_no_more_processes_than_slots_hold_one_and_a_killed_one_gives_it_back(tmp_path: Path) -> None:
    path = str(tmp_path / "slots")
    holders = [start(HOLDER, path) for _ in range(3)]
    held = [holds(holder) for holder in holders]
    assert sorted(held) == [False, True, True]
    own = MachineSlots(path)
    assert not own.acquire("a.example", range(2))
    assert own.acquire("b.example", range(2))
    killed = holders[held.index(True)]
    killed.kill()
    killed.wait()
    assert own.acquire("a.example", range(2))
    own.close()
    for holder in holders:
        holder.communicate()


def test_a_slot_given_back_is_free_for_another_process(tmp_path: Path) -> None:
    path = str(tmp_path / "slots")
    own = MachineSlots(path)
    assert own.acquire("a.example", range(1))
    own.release("a.example")
    other = start(HOLDER, path)
    assert holds(other)
    assert own.acquire("a.example", range(2))
    assert not own.acquire("a.example", range(1))
    other.communicate()
    assert own.acquire("a.example", range(1))
    own.close()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make another user's file")
def test_a_file_of_another_user_or_a_link_is_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    foreign, link = tmp_path / "foreign", tmp_path / "link"
    foreign.touch()
    os.chown(foreign, 12345, 12345)
    link.symlink_to(tmp_path / "target")
    for path in (foreign, link):
        slots = MachineSlots(str(path))
        assert slots.acquire("a.example", range(1))
        assert str(path) in caplog.text
        slots.close()
    assert not (tmp_path / "target").exists()


def another_may(host: str) -> bool:
    """Whether another process may have the one connection of a host now."""
    other = start(TRIER, host)
    try:
        return holds(other)
    finally:
        other.communicate()


@pytest.fixture
def host(tmp_path: Path) -> str:
    """One that no other program of this machine has a connection to: they have one file."""
    return f"{tmp_path.name}-{os.getpid()}.example"


@pytest.fixture
def hosts() -> Iterator[HostSlots[str]]:
    """Those of one of two processes that have one connection to each host."""
    made: HostSlots[str] = HostSlots(HostManners(max_connections_per_host=1, processes=2), 64)
    yield made
    made.close()


def test_one_that_has_further_rows_keeps_its_connection_for_a_while(hosts: HostSlots[str], host: str) -> None:
    assert hosts.enter(host, 0.0)
    hosts.set_aside(host, "second", 0.0)
    hosts.set_aside(host, "third", 0.0)
    hosts.leave(host, 0.1)
    assert not another_may(host)
    assert hosts.next_job(0.1) == ("second", None)
    hosts.leave(host, HELD_S)
    assert another_may(host)
    assert hosts.next_job(HELD_S) is None
    assert hosts.next_job(HELD_S + LOOK_AGAIN_S) == ("third", None)
    hosts.leave(host, HELD_S + 0.1)
    assert another_may(host)


def test_one_that_does_not_use_what_it_keeps_lets_others_have_it(hosts: HostSlots[str], host: str) -> None:
    assert hosts.enter(host, 0.0)
    hosts.set_aside(host, "second", 0.0)
    hosts.leave(host, 0.1)
    # Because all its transfers are in use, or the turn of another member has begun.
    assert hosts.next_due(0.1) == 0.1 + LOOK_AGAIN_S
    assert not another_may(host)
    hosts.next_due(0.1 + LOOK_AGAIN_S)
    assert another_may(host)
    assert hosts.next_job(0.2) == ("second", None)


def test_one_that_the_host_has_told_to_wait_lets_others_have_it(hosts: HostSlots[str], host: str) -> None:
    assert hosts.enter(host, 0.0)
    hosts.set_aside(host, "second", 0.0)
    hosts.pushed_back(host, 0.1, 0.0, 5.0, of_status(429))
    hosts.leave(host, 0.1, Ending.PUSHED_BACK)
    assert another_may(host)


def test_four_processes_do_not_exceed_a_bound_of_two_and_all_get_through() -> None:
    with ImageServer() as server:
        url = server.put("/bound.jpg", b"bound", latency_s=0.05)
        processes = [start(DOWNLOADER, url, "15") for _ in range(4)]
        assert [json.loads(process.communicate()[0]) for process in processes] == [15] * 4
        assert server.statistics()["peak"] <= 2
    assert Path(tempfile.gettempdir(), f"img2dataset-hosts-{os.getuid()}.lock").stat().st_size == 0
