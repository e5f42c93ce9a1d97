"""Machines of real clusters that cannot do a run: one line says so before work begins."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from img2dataset.version import __version__
from tests.distributing.clusters import RayNodes, free_port, ray_cluster, ray_environment
from tests.distributing.elsewhere import environment_of_a_user, python_elsewhere, python_that_does_not_see
from tests.distributing.spark_machines import SparkMachines, spark_machines
from tests.fetching.http.conftest import key, key_file
from tests.fetching.http.signing_keys import AGENT
from tests.installed_packages import Install
from tests.program.runs import COMMAND, words
from tests.program.test_added_signals import ADDED

__all__ = ["key", "key_file"]  # fixtures

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
CASES = {
    "another version": f"img2dataset 1.99.0 is installed there: install .* on all machines, {__version__}",
    "without the package": f"img2dataset is not installed: install {__version__} in the Python",
    "without pyarrow": "pyarrow is not installed: install img2dataset",
    "without the list": "url_list: .*list.txt.*: on a shared file system, or in a store",
    "without the folder": "output_folder .*out' is not the folder that the program sees",
    "without the plug-in": "cannot do this run: --consent_signals is 'ai.txt', which no .* package adds",
    "without what signs": "cannot do this run: --sign_requests needs the package cryptography: pip install",
}


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkMachines]:
    with spark_machines(tmp_path_factory.mktemp("spark"), workers=1) as machines:
        yield machines


@pytest.fixture(scope="module")
def ray() -> Iterator[RayNodes]:
    with ray_cluster() as cluster:
        yield cluster


def python_of(case: str, tmp_path: Path) -> Path:
    """The Python of a machine that lacks something."""
    if case == "another version":
        return python_elsewhere(tmp_path / "environment", version="1.99.0")
    if case == "without the package":
        return python_elsewhere(tmp_path / "environment")
    if case == "without pyarrow":
        return python_elsewhere(tmp_path / "environment", "pyarrow", version=__version__)
    if case == "without what signs":
        return python_elsewhere(tmp_path / "environment", "cryptography", version=__version__)
    hidden = {"without the list": "lists", "without the folder": "out", "without the plug-in": "installed"}
    return python_that_does_not_see(tmp_path / hidden[case], tmp_path)


def options_of(case: str, tmp_path: Path) -> dict[str, str]:
    """What a run is to be told so that it needs what a machine lacks."""
    if case == "without the plug-in":
        return {"consent_signals": "ai.txt"}
    if case == "without what signs":
        return {"sign_requests": str(tmp_path / "key.pem"), "signature_agent": AGENT}
    return {}


def assert_refused(said: str, tmp_path: Path, environment: dict[str, str], **options: str) -> None:
    """The run must end with what is said, before its first shard."""
    list_file = tmp_path / "lists" / "list.txt"
    given = {"url_list": list_file, "output_folder": tmp_path / "out", **options}
    run = subprocess.run(
        [COMMAND, *words(given)], capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=400
    )
    assert run.returncode == 1, run.stderr
    assert "Traceback" not in run.stdout + run.stderr
    # The end of a run is told on lines of a certain width.
    whole = " ".join((run.stdout + run.stderr).split())
    assert len(re.findall(said, whole)) == 1, run.stdout + run.stderr
    assert not list((tmp_path / "out").glob("*_stats.json"))


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, tmp_path: Path, key_file: str, install: Install) -> str:
    (tmp_path / "lists").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "lists" / "list.txt").write_text("http://127.0.0.1:1/a.jpg\n" * 30)
    install("spawning", ADDED, "[img2dataset.signals]\nai.txt = spawning:Both\n")
    name: str = request.param
    return name


def test_executors_of_spark_that_cannot_do_the_run(spark: SparkMachines, case: str, tmp_path: Path) -> None:
    environment = environment_of_a_user(
        **{**spark.environment, "PYSPARK_PYTHON": str(python_of(case, tmp_path))}
    )
    assert_refused(
        CASES[case],
        tmp_path,
        {**environment, "PYTHONPATH": str(tmp_path / "installed")},
        **options_of(case, tmp_path),
        distributor="pyspark",
        distributor_config=f'["spark.master={spark.address}"]',
    )


def test_a_node_of_ray_that_cannot_do_the_run(ray: RayNodes, case: str, tmp_path: Path) -> None:
    number = ray.add(python=python_of(case, tmp_path))
    try:
        environment = environment_of_a_user(**{**ray_environment(), "RAY_ADDRESS": ray.address})
        environment["PYTHONPATH"] = str(tmp_path / "installed")
        assert_refused(CASES[case], tmp_path, environment, **options_of(case, tmp_path), distributor="ray")
    finally:
        ray.kill(number)


def test_a_ray_that_is_not_there(ray: RayNodes, tmp_path: Path) -> None:
    address = f"127.0.0.2:{free_port()}"
    refuse_at(f"nothing answers at {address} .*ray start --head", address, tmp_path)


def test_a_ray_that_wants_another_token(ray: RayNodes, tmp_path: Path) -> None:
    if importlib.util.find_spec("ray._private.authentication") is None:
        pytest.skip("this Ray has no tokens")
    said = "RAY_AUTH_MODE and RAY_AUTH_TOKEN must be here what they were"
    refuse_at(said, ray.address, tmp_path, RAY_AUTH_TOKEN="0" * 64)


def refuse_at(said: str, address: str, tmp_path: Path, **environment: str) -> None:
    """A run that is given the address of a Ray that it cannot use ends with what is said."""
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "list.txt").write_text("http://127.0.0.1:1/a.jpg\n")
    environment = environment_of_a_user(**{**ray_environment(), **environment})
    config = f"address={address}"
    assert_refused(said, tmp_path, environment, distributor="ray", distributor_config=config)
