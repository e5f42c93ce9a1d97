"""Reports of folders with wrong statistics, with a password in their name, and of a disk that is full."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import resource
from pathlib import Path

import pytest

from img2dataset.errors import OutputError
from img2dataset.formats.findings import Findings
from img2dataset.manifest import MANIFEST_NAME, Manifest, RunRecord
from img2dataset.reporting.live.shard_statistics import StatisticsFollower
from img2dataset.reporting.report.comparing import compare
from img2dataset.reporting.report.document import report_document
from img2dataset.reporting.report.gathering import gather
from img2dataset.reporting.report.writing import Report, make_report, put_report
from img2dataset.storage.locations import locate
from img2dataset.verifying.statistics import read_statistics
from tests.reporting.report.datasets import rows_of, write_shard
from tests.verifying.datasets import make_dataset


@pytest.mark.parametrize("time", ["Infinity", "-Infinity", "NaN", "1e300", "1" + 400 * "0"])
@pytest.mark.parametrize("name", ["start_time", "end_time"])
def test_statistics_with_a_time_that_is_none_are_broken(tmp_path: Path, name: str, time: str) -> None:
    for number in range(2):
        write_shard(tmp_path, number, rows_of(["http://a/1", "http://a/2"]))
    path = tmp_path / "00001_stats.json"
    path.write_text(re.sub(rf'("{name}": )[\d.]+', rf"\g<1>{time}", path.read_text()))
    gathered = gather(locate(str(tmp_path), "OUTPUT", OutputError))
    document = report_document(gathered, [])
    assert (document["read"]["statistics_read"], document["read"]["statistics_unreadable"]) == (1, 1)
    assert document["totals"]["rows"] == 2
    (log,) = StatisticsFollower(locate(str(tmp_path), "OUTPUT", OutputError)).look()
    assert math.isfinite(log.heard)
    findings = Findings()
    if time in ("Infinity", "-Infinity", "NaN"):
        assert read_statistics(path.read_bytes(), path.name, findings) is None
        assert name in str(findings.lines())


def test_the_password_of_a_folder_is_not_in_its_report(tmp_path: Path) -> None:
    write_shard(tmp_path, 0, rows_of(["http://a/1"]))
    location = locate(str(tmp_path), "OUTPUT", OutputError)
    location = dataclasses.replace(location, name="https://me:PASSWORD@host/out")
    report = make_report(gather(location), print)
    assert report.document["output_folder"] == "https://host/out"
    assert "PASSWORD" not in report.page + json.dumps(report.document)
    compared = compare(location, location, "url", print)
    assert "PASSWORD" not in compared.page + json.dumps(compared.document)


def test_a_page_that_finds_no_room_leaves_no_document_that_says_it_is_current(tmp_path: Path) -> None:
    location = locate(str(tmp_path), "OUTPUT", OutputError)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
    try:
        with pytest.raises(OSError):
            put_report(Report("x" * 500_000, {"report_version": 1}), location)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not (tmp_path / "report.json").exists()
    put_report(Report("x", {"report_version": 1}), location)
    assert (tmp_path / "report.json").exists()


def test_a_record_without_a_list_names_none(tmp_path: Path) -> None:
    write_shard(tmp_path, 0, rows_of(["http://a/1"]))
    record = RunRecord(first_shard_id=0, options={}, files=[])
    (tmp_path / MANIFEST_NAME).write_text(Manifest([record]).to_text())
    report = make_report(gather(locate(str(tmp_path), "OUTPUT", OutputError)), print)
    assert report.document["url_list"] is None
    assert report.document["runs"][0]["url_list"] is None
    assert "from the list" not in report.page


def test_a_shard_whose_images_cannot_be_shown_is_told_in_a_sentence(tmp_path: Path) -> None:
    make_dataset(tmp_path, "webdataset")
    tar = tmp_path / "00001.tar"
    tar.write_bytes(tar.read_bytes()[:100])
    told: list[str] = []
    make_report(gather(locate(str(tmp_path), "OUTPUT", OutputError)), told.append)
    assert told[0].startswith("no images can be shown of shard 00001: its file is broken: ")
