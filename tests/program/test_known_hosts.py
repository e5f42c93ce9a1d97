"""Policies of hosts in whole runs, against a server that counts connections and bytes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from tests.program.runs import run, run_here
from tests.servers import ImageServer


def run_with(tmp_path: Path, urls: list[str], policies: str | None, **options: Any) -> CompletedProcess[str]:
    """Run over these addresses, in a folder of this test, and see that each was stored."""
    (tmp_path / "list.txt").write_text("".join(f"{url}\n" for url in urls))
    if policies is not None:
        (tmp_path / "policies.yaml").write_text(policies)
        options["host_policies"] = tmp_path / "policies.yaml"
    output = tmp_path / "out"
    # What the servers of these tests send is no image.
    chosen = {"output_format": "webdataset", "disable_all_reencoding": True, **options}
    done = run_here(url_list=tmp_path / "list.txt", output_folder=output, **chosen)
    assert done.returncode == 0, done.stderr
    successes = sum(json.loads(path.read_text())["successes"] for path in output.glob("*_stats.json"))
    assert successes == len(urls)
    return done


def rows(url: str, count: int) -> list[str]:
    return [f"{url}?row={n}" for n in range(count)]


def mbit_per_s(server: ImageServer) -> float:
    """From the first byte that was sent to the last one."""
    sent = sorted(server.sent())
    return sum(size for _, size in sent) * 8 / 1e6 / (sent[-1][0] - sent[0][0])


def most_mbit_per_s(server: ImageServer, seconds: float) -> float:
    sent = sorted(server.sent())
    within = (sum(size for at, size in sent if begin <= at < begin + seconds) for begin, _ in sent)
    return max(within) * 8 / 1e6 / seconds


@pytest.mark.parametrize(
    ("count", "size", "mbit", "processes"),
    [
        (200, 30_000, 4.0, 2),
        # Three processes take two connections in turn.
        (120, 50_000, 4.0, 3),
        pytest.param(2000, 50_000, 25.0, 2, marks=[pytest.mark.slow, pytest.mark.timeout(400)]),
        pytest.param(200, 500_000, 25.0, 2, marks=[pytest.mark.slow, pytest.mark.timeout(400)]),
    ],
)
def test_a_run_keeps_to_the_connections_and_the_rate_of_a_known_host(
    tmp_path: Path, count: int, size: int, mbit: float, processes: int
) -> None:
    with ImageServer() as server:
        urls = rows(server.put("/a.jpg", b"a" * size), count)
        policy = f"127.0.0.1:{server.port}: {{connections: 2, mbit_per_s: {mbit}}}"
        options = {"processes_count": processes, "number_sample_per_shard": count // 8}
        run_with(tmp_path, urls, policy, **options)
        assert server.statistics()["peak"] <= 2
        assert len(server.sent()) == count
        assert mbit_per_s(server) <= 1.1 * mbit
        assert most_mbit_per_s(server, 10) <= 1.1 * mbit
        if mbit == 25.0:
            assert mbit_per_s(server) >= 0.9 * mbit


@pytest.mark.parametrize(
    ("named", "options", "is_bounded"),
    [
        ("known.localhost", {}, True),
        ("known.localhost", {"max_connections_per_host": 8}, True),
        ("other.localhost", {}, False),
    ],
)
def test_a_host_of_ones_own_network_is_bounded_by_its_policy_alone(
    tmp_path: Path, named: str, options: dict[str, Any], is_bounded: bool
) -> None:
    with ImageServer() as server:
        server.put("/a.jpg", b"a", latency_s=0.05 if is_bounded else 0.3)
        known = rows(server.url("/a.jpg", host="known.localhost"), 40)
        run_with(tmp_path, known, f"{named}: {{connections: 2}}", processes_count=1, **options)
        assert (server.statistics()["peak"] <= 2) is is_bounded


def test_with_consent_off_no_policy_counts_and_the_file_is_said_to_be_unused(tmp_path: Path) -> None:
    with ImageServer() as server:
        urls = rows(server.put("/a.jpg", b"a", latency_s=0.3), 40)
        policy = "127.0.0.1: {connections: 1, contact: true}"
        done = run_with(tmp_path, urls, policy, processes_count=1, consent="off")
        assert server.statistics()["peak"] > 1
    assert "--host_policies" in done.stderr
    assert "has no effect: --consent off" in done.stderr
    assert "contact" not in done.stderr


def test_requests_a_second_of_a_policy_hold_for_all_processes(tmp_path: Path) -> None:
    with ImageServer() as server:
        urls = rows(server.put("/a.jpg", b"a"), 40)
        options = {"processes_count": 2, "number_sample_per_shard": 10}
        run_with(tmp_path, urls, "127.0.0.1: {requests_per_s: 5}", **options)
        times = sorted(at for at, _ in server.sent())
    # A busy server that stands still for a third of a second notes one or two of them as that much later.
    assert max(sum(begin <= at < begin + 4 for at in times) for begin in times) <= 20 + 2


def notices(done: CompletedProcess[str]) -> list[str]:
    return [line for line in (done.stdout + done.stderr).splitlines() if "asks for a contact" in line]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "give --contact"),
        ({"user_agent": "Mozilla/5.0"}, "put one into --user_agent"),
        ({"contact": "me@example.org"}, None),
        ({"user_agent": "mine (https://example.org)"}, None),
    ],
)
def test_a_missing_contact_is_said_once_where_the_list_has_such_a_host(
    tmp_path: Path, options: dict[str, str], said: str | None
) -> None:
    with ImageServer() as server:
        known = rows(server.put("/a.jpg", b"a"), 20)
        policy = "127.0.0.1: {contact: true, source: 'https://a.example/robots', date: 2025-04-08}"
        many = {"processes_count": 2, "number_sample_per_shard": 5, **options}
        found = notices(run_with(tmp_path, known, policy, **many))
    assert len(found) == (said is not None)
    if said is not None:
        assert re.search(
            rf"127\.0\.0\.1 asks .*{said} \(policy: 2025-04-08, https://a\.example/robots\)", found[0]
        )


def test_of_a_contact_nothing_is_said_where_the_list_has_no_such_host(tmp_path: Path) -> None:
    with ImageServer() as server:
        server.put("/a.jpg", b"a")
        # Its name stands in the address, and is not its host.
        urls = [
            f"{server.url('/a.jpg', host='other.localhost')}?from=known.localhost&row={n}" for n in range(9)
        ]
        assert notices(run_with(tmp_path, urls, "known.localhost: {contact: true}")) == []


def test_a_wrong_file_is_told_before_anything_is_made(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("http://127.0.0.1:9/a.jpg\n")
    (tmp_path / "policies.yaml").write_text("a.example: {connections: two}")
    done = run(
        url_list=tmp_path / "list.txt",
        output_folder=tmp_path / "out",
        host_policies=tmp_path / "policies.yaml",
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert (
        f"{tmp_path / 'policies.yaml'} has connections: 'two' for 'a.example'; it takes a whole number"
        in line
    )
    assert not (tmp_path / "out").exists()
