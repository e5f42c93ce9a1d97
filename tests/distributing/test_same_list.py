"""One list of 20,000 rows with the web's faults over every engine, which loses a part at mid-run."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.distributing.clusters import SPECULATION, ray_cluster, spark_cluster
from tests.distributing.killing import processes_of, when_shards_are_there
from tests.distributing.same_dataset import FaultyList, assert_same, make, options_of
from tests.program.runs import Dataset, read_dataset, start
from tests.servers import ImageServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
ROWS, ROWS_A_SHARD = 20_000, 500
SHARDS = ROWS // ROWS_A_SHARD
# Of the shards there are when one is killed: a quarter.
MIDDLE = SHARDS // 4
RANKS = 4
# Photographs must not run out of time where everything runs on one machine.
OPTIONS = {"number_sample_per_shard": ROWS_A_SHARD, "timeout": 20}


@pytest.fixture(scope="module")
def faulty(image_server: ImageServer, tmp_path_factory: pytest.TempPathFactory) -> FaultyList:
    return FaultyList(image_server, tmp_path_factory.mktemp("lists"), ROWS)


@pytest.fixture(scope="module")
def expected(faulty: FaultyList, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """What one process makes of the list that nobody kills."""
    folder = tmp_path_factory.mktemp("expected") / "out"
    return make(faulty.text, folder, **OPTIONS, processes_count=1)[1]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The output folder; what lies in it is large, and goes after the test."""
    yield tmp_path / "out"
    shutil.rmtree(tmp_path / "out", ignore_errors=True)


def made_by(distributor: str, faulty: FaultyList, folder: Path) -> Dataset:
    """The dataset of a run that must end well."""
    summary, made = make(faulty.text, folder, **OPTIONS, distributor=distributor, processes_count=2)
    assert summary.exit_status == 0
    assert (summary.count, summary.shards) == (ROWS, SHARDS)
    return made


def test_the_list_has_each_fault_hundreds_of_times(expected: Dataset) -> None:
    assert len(expected.rows) == ROWS
    assert len(expected.statistics) == SHARDS
    assert len([message for message, rows in expected.failures().items() if rows > 200]) >= 5
    assert expected.statuses()["success"] > ROWS * 0.9


def test_the_engine_of_one_machine_loses_a_worker_process(
    faulty: FaultyList, expected: Dataset, folder: Path
) -> None:
    def kill() -> None:
        os.kill(processes_of(os.getpid(), "distributing.worker_process")[0], signal.SIGKILL)

    with when_shards_are_there(folder, MIDDLE, kill):
        made = made_by("multiprocessing", faulty, folder)
    assert_same(made, expected)


def test_spark_loses_an_executor_with_speculation_on(
    faulty: FaultyList, expected: Dataset, folder: Path
) -> None:
    def kill() -> None:
        os.kill(processes_of(os.getpid(), "CoarseGrainedExecutorBackend")[0], signal.SIGKILL)

    with spark_cluster("local-cluster[2,2,1024]", **SPECULATION), when_shards_are_there(folder, MIDDLE, kill):
        made = made_by("pyspark", faulty, folder)
    assert_same(made, expected)


def test_ray_loses_one_of_three_nodes(faulty: FaultyList, expected: Dataset, folder: Path) -> None:
    with ray_cluster(nodes=3) as cluster, when_shards_are_there(folder, MIDDLE, lambda: cluster.kill(2)):
        made = made_by("ray", faulty, folder)
    assert_same(made, expected)


def test_four_ranks_lose_one(faulty: FaultyList, expected: Dataset, folder: Path) -> None:
    of_ranks = {"distributor": "ranks", "world_size": RANKS, "processes_count": 1, "lease_s": 3}
    options = options_of(faulty.text, folder, **OPTIONS, **of_ranks)
    ranks = [start(**options, rank=rank) for rank in range(RANKS)]
    with when_shards_are_there(folder, MIDDLE, lambda: os.killpg(ranks[1].pid, signal.SIGKILL)):
        said = [rank.communicate(timeout=240) for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, -signal.SIGKILL, 0, 0], said
    # What it had begun: nobody else may know that it is gone for good.
    shutil.rmtree(folder / ".tmp", ignore_errors=True)
    assert_same(read_dataset(folder), expected)
