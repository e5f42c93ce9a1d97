"""The report at the end of a run: always there, never in the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.program.runs import run, serve_photographs, write_list
from tests.servers import ImageServer


@pytest.fixture
def options(image_server: ImageServer, tmp_path: Path) -> dict[str, Any]:
    return {
        "url_list": write_list(tmp_path / "list.txt", serve_photographs(image_server, 4), 8),
        "output_folder": tmp_path / "out",
        "output_format": "webdataset",
        "number_sample_per_shard": 4,
        "processes_count": 1,
        "image_size": 64,
    }


def test_report_false_makes_none(options: dict[str, Any], tmp_path: Path) -> None:
    result = run(**options, report=False)
    assert result.returncode == 0
    assert "report:" not in result.stdout
    assert not [name for name in os.listdir(tmp_path / "out") if "report" in name]


def test_a_run_that_finds_nothing_to_do_leaves_it_alone_or_makes_the_first(
    options: dict[str, Any], tmp_path: Path
) -> None:
    run(**options, report=False)
    first = run(**options)
    assert "nothing to do" in first.stdout
    assert f"report: {tmp_path}/out/report.html" in first.stdout
    page = tmp_path / "out/report.html"
    times = page.stat().st_mtime_ns
    second = run(**options)
    assert f"report: {tmp_path}/out/report.html" in second.stdout
    assert page.stat().st_mtime_ns == times


def test_a_run_that_goes_on_makes_it_anew(options: dict[str, Any], tmp_path: Path) -> None:
    run(**options)
    (tmp_path / "out/00001_stats.json").unlink()
    before = json.loads((tmp_path / "out/report.json").read_text())
    assert run(**options).returncode == 0
    after = json.loads((tmp_path / "out/report.json").read_text())
    assert after["made"] > before["made"]
    assert after["totals"]["rows"] == before["totals"]["rows"] == 8


def test_overwrite_removes_it_with_the_rest(options: dict[str, Any], tmp_path: Path) -> None:
    run(**options)
    result = run(**options, incremental_mode="overwrite", report=False)
    assert result.returncode == 0, result.stderr
    assert not [name for name in os.listdir(tmp_path / "out") if "report" in name]


def test_a_report_that_cannot_be_made_is_a_warning(options: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "out/report.html").mkdir(parents=True)
    result = run(**options)
    assert result.returncode == 0
    assert "WARNING: no report could be made: " in result.stderr
    assert f"img2dataset report {tmp_path}/out makes one" in result.stderr
    assert "report:" not in result.stdout
    assert "8 (100.0%) succeeded" in result.stdout


def test_a_run_of_failures_alone_has_one(options: dict[str, Any], tmp_path: Path) -> None:
    options["url_list"] = write_list(tmp_path / "bad.txt", ["http://127.0.0.1:1/x.jpg"], 6)
    result = run(**options, retries=0, network_patience=0)
    assert result.returncode == 0, result.stderr
    document = json.loads((tmp_path / "out/report.json").read_text())
    assert document["totals"]["failed_to_download"] == 6
    assert document["sample"] == []
    assert "<dialog" not in (tmp_path / "out/report.html").read_text()


def test_ranks_leave_one_report_of_all_shards(options: dict[str, Any], tmp_path: Path) -> None:
    for rank in range(2):
        result = run(**options, distributor="ranks", rank=rank, world_size=2)
        assert result.returncode == 0, result.stderr
    document = json.loads((tmp_path / "out/report.json").read_text())
    assert document["totals"]["rows"] == 8


def test_nothing_of_it_is_loaded_before_the_end() -> None:
    program = (
        "import sys; import img2dataset; import img2dataset.api; from img2dataset.cli import run_command;"
        " run_command(['--help']);"
        " print([m for m in sys.modules if m.startswith('img2dataset.reporting.report') or"
        " m.startswith('img2dataset.reporting.page')])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert result.stdout.splitlines()[-1] == "[]"
