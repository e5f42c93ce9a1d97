"""The job files that ``emit`` prints for Spark and Ray, handed to a real cluster of each."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.distributing.clusters import end_with_descendants, free_port, ray_cluster
from tests.distributing.same_dataset import FaultyList, assert_same, make, options_of
from tests.distributing.spark_machines import spark_machines
from tests.program.runs import COMMAND, Dataset, read_dataset, words
from tests.servers import ImageServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
# Secret: the job file does not say it, whoever starts it does.
HEADERS = "[X-Key: s3cret]"


@pytest.fixture(scope="module")
def faulty(image_server: ImageServer, tmp_path_factory: pytest.TempPathFactory) -> FaultyList:
    return FaultyList(image_server, tmp_path_factory.mktemp("lists"), rows=90)


@pytest.fixture(scope="module")
def expected(faulty: FaultyList, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make(faulty.text, tmp_path_factory.mktemp("expected") / "out")[1]


def job_file(kind: str, faulty: FaultyList, folder: Path) -> Path:
    """What ``emit`` prints for the run that ``make`` does, in a file."""
    options = options_of(faulty.text, folder / "out of it", extra_headers=HEADERS)
    emitted = subprocess.run([COMMAND, "emit", kind, *words(options)], capture_output=True, text=True)
    assert emitted.returncode == 0, emitted.stderr
    assert "s3cret" not in emitted.stdout
    (folder / "job.sh").write_text(emitted.stdout)
    return folder / "job.sh"


def hand_in(path: Path, *more: str, **environment: str) -> str:
    """Run a job file to its end, as a user does; returns what it says."""
    program = Path(COMMAND).parent
    log = path.with_suffix(".log")
    with open(log, "wb") as file:
        run = subprocess.Popen(
            ["bash", str(path), *more],
            stdout=file,
            stderr=file,
            env={**os.environ, "PATH": f"{program}:{os.environ['PATH']}", **environment},
            cwd=path.parent,
        )
        try:
            run.wait(timeout=500)
        finally:
            end_with_descendants(run)
    assert run.returncode == 0, log.read_text()
    return log.read_text()


def test_the_script_for_spark_submit_makes_the_dataset_on_a_standalone_spark(
    faulty: FaultyList, expected: Dataset, tmp_path: Path
) -> None:
    path = job_file("spark", faulty, tmp_path)
    with spark_machines(tmp_path) as machines:
        hand_in(path, "--master", machines.address, IMG2DATASET_EXTRA_HEADERS=HEADERS, **machines.environment)
        assert_same(read_dataset(tmp_path / "out of it"), expected)
        worked = [path for path in (tmp_path / "work").glob("*/*/stderr") if path.stat().st_size]
        assert len({path.parent for path in worked}) == 2, "both workers had an executor"


@pytest.fixture
def dashboard() -> Iterator[str]:
    """The address that jobs are submitted to, of a Ray whose nodes have what the job file asks for."""
    if importlib.util.find_spec("opencensus") is None:
        pytest.skip("the dashboard of Ray is not installed; pip install 'ray[default]'")
    port = free_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IMG2DATASET_EXTRA_HEADERS", HEADERS)
        patch.setenv("PATH", f"{Path(COMMAND).parent}:{os.environ['PATH']}")
        with ray_cluster(nodes=2, dashboard_port=port):
            yield f"http://127.0.0.2:{port}"


def test_the_script_for_ray_job_submit_makes_the_dataset(
    faulty: FaultyList, expected: Dataset, tmp_path: Path, dashboard: str
) -> None:
    path = job_file("ray", faulty, tmp_path)
    said = hand_in(path, RAY_ADDRESS=dashboard)
    assert "succeeded" in said
    assert_same(read_dataset(tmp_path / "out of it"), expected)
