"""What one host may be asked for is the run's, on every engine: a server counts the connections of all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import img2dataset
from img2dataset.reporting.summary import RunSummary
from tests.distributing.clusters import ray_cluster, spark_cluster
from tests.pictures import photograph
from tests.program.runs import read_dataset, start
from tests.servers import ImageServer

ROWS, ROWS_PER_SHARD = 48, 6


@pytest.fixture
def server() -> Iterator[ImageServer]:
    with ImageServer() as server:
        yield server


@pytest.fixture
def options(server: ImageServer, tmp_path: Path) -> dict[str, Any]:
    url = server.put("/a.jpg", photograph(80, 60), latency_s=0.05)
    (tmp_path / "list.txt").write_text("".join(f"{url}?{row}\n" for row in range(ROWS)))
    return {
        "url_list": str(tmp_path / "list.txt"),
        "output_folder": str(tmp_path / "out"),
        "output_format": "webdataset",
        "number_sample_per_shard": ROWS_PER_SHARD,
        "processes_count": 1,
        "image_size": 32,
        # Turns of a few seconds.
        "timeout": 3,
        "deadline": 4,
        "lease_s": 30,
    }


def assert_whole(options: dict[str, Any]) -> None:
    assert read_dataset(Path(options["output_folder"])).statuses() == {"success": ROWS}


@pytest.mark.timeout(280)
def test_four_ranks_and_a_bound_of_two(server: ImageServer, options: dict[str, Any]) -> None:
    more = {"distributor": "ranks", "world_size": 4, "max_connections_per_host": 2}
    ranks = [start(**options, **more, rank=rank) for rank in range(4)]
    for rank in ranks:
        _, stderr = rank.communicate(timeout=240)
        assert rank.returncode == 0, stderr
    assert_whole(options)
    assert server.statistics()["peak"] <= 2


def download(options: dict[str, Any], distributor: str) -> RunSummary:
    wanted = {**options, "distributor": distributor, "max_connections_per_host": 1}
    return img2dataset.download(**wanted)


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_two_tasks_of_spark_and_a_bound_of_one(server: ImageServer, options: dict[str, Any]) -> None:
    with spark_cluster():
        download(options, "pyspark")
    assert_whole(options)
    assert server.statistics()["peak"] == 1


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_two_nodes_of_ray_and_a_bound_of_one(server: ImageServer, options: dict[str, Any]) -> None:
    with ray_cluster(nodes=2):
        download(options, "ray")
    assert_whole(options)
    assert server.statistics()["peak"] == 1
