"""What can be said of a folder as a whole: gaps, what is not done, what does not belong."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from img2dataset.errors import OptionError, OutputError
from img2dataset.manifest import MANIFEST_NAME, Manifest
from img2dataset.verifying import verify
from img2dataset.verifying.inventory import gaps
from img2dataset.working.shard_writer import ShardWriter
from tests.verifying.datasets import DATA_NAMES, FORMATS, ROWS, check, make_dataset
from tests.verifying.manifests import manifest_text, record
from tests.working.shards import input_table, settings_for, write_shard


def remove_shard_files(folder: Path, name: str) -> None:
    for path in folder.glob(f"{name}*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.parametrize("output_format", FORMATS)
def test_a_missing_shard_in_the_middle_is_named(tmp_path: Path, output_format: str) -> None:
    make_dataset(tmp_path, output_format)
    remove_shard_files(tmp_path, "00001")
    report = check(tmp_path)
    assert (report.missing, report.bad, report.exit_status) == ([(1, 1)], [], 1)
    assert "missing: 00001" in report.lines()


def test_gaps_are_named_by_their_ends(tmp_path: Path) -> None:
    make_dataset(tmp_path, "dummy", shards=12)
    for shard_id in (0, 1, 5, 7, 8, 9):
        remove_shard_files(tmp_path, f"{shard_id:05d}")
    lines = check(tmp_path).lines()
    assert lines[:3] == [
        "missing: 00000 to 00001 (2 shards)",
        "missing: 00005",
        "missing: 00007 to 00009 (3 shards)",
    ]


def test_a_gap_of_any_length_costs_nothing() -> None:
    assert gaps([0, 10**17], 0) == [(1, 10**17 - 1)]
    assert gaps([], 3) == [(0, 2)]
    assert gaps([0, 1, 2], 3) == []


@pytest.mark.parametrize("output_format", ["files", "webdataset", "parquet", "tfrecord"])
def test_data_without_statistics_are_not_done_and_not_broken(tmp_path: Path, output_format: str) -> None:
    make_dataset(tmp_path, output_format)
    (tmp_path / "00001_stats.json").unlink()
    report = check(tmp_path, remove=True)
    assert (report.unfinished, report.bad, report.missing) == (["00001"], [], [])
    assert report.exit_status == 1
    assert (tmp_path / DATA_NAMES[output_format]).exists()
    assert "not done: 00001 has files and no statistics" in report.lines()


def test_leftovers_of_a_dead_run_are_told_and_no_fault(tmp_path: Path) -> None:
    make_dataset(tmp_path, "webdataset")
    (tmp_path / ".tmp/node-999999999-00000000/00003-x").mkdir(parents=True)
    (tmp_path / "_tmp").mkdir()
    report = check(tmp_path, remove=True)
    assert report.exit_status == 0
    assert "leftovers of runs" in report.lines()[0]
    assert (tmp_path / ".tmp/node-999999999-00000000/00003-x").exists()


def test_a_run_that_is_at_work_is_told(tmp_path: Path) -> None:
    make_dataset(tmp_path, "webdataset")
    settings = settings_for(tmp_path, "webdataset")
    own, parent = f"-{os.getpid()}-", f"-{os.getppid()}-"
    settings = settings_for(tmp_path, "webdataset", run_id=settings.run_id.replace(own, parent))
    writer = ShardWriter(settings, 3, input_table(ROWS))
    report = check(tmp_path)
    writer.discard()
    assert report.exit_status == 0
    assert f"process {os.getppid()} is writing here" in report.lines()[0]


def test_files_of_others_are_told_and_no_fault(tmp_path: Path) -> None:
    make_dataset(tmp_path, "webdataset")
    (tmp_path / "README.md").write_text("mine")
    (tmp_path / "00001.tfrecord").write_text("of another format")
    report = check(tmp_path, remove=True)
    assert report.exit_status == 0
    assert report.notes == [
        "files of no shard, not looked at: README.md",
        "files of another format than the dataset's, not looked at: 00001.tfrecord",
    ]
    assert (tmp_path / "README.md").exists()


def test_folders_beside_tars_are_not_taken_for_the_data(tmp_path: Path) -> None:
    make_dataset(tmp_path, "webdataset")
    for shard_id in range(3):
        (tmp_path / f"{shard_id:05d}").mkdir()
    report = check(tmp_path)
    assert report.exit_status == 0
    assert "files of another format than the dataset's, not looked at: 00000, 00001" in report.notes[0]


def test_one_number_under_two_names_is_found(tmp_path: Path) -> None:
    make_dataset(tmp_path, "webdataset")
    write_shard(settings_for(tmp_path, "webdataset", shard_digits=6), input_table(ROWS), shard_id=1)
    report = check(tmp_path)
    assert report.folder_faults == ["shard 1 stands under two names: 000001 and 00001"]
    assert report.exit_status == 1


def test_keys_that_two_shards_share_are_found(tmp_path: Path) -> None:
    """Shard 1 of 1000 rows, of five digits, and shard 12 of ten rows, of seven."""
    write_shard(settings_for(tmp_path, "webdataset", rows_per_shard=1000), input_table(ROWS), shard_id=0)
    write_shard(
        settings_for(tmp_path, "webdataset", rows_per_shard=10, shard_digits=7), input_table(ROWS), shard_id=0
    )
    assert "shards 00000 and 0000000 have keys in common" in check(tmp_path).folder_faults


def test_the_last_shards_missing_are_known_from_the_record(tmp_path: Path) -> None:
    make_dataset(tmp_path, "webdataset")
    assert check(tmp_path).exit_status == 0
    (tmp_path / MANIFEST_NAME).write_text(manifest_text([20, 0, 25]))
    report = check(tmp_path)
    assert report.missing == [(3, 4)]
    assert report.exit_status == 1


def test_a_file_that_was_not_read_to_its_end_promises_nothing(tmp_path: Path) -> None:
    make_dataset(tmp_path, "webdataset")
    (tmp_path / MANIFEST_NAME).write_text(manifest_text([10, None, 70]))
    assert check(tmp_path).exit_status == 0


def test_another_number_of_rows_than_the_list_has_is_found(tmp_path: Path) -> None:
    make_dataset(tmp_path, "webdataset")
    (tmp_path / MANIFEST_NAME).write_text(manifest_text([10, 8, 10]))
    report = check(tmp_path)
    assert [shard.line() for shard in report.bad] == ["00001: the statistics count 10 rows, the list has 8"]


def test_shards_beyond_the_end_of_the_list_are_found(tmp_path: Path) -> None:
    make_dataset(tmp_path, "webdataset")
    (tmp_path / MANIFEST_NAME).write_text(manifest_text([20]))
    report = check(tmp_path)
    assert report.folder_faults == ["shards beyond the end of the list, which makes 2: 00002"]


def test_a_folder_that_was_extended_is_known_run_by_run(tmp_path: Path) -> None:
    make_dataset(tmp_path, "webdataset", shards=2)
    settings = settings_for(tmp_path, "parquet", rows_per_shard=100)
    write_shard(settings, input_table(ROWS), shard_id=2)
    runs = [record([20]), record([10], 2, output_format="parquet", number_sample_per_shard=100)]
    (tmp_path / MANIFEST_NAME).write_text(Manifest(runs).to_text())
    report = check(tmp_path, images=True)
    assert (report.exit_status, report.images) == (0, 21), report.lines()


def test_keys_of_other_digits_than_the_record_says_are_found(tmp_path: Path) -> None:
    make_dataset(tmp_path, "webdataset", shards=1, rows_per_shard=100)
    (tmp_path / MANIFEST_NAME).write_text(manifest_text([10]))
    assert "keys of 2 digits after the shard's, not 1" in check(tmp_path).bad[0].line()


def test_data_that_were_all_removed_are_known_from_the_record(tmp_path: Path) -> None:
    make_dataset(tmp_path, "webdataset")
    for path in tmp_path.glob("*.tar"):
        path.unlink()
    (tmp_path / MANIFEST_NAME).write_text(manifest_text([30]))
    assert [shard.reasons for shard in check(tmp_path).bad] == [
        ("00000.tar is missing",),
        ("00001.tar is missing",),
        ("00002.tar is missing",),
    ]


def test_without_a_record_data_that_were_all_removed_are_still_missed(tmp_path: Path) -> None:
    make_dataset(tmp_path, "webdataset")
    for path in tmp_path.glob("*.tar"):
        path.unlink()
    assert len(check(tmp_path).bad) == 3


def test_a_run_that_took_new_rows_only_promises_no_shards(tmp_path: Path) -> None:
    make_dataset(tmp_path, "webdataset")
    runs = [
        record([20]),
        record([700], 2, "new_only"),
        record([800], 3, "new_only"),
        record([9], 3, "new_only"),
    ]
    (tmp_path / MANIFEST_NAME).write_text(Manifest(runs).to_text())
    report = check(tmp_path)
    assert (report.exit_status, report.notes) == (0, []), report.lines()


def test_a_shard_whose_replacement_was_cut_short_is_not_done_and_not_broken(tmp_path: Path) -> None:
    make_dataset(tmp_path, "webdataset")
    journal = tmp_path / ".img2dataset_rewrites/00001"
    journal.mkdir(parents=True)
    (tmp_path / "00001.parquet").rename(journal / "00001.parquet")
    report = check(tmp_path)
    assert (report.bad, report.replaced, report.missing, report.exit_status) == ([], ["00001"], [], 1)
    assert (tmp_path / "00001.tar").exists()


def test_a_folder_of_mixed_runs_is_checked_by_what_is_in_it(tmp_path: Path) -> None:
    make_dataset(tmp_path, "webdataset")
    (tmp_path / MANIFEST_NAME).write_text(Manifest([record([10]), record([700])]).to_text())
    report = check(tmp_path)
    assert report.exit_status == 0
    assert "runs with different options were mixed here" in report.lines()[0]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"manifest_version": 1, "runs": [{}]}', "null"])
def test_a_record_that_cannot_be_understood_is_a_fault(tmp_path: Path, text: str) -> None:
    make_dataset(tmp_path, "webdataset")
    (tmp_path / MANIFEST_NAME).write_text(text)
    report = check(tmp_path)
    assert f"{MANIFEST_NAME} cannot be understood" in report.folder_faults[0]
    assert report.shards_checked == 3


def test_a_folder_with_nothing_in_it_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"holds no shards of a dataset"):
        verify(str(tmp_path))
    with pytest.raises(OutputError, match=r"nowhere' does not exist"):
        verify(str(tmp_path / "nowhere"))
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file' cannot be listed"):
        verify(str(tmp_path / "file"))
    with pytest.raises(OptionError, match="processes_count is 0"):
        verify(str(tmp_path), processes_count=0)


def test_a_folder_that_was_only_begun_misses_every_shard(tmp_path: Path) -> None:
    (tmp_path / MANIFEST_NAME).write_text(manifest_text([25]))
    assert check(tmp_path).missing == [(0, 2)]
