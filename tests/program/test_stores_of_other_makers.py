"""Whole runs whose list and output lie on stores of other makers than the S3 server of the usual tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.program.emulators import Emulator, missing, running
from tests.program.runs import COMMAND, read_dataset, run, serve_photographs, start, write_list
from tests.program.test_faults import wait_until
from tests.servers import ImageServer

pytestmark = pytest.mark.slow

ROWS, ROWS_PER_SHARD = 60, 10


@pytest.fixture(scope="module", params=["s3", "az", "gs"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    if reason := missing(request.param):
        pytest.skip(reason)
    with running(request.param, tmp_path_factory.mktemp(request.param) / "store") as emulator:
        yield emulator


@pytest.fixture
def bucket(store: Emulator) -> str:
    name = f"bucket{uuid.uuid4().hex[:12]}"
    store.file_system().mkdir(name)
    return name


def options_for(store: Emulator, bucket: str, local_list: Path) -> dict[str, Any]:
    """Both the list and the output are on the store."""
    store.file_system().put_file(str(local_list), f"{bucket}/lists/{local_list.name}")
    return {
        "url_list": f"{store.scheme}://{bucket}/lists/{local_list.name}",
        "output_folder": f"{store.scheme}://{bucket}/out",
        "output_format": "webdataset",
        "number_sample_per_shard": ROWS_PER_SHARD,
        "processes_count": 2,
        "image_size": 64,
        "environment": store.environment,
    }


def downloaded(store: Emulator, bucket: str, local: Path) -> Path:
    files = store.file_system()
    for path in files.find(f"{bucket}/out"):
        target = local / path.removeprefix(f"{bucket}/out/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(files.cat_file(path))
    return local


def verify(store: Emulator, bucket: str) -> subprocess.CompletedProcess[str]:
    command = [COMMAND, "verify", f"{store.scheme}://{bucket}/out", "--images"]
    environment = {**os.environ, **store.environment}
    return subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment)


def test_a_run_its_check_and_its_repetition(
    store: Emulator, bucket: str, image_server: ImageServer, tmp_path: Path
) -> None:
    urls = [*serve_photographs(image_server, 6), image_server.url("/no-such-image.jpg")]
    url_list = write_list(tmp_path / "list.txt", urls, ROWS)
    options = options_for(store, bucket, url_list)
    result = run(**options)
    assert result.returncode == 0, result.stderr
    made = read_dataset(downloaded(store, bucket, tmp_path / "made"))
    lost = sum("no-such-image" in url for url in url_list.read_text().split())
    assert made.statuses() == {"success": ROWS - lost, "failed_to_download": lost}
    assert sorted(row["url"] for row in made.rows) == sorted(url_list.read_text().split())
    checked = verify(store, bucket)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    again = run(**options)
    assert "6 shards already done" in again.stdout, again.stderr


def test_a_killed_run_is_gone_on_with(
    store: Emulator, bucket: str, image_server: ImageServer, tmp_path: Path
) -> None:
    urls = serve_photographs(image_server, 6)
    url_list = write_list(tmp_path / "list.txt", urls, ROWS - 1)
    with open(url_list, "a") as file:
        file.write(image_server.url(f"/hang-before-headers/{store.scheme}") + "\n")
    options = {**options_for(store, bucket, url_list), "timeout": 20}
    process = start(**options)
    files = store.file_system()
    wait_until(lambda: any(path.endswith("_stats.json") for path in files.find(f"{bucket}/out")), process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    result = run(**{**options, "timeout": 1})
    assert result.returncode == 0, result.stderr
    made = read_dataset(downloaded(store, bucket, tmp_path / "made"))
    assert made.statuses() == {"success": ROWS - 1, "failed_to_download": 1}


def test_failed_rows_are_taken_again_in_place(
    store: Emulator, bucket: str, image_server: ImageServer, tmp_path: Path
) -> None:
    name = f"again-{store.scheme}"
    serve_photographs(image_server, 1, name)
    urls = [
        image_server.url(f"/flaky/{name}-{row}?fail=1&then=/{name}/0.jpg")
        if row % 4 == 1
        else image_server.url(f"/{name}/0.jpg?{row}")
        for row in range(ROWS_PER_SHARD)
    ]
    (tmp_path / "list.txt").write_text("\n".join(urls))
    options = options_for(store, bucket, tmp_path / "list.txt")
    assert run(**options).returncode == 0
    assert run(**options, incremental_mode="retry_failed").returncode == 0
    made = read_dataset(downloaded(store, bucket, tmp_path / "made"))
    assert made.statuses() == {"success": ROWS_PER_SHARD}
    assert verify(store, bucket).returncode == 0
    statistics = json.loads(store.file_system().cat_file(f"{bucket}/out/00000_stats.json"))
    assert statistics["successes"] == ROWS_PER_SHARD
