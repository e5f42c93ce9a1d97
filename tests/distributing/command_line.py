"""The command line on each engine, with clusters of real processes: for tests of whole runs."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.distributing.clusters import ray_cluster, ray_environment
from tests.distributing.spark_machines import spark_machines
from tests.program.runs import start

# So many members a run has: ranks, nodes of Ray, executors of Spark, of one process each.
MEMBERS = 3

# Options in; out comes what the programs of the run have said, once they have ended well.
Runs = Callable[[dict[str, Any]], str]


def locally(options: dict[str, Any]) -> str:
    """A run of one machine with as many processes."""
    return ended([start(**{**options, "processes_count": MEMBERS})])


def by_ranks(options: dict[str, Any]) -> str:
    """A run of ranks."""
    of_all = {**options, "distributor": "ranks", "world_size": MEMBERS, "processes_count": 1}
    return ended([start(**of_all, rank=rank) for rank in range(MEMBERS)])


@contextlib.contextmanager
def by_spark(folder: Path, **settings: str) -> Iterator[Runs]:
    """Runs on a standalone Spark; ``settings`` are more of its own."""
    with spark_machines(folder, MEMBERS) as machines:
        of_session = {"spark.master": machines.address, "spark.executor.memory": "512m", **settings}
        config = json.dumps([f"{name}={value}" for name, value in of_session.items()])

        def made(options: dict[str, Any]) -> str:
            environment = {**machines.environment, **options.get("environment", {})}
            on_spark = {"distributor": "pyspark", "distributor_config": config}
            return ended([start(**{**options, **on_spark, "environment": environment})])

        yield made


@contextlib.contextmanager
def by_ray(dashboard_port: int | None = None) -> Iterator[tuple[Runs, Path]]:
    """Runs on a Ray of several nodes, and the folder with its logs."""
    with ray_cluster(nodes=MEMBERS, dashboard_port=dashboard_port) as cluster:
        environment = {**ray_environment(), "RAY_ADDRESS": cluster.address}

        def made(options: dict[str, Any]) -> str:
            more = {**environment, **options.get("environment", {})}
            return ended([start(**{**options, "distributor": "ray", "environment": more})])

        yield made, Path(cluster.folder)


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    with by_spark(tmp_path_factory.mktemp("spark")) as runs:
        yield runs


@pytest.fixture(scope="module")
def ray() -> Iterator[Runs]:
    with by_ray() as (runs, _):
        yield runs


def ended(processes: list[Any]) -> str:
    """What these have said."""
    said = ""
    for process in processes:
        stdout, stderr = process.communicate(timeout=500)
        assert process.returncode == 0, stdout + stderr
        said += stdout + stderr
    return said
