"""Whole runs whose store is away in the middle: for longer than all tries of one request take."""

from __future__ import annotations

import os
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.pictures import photograph
from tests.program.failing_store import Store, failing_store
from tests.program.runs import read_dataset, run, serve_photographs, start, write_list
from tests.program.test_faults import wait_until
from tests.program.test_object_store import downloaded, environment, file_system
from tests.servers import ImageServer
from tests.storage.conftest import s3_server

__all__ = ["s3_server"]  # a fixture

pytestmark = pytest.mark.timeout(300)
# Five tries of one request, each of them five of the store's library, take less.
AWAY_S = 40
ROWS, ROWS_PER_SHARD = 400, 10


@pytest.fixture
def store(s3_server: str) -> Iterator[Store]:
    with failing_store(s3_server) as store:
        yield store


@pytest.fixture
def options(store: Store, image_server: ImageServer, tmp_path: Path) -> dict[str, Any]:
    """List and output in one bucket."""
    bucket = f"away-{uuid.uuid4().hex[:12]}"
    files = file_system(store)
    files.mkdir(bucket)
    path = write_list(tmp_path / "list.txt", serve_photographs(image_server, 6), ROWS)
    files.pipe_file(f"{bucket}/list.txt", path.read_bytes())
    return {
        "url_list": f"s3://{bucket}/list.txt",
        "output_folder": f"s3://{bucket}/out",
        "output_format": "webdataset",
        "number_sample_per_shard": ROWS_PER_SHARD,
        "processes_count": 1,
        "image_size": 64,
        "max_shard_retry": 0,
        "environment": environment(store),
    }


def goes_away(store: Store, process: subprocess.Popen[str], how: Any) -> None:
    """Once the first shard is there, for so long."""
    wait_until(lambda: any(name.endswith("_stats.json") for name in store.shards_put()), process)
    store.failing_share, store.always = 1.0, how
    time.sleep(AWAY_S)
    store.heal()


def made(store: Store, options: dict[str, Any], copy: Path) -> dict[str, int]:
    bucket = options["output_folder"].split("/")[2]
    return read_dataset(downloaded(store, bucket, copy)).statuses()


def ended(process: subprocess.Popen[str]) -> str:
    stdout, stderr = process.communicate(timeout=240)
    assert process.returncode == 0, (stdout, stderr)
    return stderr


@pytest.mark.slow
@pytest.mark.parametrize("how", ["reset", (503, "SlowDown", "Please reduce your request rate.")])
def test_ranks_wait_for_their_leases_list_and_shards(
    store: Store, options: dict[str, Any], tmp_path: Path, how: Any
) -> None:
    ranks = [start(**options, distributor="ranks", rank=n, world_size=2, lease_s=6) for n in range(2)]
    goes_away(store, ranks[0], how)
    said = [ended(process) for process in ranks]
    assert any("the store of the output folder is away" in text for text in said), said
    assert made(store, options, tmp_path / "copy") == {"success": ROWS}


@pytest.mark.slow
def test_one_program_waits_for_its_list_and_at_its_end(
    store: Store, options: dict[str, Any], tmp_path: Path
) -> None:
    process = start(**options)
    goes_away(store, process, "reset")
    assert "is back after" in ended(process)
    assert made(store, options, tmp_path / "copy") == {"success": ROWS}


@pytest.mark.slow
def test_rows_that_are_retried_wait_for_the_shards_they_are_of(
    store: Store, options: dict[str, Any], image_server: ImageServer, tmp_path: Path
) -> None:
    name = uuid.uuid4().hex
    image_server.put(f"/{name}.jpg", photograph(200, 150))
    urls = [image_server.url(f"/flaky/{name}-{n}?fail=1&then=/{name}.jpg") for n in range(200)]
    bucket = options["output_folder"].split("/")[2]
    file_system(store).pipe_file(f"{bucket}/list.txt", "\n".join(urls).encode())
    assert run(**options).returncode == 0
    store.heal()
    process = start(**options, incremental_mode="retry_failed")
    goes_away(store, process, "reset")
    assert "the store of the output folder is away" in ended(process)
    assert made(store, options, tmp_path / "copy") == {"success": 200}


def test_credentials_that_expire_in_the_middle_are_one_clear_line(
    store: Store, options: dict[str, Any]
) -> None:
    process = start(**options, distributor="ranks", rank=0, world_size=1)
    wait_until(lambda: any(name.endswith("_stats.json") for name in store.shards_put()), process)
    store.failing_share, store.always = 1.0, (403, "ExpiredToken", "The provided token has expired.")
    stdout, stderr = process.communicate(timeout=240)
    assert process.returncode == 1
    assert "The provided token has expired" in stdout + stderr
    assert "Traceback" not in stdout + stderr
    # Nothing was waited for.
    assert "is away" not in stderr
    assert os.linesep.join(stderr.splitlines()).count("The provided token has expired") <= 1
