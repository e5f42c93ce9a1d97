"""Requests of all members are signed, and the key that travels to them stands nowhere in clear."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.distributing.clusters import TOKEN, free_port
from tests.distributing.command_line import Runs, by_ranks, by_ray, by_spark
from tests.fetching.http.conftest import key, key_file
from tests.fetching.http.message_signatures import verify_request
from tests.fetching.http.signing_keys import AGENT
from tests.program.runs import read_dataset, serve_photographs
from tests.program.test_signed_runs import forms_of
from tests.servers import ImageServer

__all__ = ["key", "key_file"]  # fixtures

pytestmark = pytest.mark.timeout(600)
ROWS = 36


@pytest.fixture
def server() -> Iterator[ImageServer]:
    with ImageServer() as server:
        yield server


def run_signed(runs: Runs, server: ImageServer, key: Ed25519PrivateKey, key_file: str, tmp_path: Path) -> str:
    """Have each request signed; what the programs of the run have said."""
    urls = serve_photographs(server, ROWS)
    (tmp_path / "list.txt").write_text("\n".join(urls))
    options: dict[str, Any] = {
        "url_list": tmp_path / "list.txt",
        "output_folder": tmp_path / "out",
        "output_format": "webdataset",
        "number_sample_per_shard": ROWS // 9,
        "image_size": 64,
        "sign_requests": key_file,
        "signature_agent": AGENT,
        "respect_robots_txt": True,
        "log_level": "debug",
    }
    said = runs(options)
    assert read_dataset(tmp_path / "out").statuses() == {"success": ROWS}
    for url in [*urls, server.url("/robots.txt")]:
        head = server.last_request(url.partition(str(server.port))[2]) or ""
        assert verify_request(head, key.public_key(), time.time()).agent == AGENT
    return said


def assert_key_is_not_in(contents: Iterable[bytes], key: Ed25519PrivateKey) -> None:
    contents = list(contents)
    assert sum(map(len, contents)) > 10_000
    for form in forms_of(key):
        assert not any(form in content for content in contents)


def files_in(*folders: Path) -> list[bytes]:
    """What stands in all files of these folders, but in the key's."""
    files = (path for folder in folders for path in folder.rglob("*"))
    return [path.read_bytes() for path in files if path.is_file() and path.name != "key.pem"]


def test_ranks_sign(server: ImageServer, key: Ed25519PrivateKey, key_file: str, tmp_path: Path) -> None:
    said = run_signed(by_ranks, server, key, key_file, tmp_path)
    assert_key_is_not_in([said.encode(), *files_in(tmp_path)], key)


@pytest.mark.slow
def test_tasks_of_spark_sign_and_no_log_of_spark_has_the_key(
    server: ImageServer, key: Ed25519PrivateKey, key_file: str, tmp_path: Path
) -> None:
    events = tmp_path / "events"
    events.mkdir()
    settings = {
        "spark.ui.enabled": "true",
        "spark.eventLog.enabled": "true",
        "spark.eventLog.compress": "false",
        "spark.eventLog.dir": f"file://{events}",
    }
    with by_spark(tmp_path, **settings) as runs:
        said = run_signed(runs, server, key, key_file, tmp_path)
    # Spark's pages are made of the events; its executors' folders are in this one.
    assert any(b"SparkListenerTaskEnd" in content for content in files_in(events))
    assert_key_is_not_in([said.encode(), *files_in(tmp_path)], key)


@pytest.mark.slow
def test_nodes_of_ray_sign_and_neither_its_logs_nor_its_dashboard_have_the_key(
    server: ImageServer, key: Ed25519PrivateKey, key_file: str, tmp_path: Path
) -> None:
    import requests

    port = free_port()
    with by_ray(dashboard_port=port) as (runs, folder):
        said = run_signed(runs, server, key, key_file, tmp_path)
        told = [
            requests.get(
                f"http://127.0.0.2:{port}/api/v0/{kind}",
                params={"detail": "True"},
                headers={"Authorization": f"Bearer {TOKEN}"},
                timeout=60,
            )
            for kind in ("actors", "tasks", "jobs", "workers", "objects")
        ]
        assert {answer.status_code for answer in told} == {200}
        assert "NodeMember" in told[0].text
        logs = files_in(folder)
    assert_key_is_not_in(
        [said.encode(), *(answer.content for answer in told), *logs, *files_in(tmp_path)], key
    )
