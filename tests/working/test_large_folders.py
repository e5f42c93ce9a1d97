"""Output folders of very many shards: listed once, and read by several requests at once."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest

from img2dataset.options import resolve
from img2dataset.preparing import prepare
from img2dataset.reading import open_reader
from img2dataset.settings import work_settings
from img2dataset.working.output_folder import OutputFolder
from img2dataset.working.unfinished import unfinished_shards
from tests.storage.stores import UnsteadyStore
from tests.working.shards import settings_for, write_shard


class CountingStore(UnsteadyStore):
    """A store that counts listings, and whose reads wait for ``together`` of them to be under way at once."""

    protocol = "counting"
    listed: ClassVar[list[str]] = []
    together: ClassVar[threading.Barrier | None] = None

    def ls(self, path: str, *arguments: Any, **options: Any) -> Any:
        self.listed.append(path)
        return super().ls(path, *arguments, **options)

    def cat_file(self, path: str, *arguments: Any, **options: Any) -> Any:
        if self.together is not None:
            self.together.wait(120)
        return super().cat_file(path, *arguments, **options)


@pytest.fixture
def counting_folder(unsteady_folder: str, monkeypatch: pytest.MonkeyPatch) -> str:
    fsspec.register_implementation("counting", CountingStore, clobber=True)
    CountingStore.listed.clear()
    monkeypatch.setattr(CountingStore, "together", None)
    return unsteady_folder.replace("unsteady", "counting")


def fill(folder: str, shards: int) -> None:
    text = json.dumps({"count": 3, "successes": 2}).encode()
    for number in range(shards):
        fsspec.filesystem(folder.partition(":")[0]).pipe_file(f"{folder}/{number:05d}_stats.json", text)


def test_a_run_that_adds_little_to_a_large_folder_lists_it_once(counting_folder: str) -> None:
    fill(counting_folder, 300)
    settings = settings_for(counting_folder, "webdataset")
    output = OutputFolder(settings)
    assert len(output.done_shards()) == 300
    write_shard(settings, shard_id=300)
    CountingStore.listed.clear()
    assert output.missing({300}) == []
    assert output.missing({300, 301, 299}) == [301]
    assert not [path for path in CountingStore.listed if path.endswith("/out")]


def test_a_run_that_makes_most_of_a_folder_lists_it_at_its_end(counting_folder: str) -> None:
    settings = settings_for(counting_folder, "webdataset")
    output = OutputFolder(settings)
    assert output.done_shards() == set()
    fill(counting_folder, 100)
    CountingStore.listed.clear()
    assert output.missing(set(range(102))) == [100, 101]
    assert len(CountingStore.listed) == 1


def test_a_run_that_made_nothing_looks_for_nothing(counting_folder: str) -> None:
    assert OutputFolder(settings_for(counting_folder, "webdataset")).missing(set()) == []
    assert not CountingStore.listed


def test_what_another_process_has_removed_since_the_listing_is_missed(
    remote_folder: str, spool: Path
) -> None:
    fill(remote_folder, 140)
    settings = settings_for(remote_folder, "dummy")
    output = OutputFolder(settings)
    assert len(output.done_shards()) == 140
    fsspec.filesystem(remote_folder.partition(":")[0]).rm(f"{remote_folder}/00007_stats.json")
    write_shard(settings, shard_id=140)
    assert output.missing({7, 140}) == [7]


def test_statistics_of_a_store_are_read_several_at_once(
    counting_folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(counting_folder, 48)
    output = OutputFolder(settings_for(counting_folder, "webdataset"))
    done = output.done_shards()
    monkeypatch.setattr(CountingStore, "together", threading.Barrier(8))
    assert output.counts(done) == {"count": 3 * 48, "successes": 2 * 48}


def test_a_run_that_adds_shards_knows_the_highest_from_the_same_listing(counting_folder: str) -> None:
    fill(counting_folder, 20)
    fsspec.filesystem("counting").pipe_file(f"{counting_folder}/00033.tar", b"unfinished")
    output = OutputFolder(settings_for(counting_folder, "webdataset"))
    CountingStore.listed.clear()
    assert output.done_shards_and_highest() == (set(range(20)), 33)
    assert len([path for path in CountingStore.listed if path.endswith("/out")]) == 1


@pytest.mark.parametrize("mode", ["incremental", "extend", "new_only"])
def test_a_run_lists_a_bucket_once_when_it_begins(
    remote_folder: str, spool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """Folders in it that are not there are not looked for in the listing of all of it either."""
    fill(remote_folder, 5)
    (tmp_path / "list.txt").write_text("http://127.0.0.1:9/a.jpg\n")
    values = {"url_list": str(tmp_path / "list.txt"), "output_folder": remote_folder}
    options = resolve({**values, "output_format": "webdataset", "incremental_mode": mode})
    output = OutputFolder(work_settings(options).write)
    location = settings_for(remote_folder, "dummy").locate()
    listed: list[str] = []
    if hasattr(location.file_system, "_lsdir"):
        lister = type(location.file_system)._lsdir

        async def counted(self: Any, path: str, *arguments: Any, **options: Any) -> Any:
            listed.append(path)
            return await lister(self, path, *arguments, **options)

        monkeypatch.setattr(type(location.file_system), "_lsdir", counted)
    else:
        plain = type(location.file_system).ls

        def ls(self: Any, path: str, *arguments: Any, **options: Any) -> Any:
            listed.append(path)
            return plain(self, path, *arguments, **options)

        monkeypatch.setattr(type(location.file_system), "ls", ls)
    begun = prepare(output, options, open_reader(options, options.number_sample_per_shard))
    assert begun.done == set(range(5))
    assert listed.count(location.path) == 1


def test_what_a_stop_has_kept_is_not_looked_for_in_the_whole_folder(
    remote_folder: str, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(remote_folder, 5)
    location = settings_for(remote_folder, "dummy").locate()
    listed: list[str] = []
    if hasattr(location.file_system, "_lsdir"):
        lister = type(location.file_system)._lsdir

        async def counted(self: Any, path: str, *arguments: Any, **options: Any) -> Any:
            listed.append(path)
            return await lister(self, path, *arguments, **options)

        monkeypatch.setattr(type(location.file_system), "_lsdir", counted)
    assert unfinished_shards(location) == set()
    assert location.path not in listed
