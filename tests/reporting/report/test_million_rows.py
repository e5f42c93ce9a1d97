"""A report of a million rows: bounded memory, a bounded page, every row counted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.own_peak import with_own_peak
from tests.program.runs import COMMAND
from tests.reporting.report.datasets import CAPTIONS, rows_of, write_shard

SHARDS, ROWS = 100, 10_000
MOST_MEMORY = 500e6


@pytest.mark.slow
def test_a_million_rows_take_little_memory(tmp_path: Path) -> None:
    urls = [f"https://host{n % 3000}.example/pictures/{n}/picture-{n}.jpg" for n in range(ROWS)]
    failures = {url: f"HTTP {404 + number % 3}" for number, url in enumerate(urls) if number % 10 > 6}
    sizes = [100 + number % 3000 if url not in failures else None for number, url in enumerate(urls)]
    captions = [f"{CAPTIONS[number % len(CAPTIONS)]} {number}" for number in range(ROWS)]
    columns = rows_of(
        urls, failures, original_width=sizes, original_height=sizes[::-1], caption=captions, sha256=urls
    )
    write_shard(tmp_path, 0, columns)
    for number in range(1, SHARDS):
        for ending in (".parquet", "_stats.json"):
            shutil.copy(tmp_path / f"00000{ending}", tmp_path / f"{number:05d}{ending}")
    began = time.monotonic()
    process = subprocess.Popen(with_own_peak([COMMAND, "report", str(tmp_path)]))
    _, status, use = os.wait4(process.pid, 0)
    assert status == 0
    # Of the shell and of the program that it waits for.
    print(f"{time.monotonic() - began:.1f} s, {use.ru_utime:.1f} s of CPU, {use.ru_maxrss / 1000:.0f} MB")
    assert use.ru_maxrss * 1024 < MOST_MEMORY
    document = json.loads((tmp_path / "report.json").read_text())
    assert document["totals"]["rows"] == document["read"]["rows_read"] == SHARDS * ROWS
    assert document["duplicates"]["by_url"]["different"] == ROWS
    assert document["duplicates"]["by_url"]["most_times"] == SHARDS
    assert document["hosts"]["count"] == 3000
    assert sum(document["captions"]["scripts"].values()) == document["totals"]["successes"]
    assert (tmp_path / "report.html").stat().st_size < 1_000_000
