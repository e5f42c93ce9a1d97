"""Whole runs into a real S3 server that fails: now and then, or for good."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pyarrow.parquet as pq
import pytest

from img2dataset.storage import retries
from tests.pictures import photograph
from tests.program.failing_store import Store, failing_store
from tests.program.runs import (
    Dataset,
    command_here,
    read_dataset,
    run,
    run_here,
    serve_photographs,
    start,
    write_list,
)
from tests.program.test_faults import wait_until
from tests.servers import ImageServer
from tests.storage.conftest import s3_server

__all__ = ["s3_server"]  # a fixture

ROWS, ROWS_PER_SHARD = 40, 10
# Each interpreter that finds this waits less between its tries. How long the real waits are is seen where the
# store is away for a while.
SHORT_WAITS = """
from img2dataset.storage import retries

retries._FIRST_WAIT_S /= 20
"""


@pytest.fixture
def store(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    with failing_store(s3_server) as store:
        # For runs in this process.
        monkeypatch.setitem(fsspec.config.conf, "s3", access(store))
        yield store


@pytest.fixture
def short_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(SHORT_WAITS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"), prepend=os.pathsep)
    monkeypatch.setattr(retries, "_FIRST_WAIT_S", retries._FIRST_WAIT_S / 20)


@pytest.fixture
def bucket(store: Store) -> str:
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    file_system(store).mkdir(name)
    return name


def access(store: Store) -> dict[str, Any]:
    """As fsspec's configuration has it. One try a request, so that failures reach the program."""
    return {
        "key": "k",
        "secret": "s",
        "endpoint_url": store.address,
        "client_kwargs": {"region_name": "eu-west-1"},
        "config_kwargs": {"retries": {"max_attempts": 0}},
    }


def file_system(store: Store) -> Any:
    return fsspec.filesystem("s3", skip_instance_cache=True, use_listings_cache=False, **access(store))


def environment(store: Store) -> dict[str, str]:
    return {"FSSPEC_S3": json.dumps(access(store))}


def downloaded(store: Store, bucket: str, local: Path) -> Path:
    """A copy of the output on the local disk, hidden files included."""
    files = file_system(store)
    for path in files.find(f"{bucket}/out"):
        target = local / path.removeprefix(f"{bucket}/out/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(files.cat_file(path))
    return local


def read_output(store: Store, bucket: str, local: Path, output_format: str) -> Dataset:
    """What was made; in format parquet, the rows and images from the one file of each shard."""
    folder = downloaded(store, bucket, local)
    if output_format == "webdataset":
        return read_dataset(folder)
    dataset = Dataset()
    for path in sorted(folder.glob("*_stats.json")):
        shard = path.name.removesuffix("_stats.json")
        dataset.statistics[shard] = json.loads(path.read_text())
        for row in pq.read_table(folder / f"{shard}.parquet").to_pylist():
            image = row.pop("jpg")
            dataset.rows.append(row)
            if image is not None:
                dataset.images[row["key"]] = image
        assert dataset.statistics[shard]["count"] == ROWS_PER_SHARD
    return dataset


def verify(bucket: str, *words: str) -> subprocess.CompletedProcess[str]:
    return command_here("verify", f"s3://{bucket}/out", *words)


def options_for(store: Store, bucket: str, url_list: Path, output_format: str) -> dict[str, Any]:
    return {
        "url_list": url_list,
        "output_folder": f"s3://{bucket}/out",
        "output_format": output_format,
        "number_sample_per_shard": ROWS_PER_SHARD,
        "processes_count": 2,
        "image_size": 64,
        "environment": environment(store),
    }


@pytest.fixture
def url_list(image_server: ImageServer, tmp_path: Path) -> Path:
    return write_list(tmp_path / "list.txt", serve_photographs(image_server, 6), ROWS)


@pytest.mark.parametrize("output_format", ["webdataset", pytest.param("parquet", marks=pytest.mark.slow)])
@pytest.mark.usefixtures("short_waits")
def test_a_store_that_fails_now_and_then_gets_every_row(
    store: Store, bucket: str, url_list: Path, tmp_path: Path, output_format: str
) -> None:
    store.failing_share = 0.15
    options = options_for(store, bucket, url_list, output_format)
    result = run_here(**options)
    assert result.returncode == 0, result.stderr
    assert store.failures > 0
    store.heal()
    made = read_output(store, bucket, tmp_path / "made", output_format)
    assert made.statuses() == {"success": ROWS}
    assert len(made.images) == ROWS
    assert sorted(row["url"] for row in made.rows) == sorted(url_list.read_text().split())

    again = run_here(**options)
    assert again.returncode == 0, again.stderr
    assert "4 shards already done" in again.stdout
    assert store.shards_put() == []
    checked = verify(bucket, "--images")
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    "refusal",
    [
        (403, "AccessDenied", "the key was revoked"),
        pytest.param((400, "ExpiredToken", "The provided token has expired."), marks=pytest.mark.slow),
        pytest.param(
            (403, "InvalidAccessKeyId", "The key you provided does not exist."), marks=pytest.mark.slow
        ),
    ],
    ids=lambda refusal: refusal[1],
)
def test_a_store_that_refuses_from_some_moment_on_fails_the_run_with_its_reason(
    store: Store, bucket: str, url_list: Path, tmp_path: Path, refusal: tuple[int, str, str]
) -> None:
    store.refused, store.puts_before_refusal, store.refusal = (".tar",), 2, refusal
    options = options_for(store, bucket, url_list, "webdataset")
    result = run(**options, max_shard_retry=2)
    assert result.returncode == 1
    assert refusal[2].rstrip(".") in result.stdout + result.stderr
    assert "is away" not in result.stderr
    # Two shards done, and two that were tried three times each.
    assert len([name for name in store.shards_put() if name.endswith(".tar")]) == 2 + 2 * 3
    made = read_output(store, bucket, tmp_path / "made", "webdataset")
    assert made.statuses() == {"success": 2 * ROWS_PER_SHARD}
    assert "missing" in verify(bucket).stdout

    store.heal()
    again = run_here(**options)
    assert again.returncode == 0, again.stderr
    assert len([name for name in store.shards_put() if name.endswith(".tar")]) == 2
    whole = read_output(store, bucket, tmp_path / "whole", "webdataset")
    assert whole.statuses() == {"success": ROWS}
    assert made.images.items() <= whole.images.items()
    assert verify(bucket).returncode == 0


@pytest.mark.usefixtures("short_waits")
def test_a_store_that_stays_busy_fails_the_run_with_its_reason(
    store: Store, bucket: str, url_list: Path
) -> None:
    store.refused = (".tar",)
    store.refusal = (503, "SlowDown", "Please reduce your request rate.")
    options = options_for(store, bucket, url_list, "webdataset") | {"number_sample_per_shard": ROWS}
    result = run(**options, max_shard_retry=0, store_patience=1)
    assert result.returncode == 1
    assert "reduce your request rate" in result.stdout + result.stderr
    assert "the store of the output folder is away" in result.stderr


def test_a_store_that_is_away_for_a_while_costs_that_while_and_no_shard(
    store: Store, bucket: str, url_list: Path, tmp_path: Path
) -> None:
    options = options_for(store, bucket, url_list, "webdataset")
    process = start(**options, max_shard_retry=0)
    wait_until(lambda: any(name.endswith(".tar") for name in store.shards_put()), process)
    store.failing_share, store.always = 1.0, "reset"
    # Longer than all tries of one request take.
    time.sleep(25)
    store.heal()
    _, told = process.communicate(timeout=240)
    assert process.returncode == 0, told
    assert "the store of the output folder is away" in told
    assert "the store of the output folder is back after" in told
    assert read_output(store, bucket, tmp_path / "made", "webdataset").statuses() == {"success": ROWS}


@pytest.mark.parametrize("output_format", ["webdataset", pytest.param("parquet", marks=pytest.mark.slow)])
def test_failed_rows_are_taken_again_whenever_the_store_is_gone_in_between(
    store: Store, bucket: str, image_server: ImageServer, tmp_path: Path, output_format: str
) -> None:
    """The store is gone before each put of a replacement in turn; what was done until then is not lost."""
    name = f"store-{output_format}"
    image_server.put(f"/retry/{name}.jpg", photograph(200, 150))
    urls = [
        image_server.url(f"/flaky/{name}-{n}?fail=1&then=/retry/{name}.jpg")
        if n % 4 == 1
        else image_server.url(f"/retry/{name}.jpg?{n}")
        for n in range(ROWS_PER_SHARD)
    ]
    url_list = tmp_path / "list.txt"
    url_list.write_text("\n".join(urls))
    options = options_for(store, bucket, url_list, output_format)
    assert run_here(**options).returncode == 0
    before = read_output(store, bucket, tmp_path / "before", output_format)
    assert before.statuses() == {"success": 7, "failed_to_download": 3}

    endings = (
        (".tar", ".parquet", "_stats.json") if output_format == "webdataset" else (".parquet", "_stats.json")
    )
    for number, ending in enumerate(endings):
        store.heal()
        store.refused, store.puts_before_refusal = (ending,), 0
        cut_short = run(**options, incremental_mode="retry_failed", max_shard_retry=0)
        assert cut_short.returncode == (1 if store.failures else 0), cut_short.stderr
        store.heal()
        # Nobody but verify has been there since: it completes what was cut short.
        checked = verify(bucket, "--images", "--remove")
        assert checked.returncode == 0, checked.stdout + checked.stderr
        now = read_output(store, bucket, tmp_path / f"{number}", output_format)
        assert before.images.items() <= now.images.items()

    assert run_here(**options, incremental_mode="retry_failed").returncode == 0
    after = read_output(store, bucket, tmp_path / "after", output_format)
    assert after.statuses() == {"success": ROWS_PER_SHARD}
    assert before.images.items() <= after.images.items()
    assert not [path for path in (tmp_path / "after").rglob("*") if "rewrites" in path.name]


def test_a_bucket_that_does_not_exist_is_named_and_not_made(store: Store, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("http://127.0.0.1:9/a.jpg\n")
    result = run(
        url_list=tmp_path / "list.txt",
        output_folder="s3://no-such-bucket/out",
        environment=environment(store),
    )
    assert result.returncode == 1
    assert "output_folder 's3://no-such-bucket/out' cannot be written to" in result.stderr
    assert "bucket" in result.stderr.lower()
    assert "Traceback" not in result.stderr
    assert not file_system(store).exists("no-such-bucket")


def test_of_two_lists_started_in_the_same_moment_one_is_refused_on_a_store_too(
    store: Store, bucket: str, image_server: ImageServer, tmp_path: Path
) -> None:
    addresses = serve_photographs(image_server, 3)
    lists = [write_list(tmp_path / f"{name}.txt", addresses[number:], 20) for number, name in enumerate("ab")]
    for attempt in range(3):
        options = {
            "output_folder": f"s3://{bucket}/out{attempt}",
            "output_format": "webdataset",
            "processes_count": 1,
            "environment": environment(store),
        }
        both = [start(**options, url_list=path) for path in lists]
        said = [process.communicate(timeout=240)[1] for process in both]
        assert sorted(process.returncode for process in both) == [0, 1], said
        assert sum("holds another dataset" in text for text in said) == 1


def test_what_a_stop_has_kept_on_a_store_is_completed(
    store: Store, bucket: str, image_server: ImageServer, tmp_path: Path
) -> None:
    addresses = [
        image_server.put(f"/store-kept/{n}.jpg", photograph(120, 90, seed=n))
        for n in range(ROWS_PER_SHARD - 1)
    ]
    for output_format in ("webdataset", "files"):
        name = f"/hang-before-headers/store-{output_format}"
        urls = [f"{url}?{output_format}" for url in addresses]
        url_list = tmp_path / f"{output_format}.txt"
        url_list.write_text("\n".join([*urls, image_server.url(name)]))
        options = {
            **options_for(store, bucket, url_list, output_format),
            "output_folder": f"s3://{bucket}/{output_format}",
            "timeout": 240,
            # When the last row is asked for, the others have been answered.
            "thread_count": 1,
        }
        process = start(**options)
        wait_until(lambda name=name: image_server.count(name) > 0, process)
        process.send_signal(signal.SIGTERM)
        stdout, _ = process.communicate(timeout=240)
        assert f"{ROWS_PER_SHARD - 1} rows, {ROWS_PER_SHARD - 1} images" in stdout
        before = {url: image_server.count(f"/store-kept/{n}.jpg") for n, url in enumerate(addresses)}
        assert run_here(**{**options, "timeout": 1}).returncode == 0
        assert {url: image_server.count(f"/store-kept/{n}.jpg") for n, url in enumerate(addresses)} == before
        files = file_system(store)
        assert not any("img2dataset_unfinished" in path for path in files.find(f"{bucket}/{output_format}"))
        statistics = json.loads(files.cat_file(f"{bucket}/{output_format}/00000_stats.json"))
        assert (statistics["count"], statistics["successes"]) == (ROWS_PER_SHARD, ROWS_PER_SHARD - 1)
