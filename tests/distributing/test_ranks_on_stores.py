"""Ranks whose output folder is in a bucket of a real S3 server, through a proxy that fails now and then."""

from __future__ import annotations

import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.program.failing_store import Store, failing_store
from tests.program.runs import COMMAND, read_dataset, serve_photographs, start, write_list
from tests.program.test_faults import wait_until
from tests.program.test_object_store import downloaded, environment, file_system
from tests.servers import ImageServer
from tests.storage.conftest import s3_server

__all__ = ["s3_server"]  # a fixture

ROWS, ROWS_PER_SHARD = 400, 20


@pytest.fixture
def store(s3_server: str) -> Iterator[Store]:
    with failing_store(s3_server) as store:
        yield store


def test_ranks_share_a_bucket_and_one_that_is_killed_costs_nothing(
    store: Store, image_server: ImageServer, tmp_path: Path
) -> None:
    bucket = f"ranks-{uuid.uuid4().hex[:8]}"
    file_system(store).mkdir(bucket)
    options: dict[str, Any] = {
        "url_list": write_list(tmp_path / "list.txt", serve_photographs(image_server), ROWS),
        "output_folder": f"s3://{bucket}/out",
        "output_format": "webdataset",
        "number_sample_per_shard": ROWS_PER_SHARD,
        "processes_count": 1,
        "image_size": 64,
        "environment": environment(store),
        "distributor": "ranks",
        "world_size": 3,
        "lease_s": 4,
    }
    store.failing_share = 0.02
    ranks = [start(**options, rank=number) for number in range(3)]
    wait_until(lambda: any(name.endswith("_stats.json") for name in store.shards_put()), ranks[0])
    os.kill(ranks[2].pid, signal.SIGKILL)
    for process in ranks[:2]:
        stdout, stderr = process.communicate(timeout=200)
        assert process.returncode == 0, (stdout, stderr)
    ranks[2].communicate()
    store.heal()
    dataset = read_dataset(downloaded(store, bucket, tmp_path / "copy"))
    assert dataset.statuses() == {"success": ROWS}
    assert [row["key"] for row in dataset.rows] == [
        f"{shard:05d}{row:02d}" for shard in range(ROWS // ROWS_PER_SHARD) for row in range(ROWS_PER_SHARD)
    ]
    shown = subprocess.run(
        [COMMAND, "status", options["output_folder"]],
        capture_output=True,
        text=True,
        env={**os.environ, **environment(store)},
        timeout=60,
    )
    assert "20 done" in shown.stdout, shown.stderr
    assert "rank-00001 (ranks," in shown.stdout
