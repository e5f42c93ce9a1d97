"""A standalone Spark of processes of this machine, for tests: a master, and workers that run executors."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.distributing.clusters import STARTING_S, end_with_descendants, need_spark


class SparkMachines:
    """A master and its workers, of one core each, at ``address`` (``spark://…``).

    Args:
        folder: for what they write.
        workers: how many.
        environment: of the executors, beside this process's.
    """

    def __init__(self, folder: Path, workers: int = 2, environment: dict[str, str] | None = None) -> None:
        need_spark()
        import pyspark

        self._folder = folder
        self.environment = {
            **os.environ,
            "SPARK_HOME": pyspark.__path__[0],
            "SPARK_LOCAL_IP": "127.0.0.1",
            "PYSPARK_PYTHON": sys.executable,
            # spark-submit and img2dataset are beside this Python.
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            **(environment or {}),
        }
        self._processes: list[subprocess.Popen[bytes]] = []
        self.address = self._start(
            "master.Master", "--host", "127.0.0.1", "--port", "0", ready=r"spark://\S+:\d+"
        )
        for _ in range(workers):
            resources = ["--cores", "1", "--memory", "1g", "--work-dir", str(folder / "work")]
            self._start("worker.Worker", *resources, self.address, ready="Successfully registered")

    def close(self) -> None:
        """End all, with what they run."""
        for process in reversed(self._processes):
            end_with_descendants(process)

    def _start(self, name: str, *words: str, ready: str) -> str:
        """Start one of them; returns what it says when it is ready."""
        import pyspark

        log = self._folder / f"spark-{len(self._processes)}.log"
        command = [f"{pyspark.__path__[0]}/bin/spark-class", f"org.apache.spark.deploy.{name}"]
        with open(log, "wb") as file:
            process = subprocess.Popen(
                [*command, "--webui-port", "0", *words],
                stdout=file,
                stderr=file,
                env=self.environment,
                start_new_session=True,
            )
        self._processes.append(process)
        until = time.monotonic() + STARTING_S
        while (found := re.search(ready, log.read_text())) is None:
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"Spark's {name} has not started:\n{log.read_text()[-2000:]}")
            time.sleep(0.2)
        return found[0]


@contextlib.contextmanager
def spark_machines(folder: Path, workers: int = 2, **environment: str) -> Iterator[SparkMachines]:
    """A standalone Spark for as long as it is used."""
    machines = SparkMachines(folder, workers, environment)
    try:
        yield machines
    finally:
        machines.close()
