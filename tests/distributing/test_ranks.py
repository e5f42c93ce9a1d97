"""Ranks, as the programs that a scheduler starts: each for itself, over one list and into one folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.program.runs import Dataset, read_dataset, run, serve_photographs, start, write_list
from tests.program.test_faults import wait_until
from tests.servers import ImageServer

ROWS, ROWS_PER_SHARD = 2000, 50
FAULTS = ("/status/404", "/status/503", "/flaky/{}?fail=1", "/lying-gzip", "/close", "/empty", "/not-http")


@pytest.fixture
def options(image_server: ImageServer, tmp_path: Path) -> dict[str, Any]:
    addresses = serve_photographs(image_server)
    path = write_list(tmp_path / "list.txt", addresses, ROWS)
    lines = path.read_text().split()
    for number in range(0, ROWS, 20):  # the web's faults, in every shard
        fault = FAULTS[number // 20 % len(FAULTS)].format(f"{tmp_path.name}-{number}")
        lines[number] = image_server.url(f"{fault}{'&' if '?' in fault else '?'}row={number}")
    path.write_text("\n".join(lines) + "\n")
    return {
        "url_list": path,
        "output_folder": tmp_path / "ranks",
        "output_format": "webdataset",
        "number_sample_per_shard": ROWS_PER_SHARD,
        "processes_count": 1,
        "image_size": 64,
        "retries": 1,
        "lease_s": 3,
    }


def start_rank(options: dict[str, Any], rank: int, world_size: int = 4, **more: Any) -> subprocess.Popen[str]:
    return start(**{**options, **more}, distributor="ranks", rank=rank, world_size=world_size)


def ended(process: subprocess.Popen[str], timeout: float = 120) -> str:
    """What it said on standard error; it must have done all there was to do."""
    stdout, stderr = process.communicate(timeout=timeout)
    assert process.returncode == 0, (stdout, stderr)
    return stderr


def of_one_program(options: dict[str, Any]) -> Dataset:
    """What one program alone makes of the same list."""
    folder = options["output_folder"].with_name("alone")
    result = run(**{**options, "output_folder": folder, "processes_count": 2})
    assert result.returncode == 0, result.stderr
    return read_dataset(folder)


def assert_same(made: Dataset, expected: Dataset) -> None:
    """The same shards, keys, metadata and pixels."""
    assert sorted(made.statistics) == sorted(expected.statistics)
    assert made.rows == expected.rows
    assert made.images == expected.images


def test_four_ranks_make_what_one_program_makes(options: dict[str, Any]) -> None:
    ranks = [start_rank(options, number) for number in range(4)]
    said = [ended(process) for process in ranks]
    assert not [text for text in said if "WARNING" in text or "ERROR" in text]
    made = read_dataset(options["output_folder"])
    assert_same(made, of_one_program(options))
    assert len(made.rows) == ROWS
    assert len(made.failures()) >= 5
    notes = sorted((options["output_folder"] / "_runs" / "members").glob("*.json"))
    assert [path.stem for path in notes] == [f"rank-{number:05d}" for number in range(4)]
    shards = [json.loads(path.read_text())["shards_done"] for path in notes]
    assert sum(shards) == ROWS // ROWS_PER_SHARD
    assert min(shards) > 0
    assert not (options["output_folder"] / ".img2dataset_leases").exists()
    assert not (options["output_folder"] / ".tmp").exists()
