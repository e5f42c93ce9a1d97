"""Files that are cut, damaged or something else are found and named."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.verifying.datasets import DATA_NAMES, FORMATS, check, make_dataset, only_fault

SINGLE_FILES = ("webdataset", "parquet", "tfrecord")


def cuts(size: int, count: int = 40) -> list[int]:
    """Lengths to cut a file of this size to: its ends, and many in between."""
    return sorted({0, 1, 7, size - 1, size - 4, *(size * part // count for part in range(count))})


@pytest.mark.parametrize("output_format", ["parquet", "tfrecord"])
def test_a_file_cut_anywhere_is_found(tmp_path: Path, output_format: str) -> None:
    make_dataset(tmp_path, output_format)
    path = tmp_path / DATA_NAMES[output_format]
    contents = path.read_bytes()
    for length in cuts(len(contents)):
        path.write_bytes(contents[:length])
        assert DATA_NAMES[output_format] in only_fault(tmp_path), length


def test_a_tar_cut_anywhere_up_to_its_end_mark_is_found(tmp_path: Path) -> None:
    make_dataset(tmp_path, "webdataset")
    path = tmp_path / "00001.tar"
    contents = path.read_bytes()
    with tarfile.open(path) as tar:
        last = tar.getmembers()[-1]
        starts = [member.offset for member in tar]
    end = last.offset_data + -(-last.size // 512) * 512
    for length in {*cuts(end), *starts, end, end + 512, end + 1023}:
        path.write_bytes(contents[:length])
        assert "00001.tar is broken" in only_fault(tmp_path), length
    path.write_bytes(contents[: end + 1024])  # the end mark, without what fills the last record
    assert check(tmp_path).exit_status == 0


def test_metadata_cut_anywhere_are_found(tmp_path: Path) -> None:
    make_dataset(tmp_path, "webdataset")
    path = tmp_path / "00001.parquet"
    contents = path.read_bytes()
    for length in cuts(len(contents)):
        path.write_bytes(contents[:length])
        assert "00001.parquet" in only_fault(tmp_path), length


def test_statistics_cut_anywhere_are_found(tmp_path: Path) -> None:
    make_dataset(tmp_path, "dummy")
    path = tmp_path / "00001_stats.json"
    contents = path.read_bytes()
    for length in cuts(len(contents)):
        path.write_bytes(contents[:length])
        assert "00001_stats.json is no JSON" in only_fault(tmp_path), length


def test_any_changed_byte_of_a_tfrecord_is_found(tmp_path: Path) -> None:
    make_dataset(tmp_path, "tfrecord")
    path = tmp_path / "00001.tfrecord"
    contents = path.read_bytes()
    for position in [*range(24), *range(24, len(contents), 101), len(contents) - 1]:
        path.write_bytes(flipped(contents, position))
        assert "00001.tfrecord is broken" in only_fault(tmp_path), position


def test_any_changed_byte_of_a_tar_outside_of_images_is_found(tmp_path: Path) -> None:
    make_dataset(tmp_path, "webdataset")
    path = tmp_path / "00001.tar"
    contents = path.read_bytes()
    with tarfile.open(path) as tar:
        members = tar.getmembers()[:6]
    for member in members:
        for position in range(member.offset, member.offset + 512, 13):
            path.write_bytes(flipped(contents, position))
            assert f"the header at byte {member.offset} is broken" in only_fault(tmp_path), position
        if member.name.endswith(".jpg"):
            continue
        for position in range(member.offset_data, member.offset_data + member.size, 17):
            path.write_bytes(flipped(contents, position))
            assert member.name.partition(".")[0] in only_fault(tmp_path), position


def test_a_changed_byte_of_a_table_is_found_or_harmless(tmp_path: Path) -> None:
    """The metadata that samples repeat cannot change unnoticed: those of rows that failed can."""
    make_dataset(tmp_path, "webdataset")
    path = tmp_path / "00001.parquet"
    contents = path.read_bytes()
    before = [row for row in pq.read_table(path).to_pylist() if row["status"] == "success"]
    found = 0
    for position in range(0, len(contents), 37):
        path.write_bytes(flipped(contents, position))
        report = check(tmp_path)
        assert not report.unreadable
        if report.bad:
            found += 1
            continue
        after = [row for row in pq.read_table(path).to_pylist() if row["status"] == "success"]
        for row, row_before in zip(after, before, strict=True):
            del row["numbers"], row_before["numbers"]  # lists are not compared
            assert str(row) == str(row_before), position
            row_before["numbers"] = None
    assert found > len(contents) / 37 / 2


@pytest.mark.parametrize("output_format", SINGLE_FILES)
def test_something_behind_the_end_is_found(tmp_path: Path, output_format: str) -> None:
    make_dataset(tmp_path, output_format)
    with (tmp_path / DATA_NAMES[output_format]).open("ab") as file:
        file.write(b"more")
    assert DATA_NAMES[output_format] in only_fault(tmp_path)


@pytest.mark.parametrize("output_format", SINGLE_FILES)
def test_a_missing_data_file_is_found(tmp_path: Path, output_format: str) -> None:
    make_dataset(tmp_path, output_format)
    (tmp_path / DATA_NAMES[output_format]).unlink()
    assert f"{DATA_NAMES[output_format]} is missing" in only_fault(tmp_path)


def test_a_missing_folder_is_found(tmp_path: Path) -> None:
    make_dataset(tmp_path, "files")
    shutil.rmtree(tmp_path / "00001")
    assert only_fault(tmp_path) == "00001: 00001 is missing"


@pytest.mark.parametrize("output_format", ["files", "webdataset", "tfrecord"])
def test_missing_metadata_are_found(tmp_path: Path, output_format: str) -> None:
    make_dataset(tmp_path, output_format)
    (tmp_path / "00001.parquet").unlink()
    assert only_fault(tmp_path) == "00001: 00001.parquet is missing"


@pytest.mark.parametrize("output_format", SINGLE_FILES)
def test_a_folder_in_the_place_of_a_file_is_found(tmp_path: Path, output_format: str) -> None:
    make_dataset(tmp_path, output_format)
    (tmp_path / DATA_NAMES[output_format]).unlink()
    (tmp_path / DATA_NAMES[output_format]).mkdir()
    assert f"{DATA_NAMES[output_format]} is a folder" in only_fault(tmp_path)


@pytest.mark.parametrize("output_format", FORMATS)
def test_a_folder_in_the_place_of_statistics_is_found(tmp_path: Path, output_format: str) -> None:
    make_dataset(tmp_path, output_format)
    (tmp_path / "00001_stats.json").unlink()
    (tmp_path / "00001_stats.json").mkdir()
    assert only_fault(tmp_path) == "00001: 00001_stats.json is a folder"


def test_a_file_in_the_place_of_a_folder_is_found(tmp_path: Path) -> None:
    make_dataset(tmp_path, "files")
    shutil.rmtree(tmp_path / "00001")
    (tmp_path / "00001").write_bytes(b"")
    assert only_fault(tmp_path) == "00001: 00001 is a file"


@pytest.mark.parametrize("output_format", SINGLE_FILES)
def test_a_file_of_another_format_is_found(tmp_path: Path, output_format: str) -> None:
    make_dataset(tmp_path, output_format)
    (tmp_path / DATA_NAMES[output_format]).write_bytes(b"<html>404 Not Found</html>" * 60)
    assert DATA_NAMES[output_format] in only_fault(tmp_path)


def test_a_tar_with_a_link_in_it_is_found(tmp_path: Path) -> None:
    make_dataset(tmp_path, "webdataset")
    with tarfile.open(tmp_path / "00001.tar", "a") as tar:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    assert "that is no regular file" in only_fault(tmp_path)


def flipped(contents: bytes, position: int) -> bytes:
    """The same with every bit of one byte turned over."""
    return contents[:position] + bytes([contents[position] ^ 0xFF]) + contents[position + 1 :]
