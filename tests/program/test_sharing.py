"""The last shards of a run are shared out over all workers, and no row is lost or doubled by that."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.pictures import photograph
from tests.program.runs import read_dataset, run, start, write_list
from tests.program.test_faults import wait_until, workers_of
from tests.servers import ImageServer

ROWS = 4000


@pytest.fixture
def addresses(image_server: ImageServer) -> list[str]:
    """Pictures that take a while, so that the workers and not the server are what a run waits for."""
    return [image_server.put(f"/sharing/{n}.jpg", photograph(640, 480, seed=n)) for n in range(4)]


def processor_time(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def test_a_list_of_one_shard_is_made_by_all_workers(addresses: list[str], tmp_path: Path) -> None:
    output = tmp_path / "out"
    process = start(
        url_list=write_list(tmp_path / "list.txt", addresses, ROWS),
        output_folder=output,
        output_format="webdataset",
        processes_count=3,
        thread_count=16,
    )
    busy: dict[int, int] = {}

    def three_have_worked() -> bool:
        for pid in workers_of(process):
            busy[pid] = processor_time(pid)
        # A tick is a hundredth of a second: start-up takes them all to about 40.
        return sum(1 for ticks in busy.values() if ticks > 60) >= 3

    wait_until(three_have_worked, process)
    _, stderr = process.communicate(timeout=200)
    assert process.returncode == 0, stderr
    dataset = read_dataset(output)
    assert dataset.statuses() == {"success": ROWS}
    alone = run(
        url_list=tmp_path / "list.txt",
        output_folder=tmp_path / "alone",
        output_format="webdataset",
        processes_count=1,
    )
    assert alone.returncode == 0
    assert read_dataset(tmp_path / "alone").images == dataset.images


@pytest.mark.parametrize("victim", ["owner", "helper"])
def test_a_worker_killed_while_rows_are_shared_costs_no_row(
    victim: str, addresses: list[str], tmp_path: Path
) -> None:
    output = tmp_path / "out"
    process = start(
        url_list=write_list(tmp_path / "list.txt", addresses, ROWS),
        output_folder=output,
        output_format="webdataset",
        processes_count=2,
        thread_count=16,
        image_size=64,
    )
    wait_until(lambda: len(workers_of(process)) == 2, process)
    owner, helper = sorted(workers_of(process))
    wait_until(lambda: processor_time(helper) > 60, process)
    os.kill(owner if victim == "owner" else helper, signal.SIGKILL)
    _, stderr = process.communicate(timeout=200)
    assert process.returncode == 0, stderr
    assert "signal 9" in stderr
    dataset = read_dataset(output)
    assert len(dataset.rows) == ROWS
    assert dataset.statuses() == {"success": ROWS}
