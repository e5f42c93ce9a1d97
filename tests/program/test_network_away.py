"""The network, or all name servers, are away for a while during a run: every row is as without that."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.fetching.dns_server import DnsServer
from tests.fetching.own_network import Visit, visit
from tests.pictures import photograph
from tests.program.runs import read_dataset, serve_photographs, start
from tests.program.test_faults import wait_until, workers_of
from tests.servers import ImageServer

# They take networks down and stop processes for seconds: on a busy machine that is minutes.
pytestmark = pytest.mark.slow

OPTIONS = {"thread_count": 16, "retries": 0}


def slow_urls(count: int, hosts: int) -> list[str]:
    return [f"http://a93-184-216-34.host{n % hosts}.test/slow?{n}" for n in range(count)]


@pytest.mark.parametrize(
    ("hosts", "seconds"),
    [
        (200, 4.0),
        pytest.param(200, 8.0, marks=pytest.mark.slow),
        pytest.param(200, 20.0, marks=pytest.mark.slow),
        pytest.param(1, 8.0, marks=pytest.mark.slow),
        pytest.param(1, 20.0, marks=pytest.mark.slow),
    ],
)
def test_an_interface_that_is_down_for_a_while_costs_no_row(hosts: int, seconds: float) -> None:
    """Names are not found, connections fall silent, new ones have no route; with many hosts or one."""
    (seen,) = visit(Visit(slow_urls(600, hosts), command=OPTIONS, down=[(4.0, seconds)]))
    assert seen.failures == [None] * 600


def test_without_network_patience_rows_fail_while_the_interface_is_down() -> None:
    options = {**OPTIONS, "network_patience": 0, "timeout": 2}
    (seen,) = visit(Visit(slow_urls(300, 200), command=options, down=[(3.0, 4.0)]))
    assert set(seen.failures) - {None} <= {
        "connection: unreachable",
        "connection: host unreachable lately",
        "timeout: connect",
        "timeout: silence",
        "DNS: name servers unreachable",
        "DNS: timeout",
    }
    assert seen.failures.count(None) < 300


def test_a_list_without_one_good_host_does_not_wait() -> None:
    urls = [f"http://missing.n{n}.test/" for n in range(20)]
    urls += [f"http://a93-184-216-34.n{n}.test:9/" for n in range(20)]  # refused
    urls += [f"http://198.51.100.{n}/" for n in range(1, 3)]  # no route, but too few for a judgement
    started = time.monotonic()
    (seen,) = visit(Visit(urls, command={"timeout": 3}))
    assert time.monotonic() - started < 60
    expected = ["DNS: name not found"] * 20 + ["connection: refused"] * 20 + ["connection: unreachable"] * 2
    assert seen.failures == expected


def test_the_wait_is_bounded_by_the_option_and_told_once() -> None:
    urls = [f"http://198.51.100.{n}/" for n in range(1, 41)]
    for patience, least, most in ((0, 0.0, 60.0), (6, 6.0, 60.0)):
        started = time.monotonic()
        (seen,) = visit(Visit(urls, settings={"network_patience": patience}, together=True))
        assert least <= time.monotonic() - started < most
        assert seen.failures == ["connection: unreachable"] * 40
        told = [line for line in seen.warnings if "network_patience" in line]
        assert len(told) == (2 if patience else 0)  # that it waits, and that it waits no more


@pytest.mark.slow
def test_a_name_server_that_is_restarted_four_times_costs_no_row(
    image_server: ImageServer, tmp_path: Path
) -> None:
    restart_during(image_server, tmp_path, [3.0, 3.0, 3.0, 3.0])


def test_a_name_server_that_is_restarted_costs_no_row(image_server: ImageServer, tmp_path: Path) -> None:
    restart_during(image_server, tmp_path, [3.0])


@pytest.mark.slow
def test_a_name_server_that_is_away_for_longer_than_the_timeout_costs_no_row(
    image_server: ImageServer, tmp_path: Path
) -> None:
    restart_during(image_server, tmp_path, [20.0])


def restart_during(image_server: ImageServer, tmp_path: Path, absences: list[float]) -> None:
    serve_photographs(image_server, 4)
    rows = 1000
    (tmp_path / "list.txt").write_text(
        "".join(
            f"http://a127-0-0-1.n{n}.test:{image_server.port}/photographs/{n % 4}.jpg\n" for n in range(rows)
        )
    )
    server = DnsServer()
    process = start(
        url_list=tmp_path / "list.txt",
        output_folder=tmp_path / "out",
        output_format="webdataset",
        processes_count=2,
        thread_count=16,
        image_size=64,
        number_sample_per_shard=100,
        dns_servers=server.address,
        max_requests_per_second_per_host=1000,
    )
    for seconds in absences:
        wait_until(lambda server=server: server.questions() >= 120, process)  # type: ignore[misc]
        server.close()
        time.sleep(seconds)
        server = DnsServer(port=server.port)
    stdout, stderr = process.communicate(timeout=120)
    server.close()
    assert process.returncode == 0, stdout + stderr
    assert read_dataset(tmp_path / "out").statuses() == {"success": rows}


def test_what_was_in_flight_when_everything_was_stopped_is_tried_again(tmp_path: Path) -> None:
    """For longer than any clock, as when a laptop is closed; the server has given its connections up."""
    with ImageServer() as server:
        addresses = [
            server.put(
                f"/{n}.jpg", photograph(160, 120, seed=n), latency_s=0.2, headers=[("Connection", "close")]
            )
            for n in range(8)
        ]
        (tmp_path / "list.txt").write_text("".join(f"{addresses[n % 8]}?{n}\n" for n in range(400)))
        process = start(
            url_list=tmp_path / "list.txt",
            output_folder=tmp_path / "out",
            output_format="webdataset",
            processes_count=2,
            thread_count=8,
            image_size=64,
            number_sample_per_shard=50,
            timeout=2,
            deadline=4,
        )
        wait_until(lambda: len(list((tmp_path / "out").glob("*_stats.json"))) >= 1, process)
        tree = [process.pid, *workers_of(process)]
        for pid in tree:
            os.kill(pid, signal.SIGSTOP)
        server.abort()
        time.sleep(6)
        for pid in reversed(tree):
            os.kill(pid, signal.SIGCONT)
        stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stdout + stderr
    assert read_dataset(tmp_path / "out").failures() == {}
