"""Real clusters on this machine for tests: Spark's, of two executors, and Ray's, of nodes that come and go.

Each takes ten seconds and more to start, so the tests of a module share one.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

STARTING_S = 90
TOKEN = secrets.token_hex(32)
# Settings of Spark: what takes longer than the rest is begun again at once elsewhere.
SPECULATION = {
    "spark.speculation": "true",
    "spark.speculation.interval": "100ms",
    "spark.speculation.multiplier": "1.1",
    "spark.speculation.quantile": "0.25",
    "spark.speculation.minTaskRuntime": "100ms",
}


def need_spark() -> None:
    """Skip where there is no Spark."""
    for package in ("pyspark", "pandas"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed; pip install '.[spark]'")
    if shutil.which("java") is None:
        pytest.skip("there is no java, which Spark needs; on Debian: apt-get install default-jre-headless")


def need_ray() -> None:
    """Skip where there is no Ray."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("ray is not installed; pip install '.[ray]'")


@contextlib.contextmanager
def spark_cluster(master: str = "local-cluster[2,1,1024]", **settings: str) -> Iterator[Any]:
    """A session of this process: two executors of one core each, in processes of their own."""
    need_spark()
    os.environ.update(SPARK_LOCAL_IP="127.0.0.1", PYSPARK_PYTHON=sys.executable)
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(master).appName("tests")
    quiet = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.log.level": "ERROR"}
    # The executors import what the tests do, from where this process does.
    path = {"spark.executorEnv.PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    for name, value in {**quiet, **path, **settings}.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    try:
        yield session
    finally:
        session.stop()
        end_of_java()


def end_of_java() -> None:
    """End the Java of this process: with the next session it starts anew, in the environment of then."""
    from pyspark import SparkContext

    gateway, SparkContext._gateway, SparkContext._jvm = SparkContext._gateway, None, None
    if gateway is not None:
        gateway.shutdown()
        gateway.proc.stdin.close()
        gateway.proc.wait(30)


class RayNodes:
    """A Ray cluster of processes of this machine, each node on a loopback address of its own.

    Args:
        dashboard_port: where jobs can be submitted to; without one they cannot.
    """

    def __init__(self, dashboard_port: int | None = None) -> None:
        need_ray()
        self._dashboard = ["--include-dashboard", "false"]
        if dashboard_port is not None:
            where = ["--dashboard-host", "127.0.0.2", "--dashboard-port", str(dashboard_port)]
            self._dashboard = ["--include-dashboard", "true", *where]
        # The names of Ray's sockets must be short.
        self.folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
        # Ray takes 127.0.0.1 for this machine's address on the network.
        self.address = f"127.0.0.2:{free_port()}"
        self.nodes: list[subprocess.Popen[bytes]] = []

    def add(self, cores: int = 1, python: Path | None = None) -> int:
        """Start one more node, with this Python or another; the first is the head. Returns its number."""
        number = len(self.nodes)
        where = (
            ["--head", "--port", self.address.split(":")[1], *self._dashboard]
            if not number
            else ["--address", self.address]
        )
        command = [
            *(str(python or sys.executable), "-m", "ray.scripts.scripts"),
            *("start", "--block", "--disable-usage-stats", "--num-cpus", str(cores)),
            *("--node-ip-address", f"127.0.0.{number + 2}", *where),
            *("--temp-dir", self.folder, "--object-store-memory", "100000000"),
        ]
        with open(f"{self.folder}/node-{number}.log", "wb") as log:
            node = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True, env=ray_environment()
            )
        self.nodes.append(node)
        self._wait_for(number)
        return number

    def kill(self, number: int) -> None:
        """End a node as a power cut does."""
        end_with_descendants(self.nodes[number])

    def close(self) -> None:
        """End all nodes."""
        for number in reversed(range(len(self.nodes))):
            self.kill(number)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _wait_for(self, number: int) -> None:
        until = time.monotonic() + STARTING_S
        log = Path(self.folder, f"node-{number}.log")
        while "Ray runtime started" not in log.read_text():
            if self.nodes[number].poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"a node of Ray has not started:\n{log.read_text()[-2000:]}")
            time.sleep(0.2)


@contextlib.contextmanager
def ray_cluster(nodes: int = 1, cores: int = 1, dashboard_port: int | None = None) -> Iterator[RayNodes]:
    """Nodes that what this process starts and does finds, by its environment."""
    cluster = RayNodes(dashboard_port)
    try:
        with pytest.MonkeyPatch.context() as patch:
            for _ in range(nodes):
                cluster.add(cores)
            for name, value in {**ray_environment(), "RAY_ADDRESS": cluster.address}.items():
                patch.setenv(name, value)
            yield cluster
    finally:
        cluster.close()


def ray_environment() -> dict[str, str]:
    """For the processes of Ray: a node that is gone is noticed within seconds."""
    return {
        **os.environ,
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": TOKEN,
        "RAY_health_check_initial_delay_ms": "1000",
        "RAY_health_check_period_ms": "500",
        "RAY_health_check_timeout_ms": "1000",
        "RAY_health_check_failure_threshold": "3",
    }


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def children(process_id: int) -> list[int]:
    """The processes that a process has started, and that are there or have not been waited for."""
    found = []
    for task in Path(f"/proc/{process_id}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # of a thread that ends meanwhile
            found += map(int, task.read_text().split())
    return found


def descendants(process_id: int) -> list[int]:
    """The processes that a process has started, and those that they have, deepest last."""
    found = []
    for child in children(process_id):
        found += [child, *descendants(child)]
    return found


def end_with_descendants(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and all that it has started, as a power cut does."""
    for started in descendants(process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(started, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    process.wait()
