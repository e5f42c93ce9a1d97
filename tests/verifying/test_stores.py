"""Datasets on file systems that are not local: fsspec's own in memory, and a real S3 server."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from tests.storage.conftest import remote_folder, s3_server, short_waits, spool
from tests.verifying.datasets import DATA_NAMES, check, make_dataset
from tests.working.shards import failure, input_table, settings_for, write_shard

__all__ = ["remote_folder", "s3_server", "short_waits", "spool"]  # fixtures


class FailingStore(MemoryFileSystem):
    """A store that answers 503 for one file."""

    protocol = "failing"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    failing: ClassVar[list[str]] = []

    def cat_file(self, path: str, *arguments: Any, **options: Any) -> bytes:
        self._fail(path)
        return super().cat_file(path, *arguments, **options)

    def get_file(self, rpath: str, lpath: str, **options: Any) -> None:
        self._fail(rpath)
        super().get_file(rpath, lpath, **options)

    def _fail(self, path: str) -> None:
        if any(path.endswith(name) for name in self.failing):
            raise OSError("503 Slow Down")


FORMATS = ("files", "webdataset", "parquet", "tfrecord", "dummy")


@pytest.mark.parametrize("output_format", FORMATS)
def test_a_whole_dataset_has_no_complaints(remote_folder: str, spool: Path, output_format: str) -> None:
    make_dataset(remote_folder, output_format)
    for processes_count in (1, 2):
        report = check(remote_folder, images=True, processes_count=processes_count)
        assert report.exit_status == 0, report.lines()
        assert report.rows == 30
        assert report.images == (0 if output_format == "dummy" else 21)
    assert list(spool.iterdir()) == []


def test_a_folder_that_a_store_does_not_keep_is_no_fault(remote_folder: str, spool: Path) -> None:
    make_dataset(remote_folder, "files", shards=1)
    settings = settings_for(remote_folder, "files")
    write_shard(settings, input_table(1), [failure(settings, 0, shard_id=1)], 1)
    assert check(remote_folder).exit_status == 0


@pytest.mark.parametrize("output_format", ["files", "webdataset", "parquet", "tfrecord"])
def test_a_bad_shard_is_found_and_removed(remote_folder: str, spool: Path, output_format: str) -> None:
    make_dataset(remote_folder, output_format)
    file_system, path = fsspec.core.url_to_fs(remote_folder)
    name = DATA_NAMES[output_format] + ("/000012.json" if output_format == "files" else "")
    contents = file_system.cat_file(f"{path}/{name}")
    file_system.pipe_file(f"{path}/{name}", contents[: len(contents) // 2])
    report = check(remote_folder, remove=True)
    assert ([shard.name for shard in report.bad], report.removed) == (["00001"], ["00001"]), report.lines()
    file_system.invalidate_cache()
    assert not [entry for entry in file_system.ls(path, detail=False) if "/00001" in entry]
    assert check(remote_folder).missing == [(1, 1)]


@pytest.mark.parametrize(
    ("output_format", "name"),
    [
        ("files", "00001/000012.json"),
        ("webdataset", "00001.tar"),
        ("webdataset", "00001.parquet"),
        ("parquet", "00001_stats.json"),
        ("tfrecord", "00001.tfrecord"),
    ],
)
def test_a_shard_that_a_store_fails_to_give_is_not_broken_and_never_removed(
    spool: Path, output_format: str, name: str
) -> None:
    fsspec.register_implementation("failing", FailingStore, clobber=True)
    FailingStore.store.clear()
    FailingStore.pseudo_dirs[:] = [""]
    FailingStore.failing.clear()
    make_dataset("failing://bucket/out", output_format)
    FailingStore.failing.append(name)
    report = check("failing://bucket/out", images=True, remove=True)
    assert (report.bad, report.removed, report.exit_status) == ([], [], 1)
    assert [shard.name for shard in report.unreadable] == ["00001"]
    assert "cannot be read: 503 Slow Down" in report.unreadable[0].line()
    FailingStore.failing.clear()
    assert check("failing://bucket/out", images=True).exit_status == 0
