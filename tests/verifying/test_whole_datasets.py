"""A dataset that nothing is wrong with has no complaints, whatever its format and options."""

from __future__ import annotations

import hashlib
import html
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from img2dataset.verifying.report import ShardCheck, VerificationReport
from img2dataset.working.output_folder import OutputFolder
from tests.verifying.datasets import FORMATS, ROWS, check, make_dataset
from tests.working.shards import failure, input_table, settings_for, success, write_shard


@pytest.mark.parametrize("processes_count", [1, 2])
@pytest.mark.parametrize("output_format", FORMATS)
def test_a_whole_dataset_has_no_complaints(tmp_path: Path, output_format: str, processes_count: int) -> None:
    make_dataset(tmp_path, output_format)
    report = check(tmp_path, images=True, processes_count=processes_count)
    looked_at = "" if output_format == "dummy" else ", 21 images looked at"
    assert report.lines() == [f"{tmp_path}: shards: 3 good; 30 rows, 21 successes{looked_at}"]
    assert report.exit_status == 0


def test_a_report_reads_as_its_lines_in_a_notebook_too() -> None:
    report = VerificationReport("out/<b>", notes=["a\x1b[31m note"])
    report.add(ShardCheck(0, "00000", rows=1, successes=1, images=1))
    text = "out/<b>: shards: 1 good; 1 row, 1 success, 1 image looked at"
    assert str(report) == f"a\\x1b[31m note\n{text}"
    assert report._repr_html_() == f"<pre>a\\x1b[31m note\n{html.escape(text)}</pre>"


@pytest.mark.parametrize("output_format", FORMATS)
@pytest.mark.parametrize(
    "changes",
    [
        {"save_captions": False},
        {"hash_column": None, "extract_exif": False},
        {"shard_digits": 2, "rows_per_shard": 1000},
        {"rows_per_shard": 11},
    ],
    ids=str,
)
def test_every_way_to_write_is_understood(
    tmp_path: Path, output_format: str, changes: dict[str, Any]
) -> None:
    settings = settings_for(tmp_path, output_format, **changes)
    table = input_table(ROWS)
    if not settings.save_captions:
        table = table.drop_columns(["caption"])
    samples = [
        failure(settings, row) if row % 4 == 0 else success(settings, input_table(ROWS), row)
        for row in range(ROWS)
    ]
    write_shard(settings, table, samples)
    OutputFolder(settings).remove_own_temporaries()
    report = check(tmp_path, images=True)
    assert report.exit_status == 0, report.lines()
    assert report.rows == ROWS


@pytest.mark.parametrize("output_format", FORMATS)
def test_a_shard_without_a_success_is_whole(tmp_path: Path, output_format: str) -> None:
    settings = settings_for(tmp_path, output_format)
    write_shard(settings, input_table(2), [failure(settings, 0), failure(settings, 1, "HTTP 500")])
    report = check(tmp_path, images=True)
    assert report.exit_status == 0, report.lines()


@pytest.mark.parametrize("output_format", FORMATS)
def test_a_shard_of_one_row_has_the_shard_number_as_its_key(tmp_path: Path, output_format: str) -> None:
    settings = settings_for(tmp_path, output_format, rows_per_shard=1)
    for shard_id in range(12):
        table = input_table(1)
        write_shard(settings, table, [success(settings, table, 0, shard_id)], shard_id)
    assert check(tmp_path, images=True).exit_status == 0


@pytest.mark.parametrize("output_format", FORMATS)
def test_numbers_longer_than_their_digits_are_no_fault(tmp_path: Path, output_format: str) -> None:
    make_dataset(tmp_path, output_format, shards=12, shard_digits=1)
    report = check(tmp_path)
    assert report.exit_status == 0, report.lines()
    assert report.shards_checked == 12


def test_images_as_hugging_face_datasets_store_them_are_found(tmp_path: Path) -> None:
    make_dataset(tmp_path, "parquet", hugging_face_images=True)
    report = check(tmp_path, images=True)
    assert (report.exit_status, report.images) == (0, 21), report.lines()


@pytest.mark.parametrize("output_format", ["files", "webdataset", "parquet", "tfrecord"])
def test_originals_that_are_no_images_are_whole_if_they_have_their_hash(
    tmp_path: Path, output_format: str
) -> None:
    settings = settings_for(tmp_path, output_format)
    table = input_table(2)
    body = b"<html>not an image</html>"
    unknown = dict.fromkeys(("width", "height", "original_width", "original_height"))
    samples = []
    for row in range(2):
        sample = success(settings, table, row, sha256=hashlib.sha256(body).hexdigest(), **unknown)
        samples.append(type(sample)(row, sample.key, body, "jpg", sample.caption, sample.metadata))
    write_shard(settings, table, samples)
    report = check(tmp_path, images=True)
    assert (report.exit_status, report.images) == (0, 2), report.lines()


def test_a_dataset_of_the_former_tool_is_understood(tmp_path: Path) -> None:
    """What 1.47.0 does otherwise: a pax header before each member, rows in the order they were finished."""
    make_dataset(tmp_path, "webdataset")
    for path in tmp_path.glob("*.tar"):
        with tarfile.open(path) as tar:
            members = [(member.name, tar.extractfile(member).read()) for member in tar]  # type: ignore[union-attr]
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
            for name, contents in members:
                member = tarfile.TarInfo(name)
                member.size, member.mtime = len(contents), 1_700_000_000.25  # type: ignore[assignment]
                tar.addfile(member, io.BytesIO(contents))
    for path in tmp_path.glob("*.parquet"):
        table = pq.read_table(path)
        pq.write_table(table.take(list(reversed(range(ROWS)))), path, row_group_size=3)
    report = check(tmp_path, images=True)
    assert (report.exit_status, report.images) == (0, 21), report.lines()


def test_nothing_heavy_is_imported_before_it_is_needed(tmp_path: Path) -> None:
    make_dataset(tmp_path, "dummy", shards=1)
    program = (
        "import json, sys; from img2dataset.verifying import verify;"
        f"verify({str(tmp_path)!r}); print(json.dumps(sorted(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True).stdout
    assert not {"cv2", "numpy", "pyarrow", "PIL"} & set(json.loads(printed))
