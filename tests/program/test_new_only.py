"""``new_only`` runs that are cut short: the same command goes on, and every row of the list is there once."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from img2dataset.manifest import MANIFEST_NAME
from tests.program.runs import read_dataset, run, run_here, serve_photographs, start
from tests.program.test_faults import is_gone, wait_until, workers_of
from tests.servers import ImageServer

OLD_ROWS, NEW_ROWS, ROWS_PER_SHARD = 40, 600, 20


class GrowingList:
    """A list whose first rows are made, then many are added: new ones, dead ones, and some twice."""

    def __init__(self, server: ImageServer, folder: Path) -> None:
        addresses = serve_photographs(server, 6)
        self.old = [f"{addresses[n % 6]}?{n}" for n in range(OLD_ROWS)]
        self.new = [
            server.url(f"/status/404?{n}") if n % 10 == 3 else f"{addresses[n % 6]}?new{n - n % 50 // 49}"
            for n in range(NEW_ROWS)
        ]
        self.path = folder / "list.txt"
        self.output = folder / "out"
        self.options: dict[str, Any] = {
            "url_list": self.path,
            "output_folder": self.output,
            "output_format": "webdataset",
            "number_sample_per_shard": ROWS_PER_SHARD,
            "processes_count": 2,
            "image_size": 64,
        }
        self.write(self.old)
        assert run_here(**self.options).returncode == 0
        # The new rows stand among the old ones.
        self.write(self.new[:300] + self.old + self.new[300:])

    def write(self, urls: list[str]) -> None:
        self.path.write_text("\n".join(urls))

    def new_rows_made(self) -> Counter[str]:
        rows = read_dataset(self.output).rows
        return Counter(row["url"] for row in rows if int(row["key"][:5]) >= OLD_ROWS // ROWS_PER_SHARD)

    def finished(self) -> int:
        return len(list(self.output.glob("*_stats.json")))


@pytest.fixture
def growing(image_server: ImageServer, tmp_path: Path) -> GrowingList:
    return GrowingList(image_server, tmp_path)


def kill_tree(growing: GrowingList, finished: int) -> None:
    """Run until so many shards are finished, then kill everything at once."""
    process = start(**growing.options, incremental_mode="new_only")
    wait_until(lambda: growing.finished() >= finished or process.poll() is not None, process)
    workers = workers_of(process) if process.poll() is None else []
    process.kill()
    for worker in workers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)
    process.communicate(timeout=30)
    while not all(map(is_gone, workers)):
        time.sleep(0.02)


# The last has the moments of the others, but for a few shards.
@pytest.mark.parametrize(
    "moments",
    [pytest.param((2,), marks=pytest.mark.slow), pytest.param((3, 9), marks=pytest.mark.slow), (2, 5, 6, 20)],
)
def test_every_row_of_a_list_that_grew_is_there_once_however_often_the_run_was_killed(
    growing: GrowingList, moments: tuple[int, ...]
) -> None:
    before = read_dataset(growing.output)
    for finished in moments:
        kill_tree(growing, finished)
    result = run_here(**growing.options, incremental_mode="new_only")
    assert result.returncode == 0, result.stderr
    assert f"{OLD_ROWS} rows of the list were there already" in result.stdout
    assert growing.new_rows_made() == Counter(growing.new)
    after = read_dataset(growing.output)
    assert [row for row in after.rows if row["key"] in {old["key"] for old in before.rows}] == before.rows
    assert sorted(map(int, after.statistics)) == list(range(len(after.statistics)))
    assert len(after.rows) == OLD_ROWS + NEW_ROWS

    # It came to its end: for the next one everything is there, what failed too.
    again = run_here(**growing.options, incremental_mode="new_only")
    assert again.returncode == 0, again.stderr
    assert read_dataset(growing.output).rows == after.rows


def test_a_run_that_was_stopped_goes_on_too(growing: GrowingList) -> None:
    process = start(**growing.options, incremental_mode="new_only")
    wait_until(lambda: growing.finished() >= 4, process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert run_here(**growing.options, incremental_mode="new_only").returncode == 0
    assert growing.new_rows_made() == Counter(growing.new)


def test_where_other_urls_are_known_than_before_it_begins_behind_all_shards_and_nothing_succeeds_twice(
    growing: GrowingList,
) -> None:
    kill_tree(growing, 6)
    manifest = json.loads((growing.output / MANIFEST_NAME).read_text())
    # As after a retry_failed that has won a row of the first shards.
    manifest["runs"][-1]["known"] = "41-" + "0" * 32
    (growing.output / MANIFEST_NAME).write_text(json.dumps(manifest))
    made = growing.finished()
    assert run_here(**growing.options, incremental_mode="new_only").returncode == 0
    rows = read_dataset(growing.output).rows
    succeeded = Counter(row["url"] for row in rows if row["status"] == "success")
    alive = [url for url in growing.new if "/status/" not in url]
    assert set(succeeded) == {*growing.old, *alive}
    assert all(count <= Counter([*growing.old, *alive])[url] for url, count in succeeded.items())
    assert len(json.loads((growing.output / MANIFEST_NAME).read_text())["runs"]) == 3
    assert growing.finished() > made


@pytest.mark.parametrize("mode", ["new_only", "extend"])
def test_a_run_with_failed_shards_is_gone_on_with(
    image_server: ImageServer, tmp_path: Path, mode: str
) -> None:
    addresses = serve_photographs(image_server, 6)
    url_list = tmp_path / "list.txt"
    options = {
        "output_folder": tmp_path / "out",
        "output_format": "webdataset",
        "number_sample_per_shard": 10,
        "url_list": url_list,
    }
    url_list.write_text("\n".join(f"{addresses[0]}?{n}" for n in range(20)))
    assert run_here(**options).returncode == 0
    added = [f"{addresses[1]}?{n}" for n in range(20)]
    url_list.write_text("\n".join(added))
    full_disk = run(**options, incremental_mode=mode, max_shard_retry=0, largest_file=20_000)
    assert full_disk.returncode == 1
    assert run_here(**options, incremental_mode=mode).returncode == 0
    dataset = read_dataset(tmp_path / "out")
    assert sorted(dataset.statistics) == ["00000", "00001", "00002", "00003"]
    assert [row["url"] for row in dataset.rows[20:]] == added
