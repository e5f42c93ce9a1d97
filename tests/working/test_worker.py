"""The worker: shards in, reports out, several open at once."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from img2dataset.errors import OutputError
from img2dataset.fetching.hosts.politeness import host_of
from img2dataset.fetching.hosts.turns import MemberShare, turn_length
from img2dataset.options import resolve
from img2dataset.settings import work_settings
from img2dataset.types import Shard, ShardStats
from img2dataset.working import WorkSettings, work
from img2dataset.working.open_shard import OpenShard
from tests.pictures import photograph
from tests.program.runs import read_dataset
from tests.servers import ImageServer


def settings(folder: Path, **options: Any) -> WorkSettings:
    return work_settings(
        resolve(
            {"url_list": "unused", "output_folder": str(folder), "output_format": "webdataset", **options}
        )
    )


def shards_of(addresses: list[str], rows: int, *numbers: int) -> Iterator[Shard]:
    for number in numbers:
        chosen = [addresses[n % len(addresses)] for n in range(rows)]
        urls = [f"{url}{'&' if '?' in url else '?'}{number}-{n}" for n, url in enumerate(chosen)]
        yield Shard(number, pa.table({"url": urls}))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def addresses(image_server: ImageServer) -> list[str]:
    return [image_server.put("/worker/a.jpg", photograph(200, 150))]


def test_one_report_a_shard(addresses: list[str], folder: Path) -> None:
    reports = list(work(shards_of(addresses, 20, 0, 1, 2), settings(folder, number_sample_per_shard=20)))
    assert sorted(report.shard_id for report in reports) == [0, 1, 2]
    assert all(report.stats is not None and report.stats.successes == 20 for report in reports)
    assert len(read_dataset(folder).rows) == 60


def test_a_slow_answer_of_one_shard_does_not_hold_up_the_next(
    image_server: ImageServer, addresses: list[str], folder: Path
) -> None:
    def shards() -> Iterator[Shard]:
        yield Shard(0, pa.table({"url": [image_server.url("/later/worker.jpg"), *addresses]}))
        yield from shards_of(addresses, 2, 1, 2, 3)

    reports = work(shards(), settings(folder, number_sample_per_shard=2, timeout=240))
    assert {next(reports).shard_id for _ in range(3)} == {1, 2, 3}
    image_server.put("/later/worker.jpg", photograph(64, 48))
    assert [report.shard_id for report in reports] == [0]


@pytest.mark.timeout(60)
def test_shards_go_on_while_another_member_has_the_turn_of_a_host(
    image_server: ImageServer, addresses: list[str], folder: Path
) -> None:
    def share(address: str) -> MemberShare:
        return MemberShare(host_of(address), 0, 4, 1, None, turn_length(60.0))

    hosts = [addresses[0].replace("127.0.0.1", f"127.0.0.{n}") for n in range(1, 200)]
    others = [url for url in hosts if share(url).opens_in(time.time()) > 65]
    own = [
        url for url in hosts if share(url).opens_in(time.time()) == 0 and share(url).ends_in(time.time()) > 40
    ]

    def shards() -> Iterator[Shard]:
        yield from shards_of(others[:1], 10, *range(12))
        yield from shards_of(own, 10, *range(12, 28))

    options = {"number_sample_per_shard": 10, "thread_count": 4, "max_connections_per_host": 1}
    made = settings(folder, **options)
    reports = work(shards(), replace(made, fetch=replace(made.fetch, members=4, processes=1)))
    assert {next(reports).shard_id for _ in range(16)} == set(range(12, 28))
    reports.close()  # type: ignore[attr-defined]


@pytest.fixture
def small_files_only() -> Iterator[None]:
    """Writing a file beyond a megabyte fails, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("small_files_only")
def test_a_shard_that_cannot_be_written_fails_and_the_others_do_not(
    image_server: ImageServer, addresses: list[str], folder: Path
) -> None:
    large = image_server.put("/worker/large", b"\xff\xd8" + bytes(200_000))

    def shards() -> Iterator[Shard]:
        yield from shards_of(addresses, 20, 0)
        yield from shards_of([large], 20, 1)
        yield from shards_of(addresses, 20, 2)

    made = settings(folder, number_sample_per_shard=20, disable_all_reencoding=True)
    reports = {report.shard_id: report for report in work(shards(), made)}
    assert reports[0].stats is not None
    assert reports[1].error is not None
    assert "File too large" in reports[1].error
    assert reports[2].stats is not None
    assert not list(folder.glob(".tmp/*/*")), "its temporary files are left"


def test_progress_counts_every_row_by_its_status(
    image_server: ImageServer, addresses: list[str], folder: Path
) -> None:
    told: dict[str, int] = {}

    def on_progress(statuses: Any) -> None:
        for status, n in statuses.items():
            told[status] = told.get(status, 0) + n

    addresses = [*addresses, image_server.url("/status/404"), image_server.url("/flaky/x?fail=0")]
    list(work(shards_of(addresses, 30, 0), settings(folder, number_sample_per_shard=30), on_progress))
    assert told == {"success": 10, "failed_to_download": 10, "failed_to_resize": 10}


def test_an_iterator_of_shards_that_breaks_ends_the_work_with_its_error(
    addresses: list[str], folder: Path
) -> None:
    def shards() -> Iterator[Shard]:
        yield from shards_of(addresses, 5, 0)
        raise RuntimeError("the list broke off")

    with pytest.raises(RuntimeError, match="the list broke off"):
        list(work(shards(), settings(folder, number_sample_per_shard=5)))


def test_work_that_is_left_leaves_no_temporary_files(addresses: list[str], folder: Path) -> None:
    reports = work(shards_of(addresses, 50, *range(20)), settings(folder, number_sample_per_shard=50))
    next(reports)
    reports.close()  # type: ignore[attr-defined]
    assert not list(folder.glob(".tmp/*/*"))


def test_hashes_of_the_list_are_held_against_the_bytes(addresses: list[str], folder: Path) -> None:
    import hashlib

    right = hashlib.md5(photograph(200, 150)).hexdigest()
    rows = pa.table(
        {"url": [f"{addresses[0]}?{n}" for n in range(3)], "__expected_hash__": [right, "0" * 32, None]}
    )
    checked = settings(folder, input_format="csv", compute_hash="md5", verify_hash=["md5", "md5"])
    list(work([Shard(0, rows)], checked))
    dataset = read_dataset(folder)
    assert [row["status"] for row in dataset.rows] == ["success", "failed_to_download", "failed_to_download"]
    assert [row["error_message"] for row in dataset.rows] == [None, "hash mismatch", "hash mismatch"]
    assert [row["md5"] for row in dataset.rows] == [right, None, None]
    assert "__expected_hash__" not in dataset.rows[0]


def test_settings_are_plain_values_that_travel(folder: Path) -> None:
    import pickle

    made = settings(folder)
    assert pickle.loads(pickle.dumps(made)) == made
    assert replace(made, verify_hash=True) != made


@pytest.mark.parametrize(
    ("error", "is_told"),
    [
        (AttributeError("no such name"), True),
        (KeyError("url"), True),
        (ZeroDivisionError("division by zero"), True),
        (OSError(28, "No space left on device"), False),
        (OutputError("the folder is gone"), False),
        (MemoryError(), False),
    ],
    ids=repr,
)
def test_a_mistake_in_the_program_brings_its_traceback_and_a_full_disk_does_not(
    addresses: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, is_told: bool
) -> None:
    def prepare(shard: OpenShard) -> ShardStats:
        raise error

    monkeypatch.setattr(OpenShard, "prepare", prepare)
    [report] = work(shards_of(addresses, 3, 0), settings(folder, number_sample_per_shard=3))
    assert report.error == f"{type(error).__name__}: {error}"
    assert ("in prepare" in (report.traceback or "")) == is_told
    assert (report.traceback is not None) == is_told
