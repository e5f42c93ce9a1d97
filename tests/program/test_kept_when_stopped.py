"""What a stop keeps: the rows that were tried, out of every reader's way, for the next run to complete."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from img2dataset import api
from img2dataset.distributing import local, watching
from img2dataset.options import resolve
from img2dataset.stopping import StopRequest
from img2dataset.types import ShardReport
from tests.pictures import photograph
from tests.program.runs import read_dataset, run, run_here, start
from tests.program.test_faults import wait_until
from tests.servers import ImageServer

QUICK, SLOW = 120, 6


def options_for(server: ImageServer, folder: Path, output_format: str, name: str) -> dict[str, Any]:
    """A list of one shard, most of whose rows are there at once, and the last ones after the stop only."""
    pictures = [
        server.put(f"/kept/{name}/{n}.jpg", photograph(160 + 8 * (n % 9), 120, seed=n)) for n in range(QUICK)
    ]
    server.put(f"/kept/{name}/gone", b"gone", status=404)
    urls = [*pictures, *(server.url(f"/hang-before-headers/{name}/{n}") for n in range(SLOW))]
    urls[7] = server.url(f"/kept/{name}/gone")
    (folder / "list.csv").write_text("url,caption\n" + "".join(f"{url},c{n}\n" for n, url in enumerate(urls)))
    return {
        "url_list": folder / "list.csv",
        "input_format": "csv",
        "caption_col": "caption",
        "output_folder": folder / "out",
        "output_format": output_format,
        "processes_count": 1,
        "image_size": 64,
        "timeout": 240,
        "number_sample_per_shard": 1000,
        # While as many slow rows are asked for, none of the others is: they have all been answered.
        "thread_count": SLOW,
    }


def has_slow_rows_only(server: ImageServer, name: str, times: int = 1) -> bool:
    return all(server.count(f"/hang-before-headers/{name}/{n}") >= times for n in range(SLOW))


def slow_rows_answer(server: ImageServer, name: str) -> None:
    """From now on, and that they are no images."""
    for n in range(SLOW):
        server.put(f"/hang-before-headers/{name}/{n}", b"gone", status=404)


def stopped(options: dict[str, Any], server: ImageServer, name: str) -> tuple[str, str]:
    process = start(**options)
    wait_until(lambda: has_slow_rows_only(server, name), process)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=240)
    assert process.returncode == 130, stderr
    return stdout, stderr


def finish(
    options: dict[str, Any],
    server: ImageServer,
    name: str,
    run: Callable[..., subprocess.CompletedProcess[str]] = run_here,
) -> subprocess.CompletedProcess[str]:
    """The same command, over a server whose slow rows have come to their senses."""
    urls = options["url_list"].read_text()
    assert f"/hang-before-headers/{name}/0" in urls
    slow_rows_answer(server, name)
    result = run(**options)
    assert result.returncode == 0, result.stderr
    return result


@pytest.mark.parametrize("output_format", ["webdataset", "files", "parquet", "tfrecord"])
def test_rows_that_were_tried_are_kept_and_not_fetched_again(
    output_format: str, image_server: ImageServer, tmp_path: Path
) -> None:
    options = options_for(image_server, tmp_path, output_format, output_format)
    stdout, stderr = stopped(options, image_server, output_format)
    # On a busy machine there is a line of progress before.
    assert "\nimg2dataset: stopping: " in stderr
    assert "kept of 1 shard that could not be finished:\n" in stdout
    assert f"  {QUICK} rows, {QUICK - 1} images; the same command" in stdout
    output = options["output_folder"]
    assert [path for path in output.iterdir() if not path.name.startswith(".")] == []

    finish(options, image_server, output_format)
    counts = [image_server.count(f"/kept/{output_format}/{n}.jpg") for n in range(QUICK) if n != 7]
    assert counts == [1] * (QUICK - 1)
    assert image_server.count(f"/kept/{output_format}/gone") == 1
    rows = pq.read_table(output / "00000.parquet").to_pylist()
    assert [row["caption"] for row in rows] == [f"c{n}" for n in range(QUICK + SLOW)]
    messages = Counter(row["error_message"] for row in rows)
    assert messages[None] == QUICK - 1
    assert not any("not tried" in (message or "") for message in messages)
    statistics = json.loads((output / "00000_stats.json").read_text())
    assert (statistics["count"], statistics["successes"]) == (QUICK + SLOW, QUICK - 1)
    assert not (output / ".img2dataset_unfinished").exists()
    if output_format in ("webdataset", "files"):
        assert len(read_dataset(output).images) == QUICK - 1


def test_kept_samples_are_the_same_bit_for_bit(image_server: ImageServer, tmp_path: Path) -> None:
    options = options_for(image_server, tmp_path, "webdataset", "bits")
    stopped(options, image_server, "bits")
    finish(options, image_server, "bits")
    at_once = {**options, "output_folder": tmp_path / "at-once"}
    assert run_here(**at_once).returncode == 0
    kept, whole = read_dataset(options["output_folder"]), read_dataset(tmp_path / "at-once")
    assert kept.images == whole.images
    assert kept.captions == whole.captions
    assert kept.documents == whole.documents


def test_a_shard_that_is_stopped_twice_loses_nothing(image_server: ImageServer, tmp_path: Path) -> None:
    options = options_for(image_server, tmp_path, "files", "twice")
    stopped(options, image_server, "twice")
    process = start(**options)
    wait_until(lambda: has_slow_rows_only(image_server, "twice", 2), process)
    process.send_signal(signal.SIGTERM)
    stdout, _ = process.communicate(timeout=240)
    assert f"{QUICK} rows, {QUICK - 1} images" in stdout
    finish(options, image_server, "twice")
    assert {image_server.count(f"/kept/twice/{n}.jpg") for n in range(QUICK) if n != 7} == {1}
    assert len(read_dataset(options["output_folder"]).images) == QUICK - 1


def test_what_is_kept_and_broken_is_made_anew(image_server: ImageServer, tmp_path: Path) -> None:
    options = options_for(image_server, tmp_path, "webdataset", "broken")
    stopped(options, image_server, "broken")
    (tar,) = options["output_folder"].glob(".img2dataset_unfinished/*/00000.tar")
    tar.write_bytes(tar.read_bytes()[:70_000])
    result = finish(options, image_server, "broken", run)  # its worker says so
    assert "what a stopped run has kept of it cannot be used" in result.stderr
    assert len(read_dataset(options["output_folder"]).images) == QUICK - 1


def test_another_list_neither_takes_nor_hides_what_is_kept(image_server: ImageServer, tmp_path: Path) -> None:
    """The extension begins behind the unfinished shard, and the first list's command still completes it."""
    options = options_for(image_server, tmp_path, "webdataset", "extend")
    stopped(options, image_server, "extend")
    (tmp_path / "other").mkdir()
    other = options_for(image_server, tmp_path / "other", "webdataset", "other")
    other |= {"output_folder": options["output_folder"], "incremental_mode": "extend"}
    slow_rows_answer(image_server, "other")
    assert run_here(**other).returncode == 0
    assert sorted(path.name for path in options["output_folder"].glob("*_stats.json")) == ["00001_stats.json"]
    finish(options, image_server, "extend")
    assert len(read_dataset(options["output_folder"]).images) == 2 * (QUICK - 1)


def test_retried_rows_that_were_won_before_a_stop_stay_won(image_server: ImageServer, tmp_path: Path) -> None:
    urls = [image_server.put(f"/won/{n}.jpg", b"busy", status=503) for n in range(20)]
    urls += [image_server.url(f"/hang-before-headers/won/{n}") for n in range(SLOW)]
    (tmp_path / "list.txt").write_text("\n".join(urls))
    options = {
        "url_list": tmp_path / "list.txt",
        "output_folder": tmp_path / "out",
        "output_format": "webdataset",
        "processes_count": 1,
        "thread_count": SLOW,
        "max_retry_after": 1,
    }
    assert run_here(**options, timeout=1).returncode == 0
    assert len(read_dataset(tmp_path / "out").images) == 0
    for n in range(20):
        image_server.put(f"/won/{n}.jpg", photograph(100, 80, seed=n))
    process = start(**options, timeout=240, incremental_mode="retry_failed")
    wait_until(lambda: has_slow_rows_only(image_server, "won", 2), process)
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=240)
    assert process.returncode == 143, stderr
    assert "20 more rows succeeded" in stdout
    dataset = read_dataset(tmp_path / "out")
    assert len(dataset.images) == 20
    assert sum(dataset.failures().values()) == SLOW


def test_a_program_that_was_suspended_keeps_what_its_workers_have(
    image_server: ImageServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by Ctrl-Z, then kill: what the workers said meanwhile is not in when it goes on."""
    options = options_for(image_server, tmp_path, "webdataset", "suspended")
    stop = StopRequest()
    stop_workers = local.PoolPass._stop_workers

    def after_a_long_sleep(pool: local.PoolPass) -> Iterator[ShardReport]:
        for worker in pool._workers.values():
            worker.last_heard -= watching.STOPPING_SILENCE_S + 1
        yield from stop_workers(pool)

    def stop_when_only_slow_rows_are_left() -> None:
        until = time.monotonic() + 240
        while time.monotonic() < until and not has_slow_rows_only(image_server, "suspended"):
            time.sleep(0.05)
        stop.make(signal.SIGTERM)

    monkeypatch.setattr(local.PoolPass, "_stop_workers", after_a_long_sleep)
    threading.Thread(target=stop_when_only_slow_rows_are_left, daemon=True).start()
    options = {name: str(value) if isinstance(value, Path) else value for name, value in options.items()}
    summary = api.run(resolve(options), stop)
    assert [stats.successes for stats in summary.unfinished] == [QUICK - 1]
