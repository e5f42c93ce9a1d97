"""Whatever thread of the program or of a worker dies, or process stops, the run ends with every row.

The threads are killed where they are: a module that Python loads at its start, and that only this test puts
on the path, raises an error in them.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.fetching.own_network import Visit, visit
from tests.pictures import photograph
from tests.program.runs import read_dataset, run, serve_photographs, start, write_list
from tests.program.test_faults import wait_until, workers_of
from tests.servers import ImageServer

ROWS = 3000

# Each process that has a thread of the name raises the error in it, once a run: who makes the file may.
SABOTEUR = """
import ctypes, os, threading, time

name, error, once = (os.environ[f"SABOTEUR_{part}"] for part in ("THREAD", "ERROR", "ONCE"))
raised = {"MemoryError": MemoryError, "ImportError": ImportError, "SystemExit": SystemExit}[error]

def watch():
    while True:
        for thread in threading.enumerate():
            if name in thread.name and thread.ident is not None:
                time.sleep(0.1)
                try:
                    os.close(os.open(once, os.O_CREAT | os.O_EXCL))
                except FileExistsError:
                    return
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(thread.ident), ctypes.py_object(raised)
                )
                return
        time.sleep(0.01)

threading.Thread(target=watch, name="saboteur", daemon=True).start()
"""


@pytest.fixture
def options(image_server: ImageServer, tmp_path: Path) -> dict[str, Any]:
    return {
        "url_list": write_list(tmp_path / "list.txt", serve_photographs(image_server), ROWS),
        "output_folder": tmp_path / "out",
        "output_format": "webdataset",
        "number_sample_per_shard": 100,
        "processes_count": 2,
        "image_size": 64,
    }


def sabotage(folder: Path, thread: str, error: str) -> dict[str, str]:
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text(SABOTEUR)
    return {
        "PYTHONPATH": str(folder / "site"),
        "SABOTEUR_THREAD": thread,
        "SABOTEUR_ERROR": error,
        "SABOTEUR_ONCE": str(folder / "done"),
    }


THREADS = ["worker-1-sender", "worker-1-receiver", "receiver", "pulse", "intake", "img2dataset-fetcher"]


# Whatever a thread dies of, it is seen to be gone; the second error in all of them is for the slow tests.
@pytest.mark.parametrize("error", ["MemoryError", pytest.param("ImportError", marks=pytest.mark.slow)])
@pytest.mark.parametrize("thread", THREADS)
def test_a_thread_that_dies_costs_no_row(
    thread: str, error: str, options: dict[str, Any], tmp_path: Path
) -> None:
    result = run(**options, environment=sabotage(tmp_path, thread, error))
    assert (tmp_path / "done").exists(), "the thread was never there"
    assert result.returncode == 0, result.stdout + result.stderr
    dataset = read_dataset(options["output_folder"])
    assert dataset.statuses() == {"success": ROWS}
    assert len({row["url"] for row in dataset.rows}) == ROWS


@pytest.mark.parametrize("error", ["MemoryError", pytest.param("ImportError", marks=pytest.mark.slow)])
def test_a_thread_that_reads_files_and_dies_costs_no_row(
    error: str, options: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "0.jpg").write_bytes(photograph(200, 160))
    for n in range(1, ROWS):
        os.link(tmp_path / "0.jpg", tmp_path / f"{n}.jpg")
    options["url_list"].write_text("".join(f"file://{tmp_path}/{n}.jpg\n" for n in range(ROWS)))
    options["allow_schemes"] = "file"
    result = run(**options, environment=sabotage(tmp_path, "img2dataset-stored", error))
    assert (tmp_path / "done").exists(), "the thread was never there"
    assert result.returncode == 0, result.stdout + result.stderr
    assert read_dataset(options["output_folder"]).statuses() == {"success": ROWS}


@pytest.mark.parametrize("error", ["MemoryError", pytest.param("ImportError", marks=pytest.mark.slow)])
def test_a_thread_that_asks_the_system_why_a_name_is_not_found_and_dies_changes_no_row(
    error: str, tmp_path: Path
) -> None:
    urls = [f"http://{'a93-184-216-34' if n % 2 else 'missing'}.n{n}.test/{n}.jpg" for n in range(200)]
    environment = sabotage(tmp_path, "img2dataset-names", error)
    (seen,) = visit(Visit(urls, command={"dns": "system", "thread_count": 4, "environment": environment}))
    assert (tmp_path / "done").exists(), "the thread was never there"
    assert seen.failures == [None if n % 2 else "DNS: name not found" for n in range(200)]


def test_the_death_of_the_thread_that_reads_the_list_ends_the_run_with_a_line(
    options: dict[str, Any], tmp_path: Path
) -> None:
    """Its shards are not there, which is no success; the same command makes them."""
    with options["url_list"].open("a") as file:
        first = options["url_list"].read_text().split("?")[0]
        file.writelines(f"{first}?more{n}\n" for n in range(20_000))
    result = run(**options, environment=sabotage(tmp_path, "feeder", "MemoryError"))
    assert result.returncode == 1
    assert "the run ended early" in result.stdout
    assert "Traceback" not in result.stderr
    read_dataset(options["output_folder"])


# Two others say nothing that one does not.
@pytest.mark.parametrize("processes_count", [1, 2, pytest.param(3, marks=pytest.mark.slow)])
def test_a_worker_that_is_stopped_is_replaced(
    processes_count: int, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As by SIGSTOP; the others, who are heard from all the time, do not hide it."""
    from img2dataset import download
    from img2dataset.distributing import local, watching

    monkeypatch.setattr(watching, "SILENCE_LIMIT_S", 10.0)
    stopped: list[int] = []

    def stop_one(statuses: Counter[str]) -> None:
        if not stopped and sum(statuses.values()) > 200:
            children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
            workers = [int(child) for child in children if is_worker(int(child))]
            os.kill(workers[0], signal.SIGSTOP)
            stopped.append(workers[0])

    told = local.PoolPass._tell_progress

    def tell(pool: local.PoolPass) -> None:
        told(pool)
        stop_one(sum((worker.rows_done for worker in pool._workers.values()), pool._rows_reported))

    monkeypatch.setattr(local.PoolPass, "_tell_progress", tell)
    options = {name: str(value) if isinstance(value, Path) else value for name, value in options.items()}
    summary = download(**{**options, "processes_count": processes_count})
    assert stopped
    assert any("silent" in death for death in summary.worker_deaths)
    assert read_dataset(tmp_path / "out").statuses() == {"success": ROWS}


def is_worker(process: int) -> bool:
    try:
        return b"worker_process" in Path(f"/proc/{process}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):  # a child of another test, gone meanwhile
        return False


def test_a_run_that_was_stopped_as_a_whole_goes_on(options: dict[str, Any]) -> None:
    """As when a laptop is closed: nobody is taken for dead for the time that all of them slept."""
    process = start(**options)
    wait_until(lambda: len(list(options["output_folder"].glob("*_stats.json"))) >= 2, process)
    tree = [process.pid, *workers_of(process)]
    for pid in tree:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(15)
    for pid in reversed(tree):
        os.kill(pid, signal.SIGCONT)
    stdout, stderr = process.communicate(timeout=240)
    assert process.returncode == 0, stderr
    assert "worker processes replaced" not in stdout
    assert read_dataset(options["output_folder"]).statuses() == {"success": ROWS}
