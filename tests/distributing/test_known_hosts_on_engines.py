"""The bounds of a known host are the run's on every engine: a server counts what comes from all members."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.distributing.command_line import Runs, by_ranks, by_ray, by_spark
from tests.program.test_known_hosts import most_mbit_per_s
from tests.servers import ImageServer

pytestmark = pytest.mark.timeout(600)
ROWS, SIZE, MBIT_PER_S = 160, 30_000, 4.0
POLICY = "{host}: {{connections: 2, mbit_per_s: {rate}, contact: true, source: 'https://a.example/robots'}}"


@pytest.fixture
def server() -> Iterator[ImageServer]:
    with ImageServer() as server:
        yield server


@pytest.fixture
def options(server: ImageServer, tmp_path: Path) -> dict[str, Any]:
    url = server.put("/a.jpg", b"a" * SIZE)
    policy = POLICY.format(host=f"127.0.0.1:{server.port}", rate=MBIT_PER_S)
    (tmp_path / "list.txt").write_text("".join(f"{url}?{row}\n" for row in range(ROWS)))
    (tmp_path / "policies.yaml").write_text(policy)
    return {
        "url_list": tmp_path / "list.txt",
        "output_folder": tmp_path / "out",
        "output_format": "webdataset",
        "disable_all_reencoding": True,
        "number_sample_per_shard": ROWS // 12,
        "host_policies": tmp_path / "policies.yaml",
        # Turns of a few seconds.
        "timeout": 3,
        "deadline": 4,
        "lease_s": 30,
    }


def assert_bounds_are_kept(runs: Runs, server: ImageServer, options: dict[str, Any]) -> str:
    said = runs(options)
    successes = [
        path.read_text().count('"successes"') for path in options["output_folder"].glob("*_stats.json")
    ]
    assert sum(successes) >= 12
    print(server.statistics(), most_mbit_per_s(server, 10), most_mbit_per_s(server, 2))
    assert server.statistics()["peak"] <= 2
    assert most_mbit_per_s(server, 10) <= 1.1 * MBIT_PER_S
    notices = [line for line in said.splitlines() if "asks for a contact" in line]
    assert len(notices) == 1, said
    return said


def test_ranks(server: ImageServer, options: dict[str, Any]) -> None:
    assert_bounds_are_kept(by_ranks, server, options)


@pytest.mark.slow
def test_spark(server: ImageServer, options: dict[str, Any], tmp_path: Path) -> None:
    with by_spark(tmp_path) as runs:
        assert_bounds_are_kept(runs, server, options)


@pytest.mark.slow
def test_ray(server: ImageServer, options: dict[str, Any]) -> None:
    with by_ray() as runs:
        assert_bounds_are_kept(runs, server, options)
