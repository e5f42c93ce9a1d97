"""The bounds of a known host are the run's on every engine: a server counts what comes from all members."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.distributing.command_line import MEMBERS, Runs, by_ranks, ray, spark
from tests.program.test_known_hosts import most_mbit_per_s
from tests.servers import ImageServer

__all__ = ["ray", "spark"]  # fixtures

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
ROWS, SIZE, MBIT_PER_S = 160, 30_000, 4.0
POLICY = "{host}: {{connections: 2, mbit_per_s: {rate}, contact: true}}"


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


def notices_of(runs: Runs, server: ImageServer, options: dict[str, Any]) -> int:
    """Have the bounds kept; how often it was said that no contact is named."""
    said = runs(options)
    statistics = [json.loads(path.read_text()) for path in options["output_folder"].glob("*_stats.json")]
    assert sum(each["successes"] for each in statistics) == ROWS
    assert server.statistics()["peak"] == 2
    assert most_mbit_per_s(server, 10) <= 1.1 * MBIT_PER_S
    return said.count("asks for a contact")


def test_ranks_keep_to_a_known_host_together(server: ImageServer, options: dict[str, Any]) -> None:
    # Each is a program of its own.
    assert 1 <= notices_of(by_ranks, server, options) <= MEMBERS


def leave_the_host_to_the_last_shards(server: ImageServer, options: dict[str, Any]) -> None:
    """So that members meet it, and not the program, which reads the first shard alone."""
    other = server.url("/a.jpg", host=2)
    lines = options["url_list"].read_text().splitlines()
    half = [line.replace(server.url("/a.jpg"), other) for line in lines[: ROWS // 2]]
    options["url_list"].write_text("\n".join([*half, *lines[ROWS // 2 :]]))


def assert_said_once(runs: Runs, server: ImageServer, options: dict[str, Any]) -> None:
    leave_the_host_to_the_last_shards(server, options)
    said = runs(options)
    assert said.count("asks for a contact") == 1, said


def test_tasks_of_spark_keep_to_a_known_host_together(
    spark: Runs, server: ImageServer, options: dict[str, Any]
) -> None:
    assert notices_of(spark, server, options) == 1


def test_nodes_of_ray_keep_to_a_known_host_together(
    ray: Runs, server: ImageServer, options: dict[str, Any]
) -> None:
    assert notices_of(ray, server, options) == 1


def test_spark_says_once_what_its_tasks_have_found(
    spark: Runs, server: ImageServer, options: dict[str, Any]
) -> None:
    assert_said_once(spark, server, options)


def test_ray_says_once_what_its_nodes_have_found(
    ray: Runs, server: ImageServer, options: dict[str, Any]
) -> None:
    assert_said_once(ray, server, options)
