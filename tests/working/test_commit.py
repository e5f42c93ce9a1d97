"""What a crash, a full disk or an earlier attempt can do to a shard's files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from img2dataset.working.output_folder import OutputFolder
from img2dataset.working.shard_writer import ShardWriter
from tests.working.shards import (
    input_table,
    leftovers,
    settings_for,
    statistics_of,
    success,
    usual_samples,
    visible,
    write_shard,
)

# Writes one shard, and ends like a killed process just before its n-th call of a given function of os.
CRASHING_PROGRAM = """
import os, sys
from pathlib import Path
from tests.working.shards import settings_for, write_shard

folder, output_format, function, calls = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
original = getattr(os, function)

def crashing(*arguments, **named):
    global calls
    calls -= 1
    if calls < 0:
        os._exit(9)
    return original(*arguments, **named)

setattr(os, function, crashing)
write_shard(settings_for(folder, output_format))
"""


def crash(folder: Path, output_format: str, function: str, calls: int) -> bool:
    """Whether the process was cut short; False once it has fewer calls than that."""
    arguments = [str(folder), output_format, function, str(calls)]
    program = [sys.executable, "-c", CRASHING_PROGRAM, *arguments]
    status = subprocess.run(program, timeout=60).returncode
    assert status in (0, 9)
    return status == 9


def assert_whole(folder: Path, output_format: str) -> None:
    """Every file under a final name can be read to its end."""
    names = visible(folder) if folder.exists() else []
    if "00000.parquet" in names:
        pq.read_table(folder / "00000.parquet")
    if "00000.tar" in names:
        with tarfile.open(folder / "00000.tar") as archive:
            assert len(archive.getnames()) == 3 * 7
        assert (folder / "00000.tar").stat().st_size % 10240 == 0
    if "00000" in names:
        assert len(visible(folder / "00000")) == 3 * 7
    if "00000_stats.json" in names:
        assert json.loads((folder / "00000_stats.json").read_text())["count"] == 10
        assert "00000.parquet" in names
        assert {"webdataset": "00000.tar", "files": "00000", "parquet": "00000.parquet"}[
            output_format
        ] in names


@pytest.mark.parametrize("output_format", ["webdataset", "files", "parquet"])
def test_a_crash_before_any_rename_leaves_whole_files_and_a_shard_to_be_done(
    tmp_path: Path, output_format: str
) -> None:
    for calls in range(9):
        folder = tmp_path / str(calls)
        crashed = crash(folder, output_format, "replace", calls)
        assert_whole(folder, output_format)
        settings = settings_for(folder, output_format)
        assert OutputFolder(settings).done_shards() == (set() if crashed else {0})
        write_shard(settings)
        assert_whole(folder, output_format)
        assert OutputFolder(settings).done_shards() == {0}
        if not crashed:
            assert calls >= 2
            return
    pytest.fail("the commit never came to its end")


def test_a_crash_while_files_are_flushed_leaves_whole_files(tmp_path: Path) -> None:
    for calls in range(3):
        folder = tmp_path / str(calls)
        assert crash(folder, "webdataset", "fsync", calls)
        assert_whole(folder, "webdataset")
        assert OutputFolder(settings_for(folder, "webdataset")).done_shards() == set()


FULL_DISK_PROGRAM = """
import resource, sys
from pathlib import Path
from img2dataset.working.shard_writer import ShardWriter
from tests.working.shards import input_table, leftovers, settings_for, statistics_of, usual_samples, visible

folder, output_format, limit = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
settings, table = settings_for(folder, output_format), input_table(10)
writer = ShardWriter(settings, 0, table)
samples = usual_samples(settings, table)
try:
    for sample in samples:
        writer.write(sample)
    writer.commit(statistics_of(samples))
except OSError as error:
    writer.discard()
    print(type(error).__name__, visible(folder), leftovers(folder))
else:
    print("written")
"""


@pytest.mark.parametrize("output_format", ["webdataset", "files", "parquet", "tfrecord"])
@pytest.mark.parametrize("limit", [300, 2000])
def test_a_disk_that_takes_no_more_is_an_error_and_leaves_nothing(
    tmp_path: Path, output_format: str, limit: int
) -> None:
    if output_format == "tfrecord":
        pytest.importorskip("google_crc32c")
    program = [sys.executable, "-c", FULL_DISK_PROGRAM, str(tmp_path), output_format, str(limit)]
    result = subprocess.run(program, capture_output=True, text=True, timeout=60)
    assert result.stdout == "OSError [] []\n", result.stderr


def test_what_an_unfinished_attempt_left_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "00000").mkdir()
    (tmp_path / "00000/000000.jpg").write_bytes(b"half an im")
    (tmp_path / "00000/999999.jpg").write_bytes(b"of another list")
    (tmp_path / "00000.parquet").write_bytes(b"PAR1")
    write_shard(settings_for(tmp_path, "files"))
    assert_whole(tmp_path, "files")
    assert visible(tmp_path) == ["00000", "00000.parquet", "00000_stats.json"]
    assert leftovers(tmp_path) == []


def test_a_folder_in_place_of_a_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "00000.tar").mkdir()
    (tmp_path / "00000.tar/inside").write_bytes(b"")
    write_shard(settings_for(tmp_path, "webdataset"))
    assert_whole(tmp_path, "webdataset")


@pytest.mark.parametrize("output_format", ["webdataset", "files", "parquet"])
def test_a_finished_shard_made_again_stays_done_whenever_that_is_cut_short(
    tmp_path: Path, output_format: str
) -> None:
    write_shard(settings_for(tmp_path, output_format))
    for calls in range(3):
        crash(tmp_path, output_format, "replace", calls)
        assert_whole(tmp_path, output_format)
        output = OutputFolder(settings_for(tmp_path, output_format))
        assert output.done_shards() == {0}
        output.finish_replacements()
        assert_whole(tmp_path, output_format)
        assert output.done_shards() == {0}


def test_until_commit_nothing_can_be_seen(tmp_path: Path) -> None:
    settings, table = settings_for(tmp_path, "files"), input_table(10)
    writer = ShardWriter(settings, 0, table)
    for sample in usual_samples(settings, table):
        writer.write(sample)
    assert visible(tmp_path) == []
    assert leftovers(tmp_path) != []
    writer.discard()
    assert leftovers(tmp_path) == []


def test_two_attempts_at_one_shard_do_not_touch_each_other(tmp_path: Path) -> None:
    settings, table = settings_for(tmp_path, "webdataset"), input_table(10)
    samples = usual_samples(settings, table)
    given_up, successor = ShardWriter(settings, 0, table), ShardWriter(settings, 0, table)
    for sample in samples:
        given_up.write(sample)
        successor.write(sample)
    given_up.discard()
    successor.commit(statistics_of(samples))
    assert_whole(tmp_path, "webdataset")


def test_several_shards_can_be_open_at_once(tmp_path: Path) -> None:
    settings, table = settings_for(tmp_path, "webdataset"), input_table(10)
    writers = [ShardWriter(settings, shard_id, table) for shard_id in range(3)]
    samples = [usual_samples(settings, table, shard_id) for shard_id in range(3)]
    for row in range(10):
        for writer, of_shard in zip(writers, samples, strict=True):
            writer.write(of_shard[row])
    for shard_id in (2, 0, 1):
        writers[shard_id].commit(statistics_of(samples[shard_id], shard_id))
    assert OutputFolder(settings).done_shards() == {0, 1, 2}
    keys = [
        key
        for shard in range(3)
        for key in pq.read_table(tmp_path / f"0000{shard}.parquet")["key"].to_pylist()
    ]
    assert keys == [f"{index:06d}" for index in range(30)]


def test_discard_is_harmless_at_any_time(tmp_path: Path) -> None:
    settings, table = settings_for(tmp_path, "webdataset"), input_table(1)
    writer = ShardWriter(settings, 0, table)
    samples = [success(settings, table, 0)]
    writer.write(samples[0])
    writer.commit(statistics_of(samples))
    writer.discard()
    writer.discard()
    assert visible(tmp_path) == ["00000.parquet", "00000.tar", "00000_stats.json"]


def test_files_and_folders_have_the_usual_permissions(tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        write_shard(settings_for(tmp_path, "files"))
    finally:
        os.umask(mask)
    assert (tmp_path / "00000").stat().st_mode & 0o777 == 0o755
    for path in (tmp_path / "00000.parquet", tmp_path / "00000_stats.json", *(tmp_path / "00000").iterdir()):
        assert path.stat().st_mode & 0o777 == 0o644
