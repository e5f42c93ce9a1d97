"""Machines and workers of clusters that are lost at mid-run: no row is lost, and none is there twice."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.distributing.clusters import SPECULATION, descendants, ray_cluster, spark_cluster
from tests.distributing.killing import lives, parent_of, processes_of, when_shards_are_there
from tests.distributing.same_dataset import FaultyList, assert_same, make, options_of
from tests.program.runs import COMMAND, Dataset, read_dataset, words
from tests.servers import ImageServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
ROWS = 300


@pytest.fixture(scope="module")
def faulty(image_server: ImageServer, tmp_path_factory: pytest.TempPathFactory) -> FaultyList:
    return FaultyList(image_server, tmp_path_factory.mktemp("lists"), ROWS, slow_s=2.0)


@pytest.fixture(scope="module")
def expected(faulty: FaultyList, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make(faulty.text, tmp_path_factory.mktemp("expected") / "out")[1]


def test_an_executor_of_spark_and_a_python_worker_are_killed(
    faulty: FaultyList, expected: Dataset, tmp_path: Path
) -> None:
    def kill() -> None:
        # Its Python workers, and the processes that these have started, end with it.
        os.kill(processes_of(os.getpid(), "CoarseGrainedExecutorBackend")[0], signal.SIGKILL)
        time.sleep(4)
        os.kill(processes_of(os.getpid(), "pyspark.daemon")[-1], signal.SIGKILL)

    with spark_cluster(), when_shards_are_there(tmp_path / "out", 2, kill):
        summary, made = make(faulty.text, tmp_path / "out", distributor="pyspark", subjob_size=6)
        assert summary.exit_status == 0
    assert_same(made, expected)


def test_speculation_makes_the_same_dataset(image_server: ImageServer, tmp_path: Path) -> None:
    """Spark begins again what takes longer than the rest: two tasks then make the same shards at once."""
    faulty = FaultyList(image_server, tmp_path, rows=80, slow_s=2.0)
    _, expected = make(faulty.text, tmp_path / "expected")
    with spark_cluster("local-cluster[2,2,1024]", **SPECULATION):
        _, made = make(faulty.text, tmp_path / "out", distributor="pyspark")
    assert_same(made, expected)


def test_a_job_of_spark_that_fails_is_done_again_in_parts(
    faulty: FaultyList, expected: Dataset, tmp_path: Path
) -> None:
    """On one machine Spark may give up a job at the first task that is lost."""

    def kill() -> None:
        # Some of Spark's Python workers are idle; one that is at work has worker processes.
        at_work = processes_of(os.getpid(), "distributing.worker_process")[0]
        os.kill(parent_of(at_work), signal.SIGKILL)

    with spark_cluster("local[2]"), when_shards_are_there(tmp_path / "out", 2, kill):
        summary, made = make(faulty.text, tmp_path / "out", distributor="pyspark", subjob_size=6)
        assert summary.exit_status == 0
        assert summary.worker_deaths
    assert_same(made, expected)


def test_a_node_of_ray_is_killed_and_one_joins(faulty: FaultyList, expected: Dataset, tmp_path: Path) -> None:
    with ray_cluster(nodes=3) as cluster:

        def kill_and_add() -> None:
            cluster.kill(2)
            cluster.add()

        with when_shards_are_there(tmp_path / "out", 2, kill_and_add):
            # The row that gets no answer holds the run until the node is there.
            # On the first node: Ray 2.10 may choose another for the program, which loses all with it.
            there = ["_node_ip_address=127.0.0.2"]
            summary, made = make(
                faulty.text, tmp_path / "out", distributor="ray", timeout=40, distributor_config=there
            )
        assert summary.exit_status == 0
    assert any("127.0.0.4" in death for death in summary.worker_deaths)
    assert_same(made, expected)


@pytest.mark.parametrize("engine", ["pyspark", "ray"])
def test_a_run_of_its_own_session_is_stopped_and_goes_on(
    faulty: FaultyList, expected: Dataset, tmp_path: Path, engine: str
) -> None:
    """With nothing set up: the program makes what it needs on this machine, and leaves no process behind."""
    # The row that gets no answer holds its shard until the stop.
    options = options_of(faulty.text, tmp_path / "out", distributor=engine, timeout=40)
    environment = {**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", "RAY_AUTH_MODE": "disabled"}
    address = {"ray": {"distributor_config": '["address=local","num_cpus=2"]'}}.get(engine, {})
    command = [COMMAND, *words({**options, **address})]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as run:
        until = time.monotonic() + 200
        while not list((tmp_path / "out").glob("*_stats.json")) and time.monotonic() < until:
            time.sleep(0.1)
        started = descendants(run.pid)
        run.send_signal(signal.SIGTERM)
        _, said = run.communicate(timeout=100)
    assert run.returncode == 143, said
    assert "the same command goes on" in said
    until = time.monotonic() + 30
    while (left := [pid for pid in started if lives(pid)]) and time.monotonic() < until:
        time.sleep(0.2)
    assert not left
    finished = len(list((tmp_path / "out").glob("*_stats.json")))
    assert 0 < finished < ROWS // 20
    again = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert again.returncode == 0, again.stderr
    assert f"{finished} shard" in again.stdout
    assert_same(read_dataset(tmp_path / "out"), expected)


def test_the_driver_of_spark_is_killed_and_nobody_is_left(faulty: FaultyList, tmp_path: Path) -> None:
    """The Python workers of Spark end with it, and what they have started notices that they are gone."""
    command = [COMMAND, *words(options_of(faulty.text, tmp_path / "out", distributor="pyspark"))]
    environment = {**os.environ, "SPARK_LOCAL_IP": "127.0.0.1"}
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment) as run:
        until = time.monotonic() + 200
        while not list((tmp_path / "out").glob("*_stats.json")) and time.monotonic() < until:
            time.sleep(0.1)
        started = descendants(run.pid)
        commands = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in started if lives(pid)]
        assert any(b"worker_process" in command for command in commands)
        run.kill()
    until = time.monotonic() + 30
    while (left := [pid for pid in started if lives(pid)]) and time.monotonic() < until:
        time.sleep(0.2)
    assert not left
