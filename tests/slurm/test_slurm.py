"""Ranks under a real Slurm, by the job file that ``emit`` prints. Slow: needs root, slurm-wlm and munge."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from img2dataset.formats.dataset import RUNS_FOLDER
from tests.distributing.command_line import MEMBERS
from tests.distributing.test_consent_on_engines import assert_same_decisions, site, strict_options
from tests.program.runs import COMMAND, Dataset, read_dataset, run, serve_photographs, words, write_list
from tests.servers import ImageServer
from tests.slurm.cluster import Cluster, missing_programs

__all__ = ["site"]  # a fixture

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROWS, ROWS_PER_SHARD = 3000, 50


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if missing_programs():
        pytest.skip(f"{', '.join(missing_programs())} missing; on Debian: apt-get install slurm-wlm munge")
    if os.getuid() != 0:
        pytest.skip("slurmd is started by root")
    cluster = Cluster(tmp_path_factory.mktemp("slurm"))
    yield cluster
    cluster.close()


@pytest.fixture(scope="module")
def url_list(image_server: ImageServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write_list(
        tmp_path_factory.mktemp("slurm-list") / "list.txt", serve_photographs(image_server), ROWS
    )
    lines = path.read_text().split()
    lines[::40] = [image_server.url(f"/status/404?row={number}") for number in range(len(lines[::40]))]
    path.write_text("\n".join(lines))
    return path


def options_of(url_list: Path, folder: Path) -> dict[str, Any]:
    return {
        "url_list": url_list,
        "output_folder": folder / "out",
        "output_format": "webdataset",
        "number_sample_per_shard": ROWS_PER_SHARD,
        "processes_count": 1,
        "image_size": 64,
        "lease_s": 5,
    }


@pytest.fixture
def options(url_list: Path, tmp_path: Path) -> dict[str, Any]:
    return options_of(url_list, tmp_path)


@pytest.fixture(scope="module")
def expected(url_list: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    options = options_of(url_list, tmp_path_factory.mktemp("alone"))
    result = run(**{**options, "processes_count": 2})
    assert result.returncode == 0, result.stderr
    return read_dataset(options["output_folder"])


def submit(cluster: Cluster, options: dict[str, Any], folder: Path, *more: str, ranks: int = 4) -> str:
    """Submit the job file for these options; the number of the job."""
    emitted = subprocess.run(
        [COMMAND, "emit", "slurm", *words(options), f"--world_size={ranks}"],
        capture_output=True,
        text=True,
        check=True,
    )
    (folder / "job.sh").write_text(emitted.stdout)
    # The program of this environment, as a module or an activated environment has it.
    path = f"{Path(COMMAND).parent}:{os.environ['PATH']}"
    log = f"--output={folder}/%A_%a.log"
    return cluster.run("sbatch", "--parsable", log, *more, str(folder / "job.sh"), PATH=path).strip()


def wait_for(condition: Callable[[], bool], folder: Path, timeout_s: float = 300) -> None:
    until = time.monotonic() + timeout_s
    while not condition():
        logs = "\n".join(path.read_text(errors="replace") for path in folder.glob("*.log"))
        assert time.monotonic() < until, logs
        time.sleep(0.1)


def shards_done(options: dict[str, Any]) -> int:
    return len(list(options["output_folder"].glob("*_stats.json")))


def all_are(cluster: Cluster, job: str, states: dict[str, str]) -> Callable[[], bool]:
    return lambda: cluster.states(job) == states


def assert_same(made: Dataset, expected: Dataset) -> None:
    assert sorted(made.statistics) == sorted(expected.statistics)
    assert made.rows == expected.rows
    assert made.images == expected.images


DONE = "COMPLETED 0:0"


def test_an_array_makes_what_one_program_makes(
    cluster: Cluster, options: dict[str, Any], tmp_path: Path, expected: Dataset
) -> None:
    job = submit(cluster, options, tmp_path)
    wait_for(all_are(cluster, job, dict.fromkeys("0123", DONE)), tmp_path)
    assert_same(read_dataset(options["output_folder"]), expected)
    notes = (options["output_folder"] / RUNS_FOLDER / "members").glob("*.json")
    assert sorted(path.stem for path in notes) == [f"rank-{number:05d}" for number in range(4)]


def test_a_task_that_is_cancelled_gives_back_what_it_has(
    cluster: Cluster, options: dict[str, Any], tmp_path: Path, expected: Dataset
) -> None:
    # Leases would last longer than the test: it is the giving back that counts.
    job = submit(cluster, {**options, "lease_s": 3000}, tmp_path)
    wait_for(lambda: shards_done(options) >= 4, tmp_path)
    cluster.run("scancel", f"{job}_1")
    wait_for(lambda: cluster.states(job).get("1", "").startswith("CANCELLED"), tmp_path)
    wait_for(lambda: [cluster.states(job)[task] for task in "023"] == [DONE] * 3, tmp_path)
    assert_same(read_dataset(options["output_folder"]), expected)
    said = (tmp_path / f"{job}_1.log").read_text()
    assert "the same command goes on where it stopped" in said
    assert cluster.states(job)["1"].startswith("CANCELLED")  # and was not queued again


def test_a_task_that_is_requeued_goes_on(
    cluster: Cluster, options: dict[str, Any], tmp_path: Path, expected: Dataset
) -> None:
    job = submit(cluster, options, tmp_path, ranks=2)
    wait_for(lambda: shards_done(options) >= 4, tmp_path)
    cluster.run("scontrol", "requeue", f"{job}_1")
    wait_for(all_are(cluster, job, dict.fromkeys("01", DONE)), tmp_path)
    assert_same(read_dataset(options["output_folder"]), expected)
    assert "Restarts=1" in cluster.run("scontrol", "show", "job", f"{job}_1", "--oneliner")


def test_a_task_whose_time_is_up_queues_itself_again(
    cluster: Cluster, options: dict[str, Any], tmp_path: Path, image_server: ImageServer
) -> None:
    """One row keeps the only rank longer than its time; it is given up in the second."""
    lines = options["url_list"].read_text().split()[:200]
    lines[-1] = image_server.url("/hang-before-headers/slurm")
    (tmp_path / "hanging.txt").write_text("\n".join(lines))
    options |= {"url_list": tmp_path / "hanging.txt", "timeout": 600, "deadline": 600, "grace_s": 6}
    job = submit(cluster, options, tmp_path, "--time=1", ranks=1)
    wait_for(lambda: "Restarts=1" in cluster.run("scontrol", "show", "job", job, "--oneliner"), tmp_path)
    said = (tmp_path / f"{job}_0.log").read_text()
    assert "kept of 1 shard that could not be finished" in said
    assert "the same command goes on" in said
    cluster.run("scancel", job)
    wait_for(lambda: cluster.states(job)["0"].startswith("CANCELLED"), tmp_path)
    assert shards_done(options) == 3


def test_the_processes_of_a_step_are_ranks(
    cluster: Cluster, options: dict[str, Any], tmp_path: Path, expected: Dataset
) -> None:
    command = [COMMAND, *words(options), "--distributor=ranks"]
    said = cluster.run("srun", "--ntasks=3", f"--output={tmp_path}/%t.log", *command)
    assert said == ""
    assert_same(read_dataset(options["output_folder"]), expected)
    notes = (options["output_folder"] / RUNS_FOLDER / "members").glob("*.json")
    assert sorted(path.stem for path in notes) == [f"rank-{number:05d}" for number in range(3)]


def test_the_tasks_of_an_array_decide_as_one_machine_does(
    cluster: Cluster, site: ImageServer, tmp_path: Path
) -> None:
    def by_slurm(options: dict[str, Any]) -> str:
        job = submit(cluster, {**options, "processes_count": 1}, tmp_path, ranks=MEMBERS)
        wait_for(all_are(cluster, job, dict.fromkeys(map(str, range(MEMBERS)), DONE)), tmp_path)
        return ""

    assert_same_decisions(by_slurm, site, strict_options(site, tmp_path), tmp_path)
