"""Spark Connect: the session is a connection to a server, which has neither RDDs nor a SparkContext."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.distributing.clusters import need_spark
from tests.distributing.same_dataset import FaultyList, assert_same, make, options_of
from tests.program.runs import COMMAND, read_dataset, words
from tests.servers import ImageServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def server() -> str:
    """What SPARK_REMOTE is: a server that Spark starts on this machine, for the run alone."""
    need_spark()
    for package in ("grpc", "grpc_status", "zstandard"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed; pip install 'pyspark[connect]'")
    return "local[2]"


def test_a_run_over_spark_connect_makes_the_same_dataset(
    server: str, image_server: ImageServer, tmp_path: Path
) -> None:
    faulty = FaultyList(image_server, tmp_path, rows=90)
    _, expected = make(faulty.text, tmp_path / "expected")
    config = '["spark.sql.shuffle.partitions=4","spark.executor.memory=3g"]'
    of_spark = {"distributor": "pyspark", "subjob_size": 3, "distributor_config": config}
    options = options_of(faulty.text, tmp_path / "out", **of_spark)
    environment = {
        **os.environ,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_REMOTE": server,
        "PYSPARK_PYTHON": sys.executable,
    }
    run = subprocess.run(
        [COMMAND, *words(options)], capture_output=True, text=True, env=environment, timeout=400
    )
    assert run.returncode == 0, run.stderr
    assert_same(read_dataset(tmp_path / "out"), expected)
