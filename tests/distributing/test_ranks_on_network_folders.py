"""Ranks in a folder that each has mounted for itself, as machines of a cluster have: by sshfs, from an sshd.

Such a folder tells of what others do some seconds later, and has locks for one machine alone.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.program.runs import read_dataset, serve_photographs, start, write_list
from tests.program.test_faults import wait_until
from tests.servers import ImageServer
from tests.storage.sshd import Sshd, need_mounts, sshd

__all__ = ["sshd"]  # a fixture

pytestmark = pytest.mark.slow

ROWS, ROWS_PER_SHARD = 1200, 20


@pytest.fixture
def mounts(sshd: Sshd, tmp_path: Path) -> Iterator[list[Path]]:
    """Three machines' views of one folder, ``served``."""
    need_mounts()
    (tmp_path / "served").mkdir()
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(sshd.mounted(tmp_path / "served", tmp_path / f"machine-{number}"))
            for number in range(3)
        ]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", [signal.SIGKILL, None])
def test_ranks_on_machines_that_share_a_mounted_folder_make_each_row_once(
    mounts: list[Path],
    image_server: ImageServer,
    tmp_path: Path,
    number: signal.Signals | None,
) -> None:
    options: dict[str, Any] = {
        "url_list": write_list(tmp_path / "list.txt", serve_photographs(image_server), ROWS),
        "output_format": "webdataset",
        "number_sample_per_shard": ROWS_PER_SHARD,
        "processes_count": 1,
        "image_size": 64,
        "distributor": "ranks",
        "world_size": 3,
        "lease_s": 6,
    }
    ranks = [start(**options, output_folder=mount / "out", rank=n) for n, mount in enumerate(mounts)]
    served = tmp_path / "served/out"
    wait_until(lambda: len(list(served.glob("*_stats.json"))) > 3, ranks[0])
    if number is not None:
        os.kill(ranks[2].pid, number)
    for process in ranks[: 2 if number else 3]:
        stdout, stderr = process.communicate(timeout=150)
        assert process.returncode == 0, (stdout, stderr)
        assert "ERROR" not in stderr
    ranks[2].communicate(timeout=60)
    if number is not None:
        shutil.rmtree(served / ".tmp")  # of the one that was killed
    dataset = read_dataset(served)
    assert dataset.statuses() == {"success": ROWS}
    assert [row["key"] for row in dataset.rows] == [
        f"{shard:05d}{row:02d}" for shard in range(ROWS // ROWS_PER_SHARD) for row in range(ROWS_PER_SHARD)
    ]
