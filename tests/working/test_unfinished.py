"""Shards that a stop has left unfinished: kept whole, found again, removed when they are of no use."""

from __future__ import annotations

import os
from pathlib import Path

import fsspec
import pytest

from img2dataset.errors import OutputError
from img2dataset.failures import NOT_TRIED
from img2dataset.formats.settings import WriteSettings
from img2dataset.types import Sample
from img2dataset.working.output_folder import OutputFolder
from img2dataset.working.shard_writer import ShardWriter
from img2dataset.working.unfinished import open_unfinished_shard
from tests.storage.stores import UnsteadyStore
from tests.working.retaking import stored
from tests.working.shards import failure, input_table, settings_for, statistics_of, success, write_shard

KEPT = ".img2dataset_unfinished"


def stop_after(settings: WriteSettings, tried: int, shard_id: int = 0) -> list[Sample]:
    """Put a shard aside of which the first rows were tried; takes over what an earlier stop has kept."""
    table = input_table(10)
    samples = [
        success(settings, table, index, shard_id)
        if index < tried
        else failure(settings, index, NOT_TRIED, shard_id=shard_id)
        for index in range(10)
    ]
    earlier = open_unfinished_shard(settings, shard_id)
    writer = ShardWriter(settings, shard_id, table)
    kept: list[int] = []
    if earlier is not None:
        messages = earlier.metadata["error_message"].to_pylist()
        kept = [index for index in range(10) if messages[index] is None]
        writer.keep(earlier, kept)
    for sample in samples:
        if sample.index not in kept:
            writer.write(sample)
    writer.put_aside(statistics_of(samples, shard_id))
    return samples


@pytest.mark.parametrize("output_format", ["webdataset", "files", "parquet"])
def test_an_upload_that_is_tried_again_keeps_the_same_files(
    unsteady_folder: str, spool: Path, output_format: str
) -> None:
    settings = settings_for(unsteady_folder, output_format)
    stop_after(settings, 6)
    store = fsspec.filesystem("unsteady")
    undisturbed = sorted(path.rpartition(f"{KEPT}/")[2].partition("/")[2] for path in store.find("/"))
    UnsteadyStore.empty()
    for number in range(4):
        UnsteadyStore.failures += [OSError(f"503 Slow Down, {number}")]
    stop_after(settings, 6)
    kept = sorted(path.rpartition(f"{KEPT}/")[2].partition("/")[2] for path in store.find("/"))
    assert kept == undisturbed
    assert UnsteadyStore.uploads[-1] == "00000_stats.json"
    finished = open_unfinished_shard(settings, 0)
    assert finished is not None
    writer = ShardWriter(settings, 0, input_table(10))
    writer.keep(finished, range(6))
    writer.discard()


def test_a_folder_in_the_middle_of_its_upload_is_tried_again(unsteady_folder: str, spool: Path) -> None:
    """The failure comes after some files of the shard's folder are there."""
    settings = settings_for(unsteady_folder, "files")
    put_file, calls = UnsteadyStore.put_file, []

    def failing(self: UnsteadyStore, lpath: str, rpath: str, **options: object) -> None:
        calls.append(rpath)
        if len(calls) == 5:
            raise OSError("503 Slow Down")
        put_file(self, lpath, rpath, **options)

    UnsteadyStore.put_file = failing  # type: ignore[method-assign]
    try:
        samples = stop_after(settings, 6)
    finally:
        UnsteadyStore.put_file = put_file  # type: ignore[method-assign]
    finished = open_unfinished_shard(settings, 0)
    assert finished is not None
    keys = {sample.key for sample in samples[:6]}
    assert set(finished.file_sizes()) == {
        f"{key}.{ending}" for key in keys for ending in ("jpg", "json", "txt")
    }


@pytest.mark.parametrize("output_format", ["webdataset", "files", "parquet", "tfrecord"])
def test_a_shard_that_is_stopped_again_and_again_is_kept_once(tmp_path: Path, output_format: str) -> None:
    settings = settings_for(tmp_path, output_format)
    for tried in (3, 5, 8):
        stop_after(settings, tried)
        assert len(list((tmp_path / KEPT).iterdir())) == 1
    finished = open_unfinished_shard(settings, 0)
    assert finished is not None
    assert finished.metadata["error_message"].to_pylist() == [None] * 8 + [NOT_TRIED] * 2


def test_a_shard_whose_kept_rows_were_of_no_use_leaves_none_of_them(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, "webdataset")
    stop_after(settings, 6)
    stop_after(settings, 4, shard_id=1)
    (tmp_path / KEPT).joinpath("00000-0badc0de").mkdir()
    write_shard(settings)  # without a look at what was kept
    assert [path.name[:5] for path in (tmp_path / KEPT).iterdir()] == ["00001"]
    assert len(stored(tmp_path, "webdataset")) == 7


def test_one_that_is_broken_does_not_hide_one_that_is_whole(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, "webdataset")
    stop_after(settings, 6)
    for number, text in enumerate(("", "{", "[1]")):
        broken = tmp_path / KEPT / f"00000-0000000{number}"
        broken.mkdir()
        (broken / "00000_stats.json").write_text(text)
    finished = open_unfinished_shard(settings, 0)
    assert finished is not None
    assert finished.statistics["successes"] == 6


def test_of_one_that_is_broken_no_file_is_to_be_removed_by_hand(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, "webdataset")
    stop_after(settings, 6)
    (folder,) = (tmp_path / KEPT).iterdir()
    (folder / "00000_stats.json").write_text("{")
    with pytest.raises(OutputError, match=r"00000_stats\.json cannot be read") as raised:
        open_unfinished_shard(settings, 0)
    assert "remove" not in str(raised.value)


def test_a_shard_is_kept_while_another_worker_completes_the_last_one_that_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is done last of a kept shard removes the folder of all of them."""
    settings = settings_for(tmp_path, "webdataset")
    stop_after(settings, 6, shard_id=1)
    makedirs, done = os.makedirs, []

    def then_another_worker(name: str, mode: int = 0o777, exist_ok: bool = False) -> None:
        makedirs(name, mode, exist_ok)
        if name.endswith(KEPT) and not done:
            done.append(name)
            write_shard(settings, shard_id=1)
            assert not (tmp_path / KEPT).exists()

    monkeypatch.setattr(os, "makedirs", then_another_worker)
    stop_after(settings, 4)
    assert done
    finished = open_unfinished_shard(settings, 0)
    assert finished is not None
    assert finished.statistics["successes"] == 4


def test_overwrite_removes_what_is_kept_before_it_forgets_what_it_was_made_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut short after the record is gone, a run with other options would take these rows over."""
    settings = settings_for(tmp_path, "webdataset")
    output = OutputFolder(settings)
    output.prepare()
    output.write_note(".img2dataset_manifest", "{}")
    stop_after(settings, 6)
    output.remove_own_temporaries()
    unlink = os.unlink

    def cut_short(path: str, **options: int | None) -> None:
        unlink(path, **options)  # type: ignore[arg-type]
        if path.endswith(".img2dataset_manifest"):
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "unlink", cut_short)
    with pytest.raises(KeyboardInterrupt):
        output.empty()
    assert not (tmp_path / ".img2dataset_manifest").exists()
    assert open_unfinished_shard(settings, 0) is None
