"""Files that are whole and do not say the same are found and named."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.verifying.datasets import (
    DATA_NAMES,
    FORMATS,
    change_rows,
    change_statistics,
    check,
    make_dataset,
    only_fault,
)

WITH_METADATA = ("files", "webdataset", "parquet", "tfrecord")


@pytest.mark.parametrize("output_format", FORMATS)
@pytest.mark.parametrize("name", ["count", "successes", "failed_to_download", "failed_to_resize"])
def test_a_wrong_count_in_the_statistics_is_found(tmp_path: Path, output_format: str, name: str) -> None:
    make_dataset(tmp_path, output_format)
    change_statistics(tmp_path, lambda document: document.update({name: document[name] + 1}))
    assert "counts" in only_fault(tmp_path)


@pytest.mark.parametrize("output_format", WITH_METADATA)
def test_statistics_that_agree_with_themselves_alone_are_found(tmp_path: Path, output_format: str) -> None:
    make_dataset(tmp_path, output_format)

    def one_more_success(document: dict[str, Any]) -> None:
        document["successes"] += 1
        document["failed_to_download"] -= 1
        document["status_dict"]["success"] += 1
        document["status_dict"]["HTTP 404"] -= 1

    change_statistics(tmp_path, one_more_success)
    fault = only_fault(tmp_path)
    assert "successes: 8 in the statistics, 7 in the metadata" in fault
    assert "failed_to_download: 2 in the statistics, 3 in the metadata" in fault


@pytest.mark.parametrize("output_format", WITH_METADATA)
def test_other_messages_than_in_the_metadata_are_found(tmp_path: Path, output_format: str) -> None:
    make_dataset(tmp_path, output_format)
    change_statistics(tmp_path, lambda document: document.update(status_dict={"success": 7, "HTTP 403": 3}))
    assert only_fault(tmp_path) == "00001: the statistics count other messages than the metadata"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda document: document.pop("count"), "count"),
        (lambda document: document.update(successes="7"), "successes"),
        (lambda document: document.update(failed_to_resize=-1), "failed_to_resize"),
        (lambda document: document.update(count=True), "count"),
        (lambda document: document.pop("end_time"), "end_time"),
        (lambda document: document.update(status_dict=[]), "status_dict"),
        (lambda document: document.update(status_dict={"success": "x"}), "status_dict"),
    ],
)
def test_statistics_of_another_shape_are_found(
    tmp_path: Path, change: Callable[[dict[str, Any]], Any], named: str
) -> None:
    make_dataset(tmp_path, "dummy")
    change_statistics(tmp_path, change)
    assert only_fault(tmp_path) == f"00001: 00001_stats.json lacks or has a wrong: {named}"


def test_statistics_that_are_a_list_are_found(tmp_path: Path) -> None:
    make_dataset(tmp_path, "dummy")
    (tmp_path / "00001_stats.json").write_text("[1]")
    assert only_fault(tmp_path) == "00001: 00001_stats.json is no statistics file"


@pytest.mark.parametrize("output_format", WITH_METADATA)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows.pop(4), "no row in the metadata for key: 000014"),
        (lambda rows: rows[4].update(key="000013"), "key twice in the metadata: 000013"),
        (lambda rows: rows[4].update(key="000024"), "no key of this shard in the metadata: '000024'"),
        (lambda rows: rows[4].update(key=None), "no key of this shard in the metadata: None"),
        (lambda rows: rows[4].update(key="00001x"), "no key of this shard in the metadata: '00001x'"),
        (lambda rows: rows[4].update(key="0000104"), "keys of different lengths"),
        (lambda rows: rows.append(rows[4]), "key twice in the metadata: 000014"),
        (lambda rows: rows[4].update(status="failed"), "1 row has the status 'failed'"),
        (lambda rows: rows[4].update(status=None), "1 row has the status None"),
    ],
)
def test_wrong_rows_in_the_metadata_are_found(
    tmp_path: Path, output_format: str, change: Callable[[list[dict[str, Any]]], Any], said: str
) -> None:
    make_dataset(tmp_path, output_format)
    change_rows(tmp_path, change)
    assert said in only_fault(tmp_path)


@pytest.mark.parametrize("output_format", WITH_METADATA)
def test_a_missing_column_is_found(tmp_path: Path, output_format: str) -> None:
    make_dataset(tmp_path, output_format)
    path = tmp_path / "00001.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["url"]), path)
    assert "the metadata has no column: url" in only_fault(tmp_path)


@pytest.mark.parametrize("output_format", WITH_METADATA)
def test_a_key_column_of_numbers_is_found(tmp_path: Path, output_format: str) -> None:
    make_dataset(tmp_path, output_format)
    path = tmp_path / "00001.parquet"
    table = pq.read_table(path)
    keys = pa.array([int(key) for key in table.column("key").to_pylist()])
    pq.write_table(table.set_column(table.schema.get_field_index("key"), "key", keys), path)
    assert "no key of this shard" in only_fault(tmp_path)


@pytest.mark.parametrize("output_format", ["files", "webdataset", "tfrecord"])
@pytest.mark.parametrize(
    ("column", "value"),
    [("url", "http://example.com/other"), ("width", 9), ("sha256", "0"), ("caption", "another"),
     ("tag", "another"), ("number", 99), ("score", 0.7), ("flag", False), ("exif", None)],
)  # fmt: skip
def test_a_sample_that_says_something_else_than_the_metadata_is_found(
    tmp_path: Path, output_format: str, column: str, value: Any
) -> None:
    make_dataset(tmp_path, output_format)
    change_rows(tmp_path, lambda rows: rows[0].update({column: value}))
    fault = only_fault(tmp_path)
    assert f"{DATA_NAMES[output_format]} has another {column} than the metadata: 000010" in fault


@pytest.mark.parametrize("output_format", ["files", "webdataset", "tfrecord"])
def test_a_sample_of_a_failed_row_and_a_success_without_a_sample_are_found(
    tmp_path: Path, output_format: str
) -> None:
    make_dataset(tmp_path, output_format)

    def swap(rows: list[dict[str, Any]]) -> None:
        rows[0].update(status="failed_to_download", error_message="HTTP 404")
        rows[1].update(status="success", error_message=None)

    change_rows(tmp_path, swap)
    fault = only_fault(tmp_path)
    data = DATA_NAMES[output_format]
    assert f"{data} has a sample of a row that failed: 000010" in fault
    assert f"{data} lacks the sample of a success: 000011" in fault


def test_a_success_without_an_image_and_an_image_of_a_failed_row_are_found(tmp_path: Path) -> None:
    make_dataset(tmp_path, "parquet")

    def swap(rows: list[dict[str, Any]]) -> None:
        rows[0]["jpg"], rows[1]["jpg"] = None, rows[0]["jpg"]
        rows[2]["jpg"] = b""

    change_rows(tmp_path, swap)
    fault = only_fault(tmp_path)
    assert "success without an image: 000010" in fault
    assert "image beside a row that failed: 000011" in fault
    assert "empty image: 000012" in fault


def test_a_table_without_images_is_found(tmp_path: Path) -> None:
    make_dataset(tmp_path, "parquet", shards=3)
    path = tmp_path / "00001.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["jpg"]), path)
    assert check(tmp_path).exit_status == 1


@pytest.mark.parametrize("output_format", ["webdataset", "tfrecord"])
def test_data_files_of_two_shards_that_were_swapped_are_found(tmp_path: Path, output_format: str) -> None:
    make_dataset(tmp_path, output_format)
    ending = DATA_NAMES[output_format].removeprefix("00001")
    os.rename(tmp_path / f"00000{ending}", tmp_path / "aside")
    os.rename(tmp_path / f"00001{ending}", tmp_path / f"00000{ending}")
    os.rename(tmp_path / "aside", tmp_path / f"00001{ending}")
    report = check(tmp_path)
    assert [shard.name for shard in report.bad] == ["00000", "00001"]
    assert "has a sample that is not in the metadata: 00001" in report.bad[0].line()


def test_whole_shards_under_each_others_names_are_found(tmp_path: Path) -> None:
    make_dataset(tmp_path, "parquet")
    os.rename(tmp_path / "00000.parquet", tmp_path / "aside")
    os.rename(tmp_path / "00001.parquet", tmp_path / "00000.parquet")
    os.rename(tmp_path / "aside", tmp_path / "00001.parquet")
    report = check(tmp_path)
    assert [shard.name for shard in report.bad] == ["00000", "00001"]
    assert "no key of this shard in the metadata: '000010'" in report.bad[0].line()


@pytest.mark.parametrize("ending", ["jpg", "json", "txt"])
def test_a_missing_file_of_a_sample_is_found(tmp_path: Path, ending: str) -> None:
    make_dataset(tmp_path, "files")
    (tmp_path / f"00001/000012.{ending}").unlink()
    what = {"jpg": "image", "json": "metadata", "txt": "caption"}[ending]
    assert only_fault(tmp_path) == f"00001: 00001 lacks the {what} of: 000012"


@pytest.mark.parametrize("ending", ["jpg", "json", "txt"])
def test_a_missing_member_of_a_tar_is_found(tmp_path: Path, ending: str) -> None:
    make_dataset(tmp_path, "webdataset")
    rewrite_tar(tmp_path, lambda members: [m for m in members if m[0] != f"000012.{ending}"])
    what = {"jpg": "image", "json": "metadata", "txt": "caption"}[ending]
    assert only_fault(tmp_path) == f"00001: 00001.tar lacks the {what} of: 000012"


def test_a_member_twice_in_a_tar_is_found(tmp_path: Path) -> None:
    make_dataset(tmp_path, "webdataset")
    rewrite_tar(tmp_path, lambda members: [members[0], *members])
    assert f"member twice in the tar: {first_key(tmp_path)}" in only_fault(tmp_path)


def test_a_sample_twice_in_a_tar_is_found(tmp_path: Path) -> None:
    make_dataset(tmp_path, "webdataset")
    rewrite_tar(tmp_path, lambda members: members + members[:3])
    assert f"sample twice in 00001.tar: {first_key(tmp_path)}" in only_fault(tmp_path)


def test_a_member_of_no_sample_is_found(tmp_path: Path) -> None:
    make_dataset(tmp_path, "webdataset")
    rewrite_tar(tmp_path, lambda members: [*members, ("readme.md", b"hello")])
    assert only_fault(tmp_path) == "00001: 00001.tar has a sample that is not in the metadata: readme"


def test_two_images_of_a_sample_are_found(tmp_path: Path) -> None:
    make_dataset(tmp_path, "files")
    shutil.copy(tmp_path / "00001/000012.jpg", tmp_path / "00001/000012.png")
    assert only_fault(tmp_path) == "00001: more than one image for a key: 000012.png"


def test_something_else_in_a_folder_is_found(tmp_path: Path) -> None:
    make_dataset(tmp_path, "files")
    (tmp_path / "00001/thumbs").mkdir()
    (tmp_path / "00001/notes").write_text("")
    assert only_fault(tmp_path) == "00001: 00001 has something that belongs to no sample: notes, thumbs"


def test_other_contents_of_a_caption_or_of_json_are_found(tmp_path: Path) -> None:
    make_dataset(tmp_path, "files")
    (tmp_path / "00001/000012.txt").write_text("another")
    (tmp_path / "00001/000013.json").write_text("[]")
    (tmp_path / "00001/000016.jpg").write_bytes(b"")
    fault = only_fault(tmp_path)
    assert "another caption than in the metadata: 000012" in fault
    assert "no JSON object: 000013.json" in fault
    assert "empty image: 000016" in fault


def test_a_record_that_is_no_example_is_found(tmp_path: Path) -> None:
    import google_crc32c

    from img2dataset.formats.records import framed_record

    make_dataset(tmp_path, "tfrecord")
    with (tmp_path / "00001.tfrecord").open("ab") as file:
        file.write(framed_record(b"no example", google_crc32c.value))
    assert only_fault(tmp_path) == "00001: no tf.train.Example in record: 7"


@pytest.mark.parametrize("key", [7, ["000017", "000018"]])
def test_a_record_whose_key_is_no_text_is_found(tmp_path: Path, key: Any) -> None:
    import google_crc32c

    from img2dataset.formats.examples import entry_name, example, feature_entry, feature_of
    from img2dataset.formats.records import framed_record

    make_dataset(tmp_path, "tfrecord")
    record = example([feature_entry(entry_name("key"), feature_of(key))])
    with (tmp_path / "00001.tfrecord").open("ab") as file:
        file.write(framed_record(record, google_crc32c.value))
    fault = only_fault(tmp_path)
    assert fault == "00001: 00001.tfrecord has a sample that is not in the metadata: without a key"


def test_many_faults_of_one_kind_are_one_short_reason(tmp_path: Path) -> None:
    make_dataset(tmp_path, "files")
    for path in (tmp_path / "00001").glob("*.json"):
        document = json.loads(path.read_text())
        path.write_text(json.dumps(document | {"url": "other"}))
    assert only_fault(tmp_path).endswith(
        "has another url than the metadata: 000010, 000012, 000013 and 4 more"
    )


def rewrite_tar(folder: Path, change: Callable[[list[tuple[str, bytes]]], list[tuple[str, bytes]]]) -> None:
    """Write the tar of shard 1 anew, with other members."""
    path = folder / "00001.tar"
    with tarfile.open(path) as tar:
        members = [(member.name, tar.extractfile(member).read()) for member in tar]  # type: ignore[union-attr]
    with tarfile.open(path, "w") as tar:
        for name, contents in change(members):
            member = tarfile.TarInfo(name)
            member.size = len(contents)
            tar.addfile(member, io.BytesIO(contents))


def first_key(folder: Path) -> str:
    with tarfile.open(folder / "00000.tar") as tar:
        return tar.getnames()[0].partition(".")[0].replace("00000", "00001", 1)
