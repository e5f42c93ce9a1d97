"""Processes die and servers misbehave; the run completes, or can be completed, with nothing missing."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.pictures import photograph
from tests.program.runs import read_dataset, run, serve_photographs, start, write_list
from tests.servers import ImageServer


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait for something the run does; a run that ended before is an error of the test."""
    until = time.monotonic() + 240
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)


def list_without_end(path: Path, addresses: list[str], last: str) -> Path:
    """A list of 3000 rows; a run over it does not end before ``last`` is answered."""
    write_list(path, addresses, 2999)
    with path.open("a") as file:
        file.write(f"{last}\n")
    return path


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(child) for child in children]


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_run_whose_worker_is_killed_completes_with_nothing_missing(
    image_server: ImageServer, tmp_path: Path
) -> None:
    addresses = serve_photographs(image_server)
    output = tmp_path / "out"
    process = start(
        url_list=list_without_end(tmp_path / "list.txt", addresses, image_server.url("/later/killed.jpg")),
        output_folder=output,
        output_format="webdataset",
        number_sample_per_shard=200,
        processes_count=2,
        image_size=64,
        timeout=240,
    )
    wait_until(lambda: len(list(output.glob("*_stats.json"))) >= 3, process)
    os.kill(workers_of(process)[0], signal.SIGKILL)
    image_server.put("/later/killed.jpg", photograph(160, 120))
    stdout, stderr = process.communicate(timeout=240)
    assert process.returncode == 0, stderr
    assert "signal 9" in stderr
    assert "worker processes replaced" in stdout
    dataset = read_dataset(output)
    assert [row["key"] for row in dataset.rows] == [
        f"{shard:05d}{row:03d}" for shard in range(15) for row in range(200)
    ]
    assert dataset.statuses() == {"success": 3000}


@pytest.mark.parametrize("output_format", ["webdataset", "files"])
def test_a_run_killed_whole_leaves_nothing_half_written_and_the_same_command_completes_it(
    output_format: str, image_server: ImageServer, tmp_path: Path
) -> None:
    addresses = serve_photographs(image_server)
    output = tmp_path / "out"
    last = f"/later/killed-whole-{output_format}.jpg"
    options = {
        "url_list": list_without_end(tmp_path / "list.txt", addresses, image_server.url(last)),
        "output_folder": output,
        "output_format": output_format,
        "number_sample_per_shard": 200,
        "processes_count": 2,
        "image_size": 64,
        "timeout": 240,
    }
    process = start(**options)
    wait_until(lambda: len(list(output.glob("*_stats.json"))) >= 4, process)
    workers = workers_of(process)
    process.kill()
    process.communicate()
    # The workers notice by themselves that nobody is left.
    until = time.monotonic() + 120
    while not all(is_gone(pid) for pid in workers):
        assert time.monotonic() < until, "a worker outlived the program"
        time.sleep(0.02)
    done = {path.name: path.stat().st_mtime_ns for path in output.glob("*_stats.json")}
    assert 4 <= len(done) < 15
    for tar in output.glob("*.tar"):
        with tarfile.open(tar) as opened:
            opened.getmembers()
    for table in output.glob("*.parquet"):
        pq.read_table(table)

    image_server.put(last, photograph(160, 120))
    result = run(**options)
    assert result.returncode == 0, result.stderr
    dataset = read_dataset(output)
    assert len(dataset.rows) == 3000
    assert dataset.statuses() == {"success": 3000}
    for name, modified in done.items():
        assert (output / name).stat().st_mtime_ns == modified, "a finished shard was made again"


def test_a_shard_that_cannot_be_written_fails_the_run_which_makes_the_others_and_later_that_one(
    image_server: ImageServer, tmp_path: Path
) -> None:
    small = serve_photographs(image_server, 1)[0]
    large = image_server.put("/faults/large", b"\xff\xd8" + bytes(200_000))
    urls = [f"{large if n // 10 == 1 else small}?{n}" for n in range(30)]
    (tmp_path / "list.txt").write_text("\n".join(urls))
    output = tmp_path / "out"
    options = {
        "url_list": tmp_path / "list.txt",
        "output_folder": output,
        "output_format": "webdataset",
        "number_sample_per_shard": 10,
        "disable_all_reencoding": True,
        "processes_count": 2,
    }
    result = run(**options, largest_file=1_000_000)
    assert result.returncode == 1
    assert "1 shard could not be made" in result.stdout
    assert "shard 1: OSError: [Errno 27] File too large" in result.stdout
    assert "20 rows in 2 shards" in result.stdout
    assert sorted(path.name for path in output.glob("*.tar")) == ["00000.tar", "00002.tar"]
    assert not list(output.glob(".tmp/*"))

    result = run(**options)
    assert result.returncode == 0
    assert [row["status"] for row in pq.read_table(output / "00001.parquet").to_pylist()] == ["success"] * 10


def test_a_server_that_drips_cannot_hold_a_row_longer_than_the_deadline(
    image_server: ImageServer, tmp_path: Path
) -> None:
    urls = [
        image_server.url("/drip-body?interval=1"),
        image_server.url("/drip-headers?interval=1"),
        image_server.url("/drip-body?interval=0.01&bytes=200"),
        image_server.url("/hang-before-headers"),
        image_server.url("/endless-body"),
    ]
    (tmp_path / "list.txt").write_text("\n".join(urls))
    result = run(
        url_list=tmp_path / "list.txt",
        output_folder=tmp_path / "out",
        timeout=1,
        deadline=3,
        max_download_bytes=1_000_000_000,
        processes_count=1,
    )
    assert result.returncode == 0, result.stderr
    dataset = read_dataset(tmp_path / "out")
    kinds = [row["error_message"].split(":")[0] for row in dataset.rows]
    assert kinds[:4] == ["timeout"] * 4
    assert kinds[4] in ("timeout", "too large")


@pytest.mark.parametrize("room", [0, 1])
def test_processes_that_are_used_up_are_one_line(
    room: int, image_server: ImageServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With room for one worker the run goes on with it; with room for none it says so."""
    from img2dataset import download
    from img2dataset.distributing import local
    from img2dataset.errors import RunFailed

    started: list[int] = []
    child = local.Child

    def start_one(*arguments: Any) -> Any:
        if len(started) >= room:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        started.append(1)
        return child(*arguments)

    monkeypatch.setattr(local, "Child", start_one)
    url_list = write_list(tmp_path / "list.txt", serve_photographs(image_server, 3), 60)
    options = {"output_folder": str(tmp_path / "out"), "output_format": "webdataset", "image_size": 64}
    options |= {"processes_count": 4, "number_sample_per_shard": 10}
    if room:
        assert download(url_list=str(url_list), **options).successes == 60
    else:
        with pytest.raises(RunFailed, match=r"no worker process can be started: .*unavailable"):
            download(url_list=str(url_list), **options)


def test_a_worker_that_loads_slowly_is_not_taken_for_a_frozen_one(
    image_server: ImageServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many that load their libraries from one slow disk at once."""
    from img2dataset import download
    from img2dataset.distributing import watching
    from img2dataset.processes import child

    monkeypatch.setattr(watching, "SILENCE_LIMIT_S", 6.0)
    monkeypatch.setattr(child, "_START", f"import time; time.sleep(9); {child._START}")
    url_list = write_list(tmp_path / "list.txt", serve_photographs(image_server, 3), 20)
    summary = download(url_list=str(url_list), output_folder=str(tmp_path / "out"), processes_count=1)
    assert (summary.successes, summary.worker_deaths) == (20, [])


def test_a_worker_whose_threads_cannot_be_made_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    from img2dataset.distributing.local import WORKER_MODULE
    from img2dataset.processes import Child, Program

    start_thread, before = Child._start_thread, own_children()

    def no_receiver(self: Child[Any, Any], name: str, target: Callable[[], None]) -> Any:
        if name == "receiver":
            assert own_children() - before
            raise RuntimeError("can't start new thread")
        return start_thread(self, name, target)

    monkeypatch.setattr(Child, "_start_thread", no_receiver)
    with pytest.raises(RuntimeError, match="new thread"):
        Child(1, Program(WORKER_MODULE, "worker"), print)
    # Who had died before may be gone by now.
    assert own_children() <= before


def own_children() -> set[str]:
    children: set[str] = set()
    for task in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # that thread has ended
            children.update(task.read_text().split())
    return children
