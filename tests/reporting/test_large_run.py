"""All that shows a run and its data, on a run of 100,000 rows over a web with faults."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.chromium import Browser
from tests.distributing.same_dataset import FaultyList, options_of
from tests.program.runs import COMMAND, start
from tests.reporting.live.test_in_a_browser import STATE, first_address, numbers, statistics
from tests.servers import ImageServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
ROWS, ROWS_A_SHARD = 100_000, 2000


@pytest.fixture(scope="module")
def faulty(image_server: ImageServer, tmp_path_factory: pytest.TempPathFactory) -> FaultyList:
    return FaultyList(image_server, tmp_path_factory.mktemp("lists"), ROWS)


@pytest.fixture(scope="module")
def made(faulty: FaultyList, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The output folder of the run, and what the live page showed of it at last."""
    folder = tmp_path_factory.mktemp("large") / "out"
    options = options_of(faulty.text, folder, number_sample_per_shard=ROWS_A_SHARD, timeout=20)
    process = start(**options, dashboard=True, processes_count=2, compute_hash="md5")
    try:
        address = first_address(process)
        with Browser() as browser:
            browser.open(address)
            while process.poll() is None and not browser.evaluate(f"{STATE} === 'ended'"):
                time.sleep(0.5)
            browser.wait(f"{STATE} === 'ended'")
            last, errors = numbers(browser), list(browser.errors)
        stdout = process.communicate(timeout=300)[0]
    finally:
        process.kill()
    return {"folder": folder, "last": last, "errors": errors, "status": process.returncode, "said": stdout}


def told(*words: str) -> Any:
    done = subprocess.run([COMMAND, *words], capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return json.loads(done.stdout)


def test_the_live_page_follows_it_to_its_end(made: dict[str, Any]) -> None:
    expected = statistics(made["folder"])
    assert (made["status"], made["errors"], expected["count"]) == (0, [], ROWS)
    assert made["last"] == {
        "succeeded": expected["successes"],
        "failed to resize": expected["failed_to_resize"],
        "failed to download": expected["failed_to_download"],
    }
    assert "findings:" in made["said"]


def test_the_report_agrees_with_the_statistics(made: dict[str, Any]) -> None:
    folder, expected = made["folder"], statistics(made["folder"])
    document = json.loads((folder / "report.json").read_text())
    totals = document["totals"]
    assert totals["rows"] == expected["count"]
    assert [totals[name] for name in expected if name != "count"] == list(expected.values())[1:]
    assert (folder / "report.html").stat().st_size < 1_000_000
    assert len(document["sample"]) == 64
    with Browser() as browser:
        browser.open(folder / "report.html")
        assert browser.errors == []
        assert browser.accessibility_problems() == []


def test_inspect_status_and_verify_agree_with_it(made: dict[str, Any]) -> None:
    folder, expected = str(made["folder"]), statistics(made["folder"])
    assert told("inspect", folder, "--json")["rows"] == ROWS
    assert told("status", folder, "--json")["complete"]
    sheet = made["folder"].parent / "sheet.jpg"
    assert len(told("inspect", folder, "--sheet", str(sheet), "--json")["sheet"]["keys"]) > 10
    done = subprocess.run([COMMAND, "verify", folder], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout
    assert f"{expected['successes']:,}" in done.stdout


def test_a_run_compared_with_itself_has_no_difference(made: dict[str, Any]) -> None:
    comparison = told("report", str(made["folder"]), str(made["folder"]), "--json")
    # The addresses of the faults are the same again and again.
    assert comparison["rows_in_both"] >= 0.9 * ROWS
    assert [comparison[name]["rows"] for name in ("rotted", "came_back", "changed")] == [0, 0, 0]
    assert comparison["changed"]["compared"] == comparison["kept"] >= 0.89 * ROWS


def test_an_estimate_of_the_list_is_near_what_the_run_found(
    made: dict[str, Any], faulty: FaultyList, tmp_path: Path
) -> None:
    expected = statistics(made["folder"])
    options = {**options_of(faulty.text, tmp_path / "none"), "timeout": 20}
    words = [f"--{name}={value}" for name, value in options.items()]
    estimate = told("estimate", *words, "--json", "--seed=1")
    low, high = estimate["success_interval"]
    # 95 %: of a hundred seeds, five may miss it. This one does not.
    assert low - 0.01 <= expected["successes"] / ROWS <= high + 0.01
