"""Replacing a finished shard where the output folder is not on the local disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from img2dataset.errors import OutputError
from img2dataset.formats.dataset import REPLACEMENTS_FOLDER
from img2dataset.formats.settings import WriteSettings
from img2dataset.storage.runs import new_run_id
from img2dataset.types import Sample
from img2dataset.verifying import verify
from img2dataset.working.finished_shard import open_finished_shard
from img2dataset.working.output_folder import OutputFolder
from tests.storage.stores import RenamingServer, UnsteadyStore, read
from tests.working.retaking import WON, begin_again, snapshot, stored, take_again
from tests.working.shards import failure, input_table, settings_for, statistics_of, success, write_shard

STORE_FORMATS = ["files", "webdataset", "parquet"]


def downloaded(remote_folder: str, local: Path) -> Path:
    """A copy of the whole output folder on the local disk."""
    file_system, path = fsspec.core.url_to_fs(remote_folder)
    file_system.invalidate_cache()
    for name in file_system.find(path):
        target = local / name.removeprefix(path.rstrip("/") + "/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file_system.cat_file(name))
    return local


def statuses(folder: Path) -> list[str]:
    names: list[str] = pq.read_table(folder / "00000.parquet", columns=["status"])["status"].to_pylist()
    return names


@pytest.mark.parametrize("output_format", [*STORE_FORMATS, "tfrecord"])
def test_samples_that_were_there_stay_bit_for_bit(
    remote_folder: str, spool: Path, tmp_path: Path, output_format: str
) -> None:
    if output_format == "tfrecord":
        pytest.importorskip("google_crc32c")
    settings, table = settings_for(remote_folder, output_format), input_table(10)
    OutputFolder(settings).prepare()
    old = write_shard(settings, table)
    before = stored(downloaded(remote_folder, tmp_path / "before"), output_format)
    new = take_again(settings, table, old)
    after = downloaded(remote_folder, tmp_path / "after")
    assert before.items() <= stored(after, output_format).items()
    assert set(stored(after, output_format)) == {sample.key for sample in new if sample.image is not None}
    assert statuses(after) == [sample.metadata["status"] for sample in new]
    assert json.loads((after / "00000_stats.json").read_text())["successes"] == 9
    assert [name for name in os.listdir(spool) if name.startswith("img2dataset-")] == []


def test_the_old_statistics_stand_until_the_new_ones_are_uploaded(unsteady_folder: str, spool: Path) -> None:
    settings, table = settings_for(unsteady_folder, "webdataset"), input_table(10)
    old = write_shard(settings, table)
    UnsteadyStore.uploads.clear()
    take_again(settings, table, old)
    assert UnsteadyStore.uploads == ["00000", "00000.tar", "00000.parquet", "00000_stats.json"]


def test_files_that_stay_are_not_uploaded_again(unsteady_folder: str, spool: Path) -> None:
    settings, table = settings_for(unsteady_folder, "files"), input_table(10)
    old = write_shard(settings, table)
    UnsteadyStore.uploads.clear()
    new = take_again(settings, table, old)
    files = {f"{new[index].key}.{ending}" for index in WON for ending in ("jpg", "json", "txt")}
    assert set(UnsteadyStore.uploads) == files | {"00000", "00000.parquet", "00000_stats.json"}


def breaks_off(step: int, do: Callable[[], object]) -> bool:
    """Whether the store was gone before the end, which it is from its ``step``-th put or removal on."""
    UnsteadyStore.steps_until_it_breaks = step
    try:
        do()
    except (PermissionError, OutputError):
        return True
    finally:
        UnsteadyStore.steps_until_it_breaks = None
    return False


def whole_shard(folder: str) -> str:
    """Whether the folder holds the old shard or the new one; nothing else passes."""
    report = verify(folder, processes_count=1)
    assert report.exit_status == 0, report.lines()
    file_system, path = fsspec.core.url_to_fs(folder)
    assert not [name for name in file_system.find(path) if REPLACEMENTS_FOLDER in name]
    return {7: "old", 9: "new"}[json.loads(read(folder, "00000_stats.json"))["successes"]]


@pytest.mark.parametrize("output_format", STORE_FORMATS)
def test_a_replacement_that_a_store_broke_off_at_any_step_is_made_by_the_next_try(
    unsteady_folder: str, spool: Path, output_format: str
) -> None:
    """What was downloaded for it is not lost, nor the try refused for what the one before has put."""
    table = input_table(10)
    for step in range(30):
        UnsteadyStore.empty()
        settings = settings_for(unsteady_folder, output_format)
        writer, new = begin_again(settings, table, write_shard(settings, table))
        prepared = writer.prepare(statistics_of(new))
        broke_off = breaks_off(step, prepared.publish)
        if broke_off:
            prepared.publish()
        assert whole_shard(unsteady_folder) == "new"
        assert os.listdir(spool) == []
        if not broke_off:
            break
    assert 3 < step < 29


@pytest.mark.parametrize("output_format", STORE_FORMATS)
def test_a_replacement_whose_moves_broke_off_is_made_by_the_next_try(
    renaming_folder: str, spool: Path, output_format: str
) -> None:
    table = input_table(10)
    for step in range(30):
        fsspec.filesystem("file").makedirs(renaming_folder.removeprefix("renaming://"), exist_ok=True)
        fsspec.filesystem("file").rm(renaming_folder.removeprefix("renaming://"), recursive=True)
        settings = settings_for(renaming_folder, output_format)
        OutputFolder(settings).prepare()
        writer, new = begin_again(settings, table, write_shard(settings, table))
        prepared = writer.prepare(statistics_of(new))
        RenamingServer.moves_until_it_breaks = step
        try:
            prepared.publish()
            broke_off = False
        except PermissionError:
            broke_off = True
        RenamingServer.moves_until_it_breaks = None
        if broke_off:
            prepared.publish()
        assert json.loads(read(renaming_folder, "00000_stats.json"))["successes"] == 9
        assert verify(renaming_folder, processes_count=1).exit_status == 0
        if not broke_off:
            break
    assert 1 < step < 29


@pytest.mark.parametrize("output_format", [*STORE_FORMATS, "tfrecord"])
def test_after_a_crash_at_any_step_the_next_run_finds_the_old_shard_or_the_new_one_whole(
    unsteady_folder: str, spool: Path, tmp_path: Path, output_format: str
) -> None:
    table, ends = input_table(10), []
    for step in range(40):
        UnsteadyStore.empty()
        settings = settings_for(unsteady_folder, output_format)
        old = write_shard(settings, table)
        before = stored(downloaded(unsteady_folder, tmp_path / f"{step}-before"), output_format)
        broke_off = breaks_off(step, partial(take_again, settings, table, old))
        OutputFolder(settings).finish_replacements()
        ends.append(whole_shard(unsteady_folder))
        after = stored(downloaded(unsteady_folder, tmp_path / f"{step}-after"), output_format)
        assert before.items() <= after.items()
        if not broke_off:
            break
    assert not broke_off
    assert ends == sorted(ends, reverse=True)
    assert set(ends) == {"old", "new"}


@pytest.mark.parametrize("output_format", STORE_FORMATS)
def test_healing_that_is_cut_short_itself_is_healed_by_the_run_after_it(
    unsteady_folder: str, spool: Path, output_format: str
) -> None:
    table, crashes = input_table(10), 0
    for step in range(40):
        for healing_step in range(40):
            UnsteadyStore.empty()
            settings = settings_for(unsteady_folder, output_format)
            old = write_shard(settings, table)
            broke_off = breaks_off(step, partial(take_again, settings, table, old))
            if not breaks_off(healing_step, OutputFolder(settings).finish_replacements):
                break
            crashes += 1
            OutputFolder(settings).finish_replacements()
            whole_shard(unsteady_folder)
        if not broke_off:
            break
    assert crashes >= 5


@pytest.mark.parametrize("output_format", STORE_FORMATS)
def test_a_shard_is_healed_before_its_rows_are_taken_again(
    unsteady_folder: str, spool: Path, output_format: str
) -> None:
    table = input_table(10)
    for step in range(40):
        UnsteadyStore.empty()
        settings = settings_for(unsteady_folder, output_format)
        old = write_shard(settings, table)
        if not breaks_off(step, partial(take_again, settings, table, old)):
            break
        finished = open_finished_shard(settings, 0)
        assert finished is not None
        successes = finished.metadata["status"].to_pylist().count("success")
        assert successes == finished.statistics["successes"]
        whole_shard(unsteady_folder)


def test_a_replacement_that_another_run_is_at_is_left_to_it(unsteady_folder: str, spool: Path) -> None:
    table = input_table(10)
    place, _, random_part = new_run_id().rsplit("-", 2)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as another:
        settings = settings_for(unsteady_folder, "files", run_id=f"{place}-{another.pid}-{random_part}")
        old = write_shard(settings, table)
        assert breaks_off(3, partial(take_again, settings, table, old))
        assert OutputFolder(settings_for(unsteady_folder, "files")).finish_replacements() == set()
        assert [name for name in UnsteadyStore.store if REPLACEMENTS_FOLDER in name]
    assert OutputFolder(settings_for(unsteady_folder, "files")).finish_replacements() == {0}
    assert whole_shard(unsteady_folder) == "old"


def test_half_a_journal_is_dropped(unsteady_folder: str, spool: Path) -> None:
    settings = settings_for(unsteady_folder, "webdataset")
    write_shard(settings, input_table(10))
    store = fsspec.core.url_to_fs(unsteady_folder)[0]
    store.pipe_file(f"{unsteady_folder}/{REPLACEMENTS_FOLDER}/00000", b"PK\3\4 and no more")
    assert OutputFolder(settings).finish_replacements() == {0}
    assert whole_shard(unsteady_folder) == "old"


def test_the_journal_of_a_shard_that_was_removed_is_dropped(unsteady_folder: str, spool: Path) -> None:
    settings, table = settings_for(unsteady_folder, "webdataset"), input_table(10)
    old = write_shard(settings, table)
    assert breaks_off(2, partial(take_again, settings, table, old))
    fsspec.core.url_to_fs(unsteady_folder)[0].rm_file(f"{unsteady_folder}/00000_stats.json")
    OutputFolder(settings).finish_replacements()
    assert OutputFolder(settings).done_shards() == set()
    assert not [name for name in UnsteadyStore.store if REPLACEMENTS_FOLDER in name]


def test_a_shard_that_another_run_has_replaced_is_not_replaced(unsteady_folder: str, spool: Path) -> None:
    settings, table = settings_for(unsteady_folder, "webdataset"), input_table(10)
    old = write_shard(settings, table)
    later, samples = begin_again(settings, table, old)
    take_again(settings_for(unsteady_folder, "webdataset"), table, old, [success(settings, table, 1)])
    UnsteadyStore.uploads.clear()
    with pytest.raises(OutputError, match=r"another run has changed 00000_stats\.json"):
        later.commit(statistics_of(samples))
    later.discard()
    assert UnsteadyStore.uploads == []


@pytest.mark.parametrize("output_format", [*STORE_FORMATS, "tfrecord"])
def test_a_folder_whose_name_looks_like_a_pattern_is_replaced_in_and_healed(
    remote_folder: str, spool: Path, output_format: str
) -> None:
    if output_format == "tfrecord":
        pytest.importorskip("google_crc32c")
    folder = f"{remote_folder}/cats [1] *?"
    settings, table = settings_for(folder, output_format), input_table(10)
    take_again(settings, table, write_shard(settings, table))
    assert whole_shard(folder) == "new"
    file_system, path = fsspec.core.url_to_fs(folder)
    file_system.pipe_file(f"{path}/{REPLACEMENTS_FOLDER}/00000", b"PK\3\4 and no more")
    assert OutputFolder(settings).finish_replacements() == {0}
    assert whole_shard(folder) == "new"
    assert verify(folder, images=True, processes_count=1).exit_status == 0
    OutputFolder(settings).empty()
    file_system.invalidate_cache()
    assert file_system.find(path) == []


def test_a_made_again_folder_whose_name_looks_like_a_pattern_holds_nothing_of_the_old_one(
    unsteady_folder: str, spool: Path
) -> None:
    settings, table = settings_for(f"{unsteady_folder}/cats [1]", "files"), input_table(10)
    write_shard(settings, table)
    write_shard(settings, table, [failure(settings, index) for index in range(10)])
    assert [name for name in UnsteadyStore.store if name.endswith(".jpg")] == []


def broken_off(settings: WriteSettings, table: pa.Table, old: list[Sample], moves: int) -> bool:
    """Whether the connection was gone before the shard was replaced."""
    RenamingServer.moves_until_it_breaks = moves
    try:
        take_again(settings, table, old)
    except PermissionError:
        return True
    finally:
        RenamingServer.moves_until_it_breaks = None
    return False


@pytest.mark.parametrize("name", ["", "/cats [1]"])
@pytest.mark.parametrize("output_format", STORE_FORMATS)
def test_where_files_are_moved_a_crash_between_two_moves_leaves_the_old_shard_or_the_new_one(
    renaming_folder: str, tmp_path: Path, output_format: str, name: str
) -> None:
    remote, folder = renaming_folder + name, Path(f"{tmp_path}/remote{name}")
    table, ends = input_table(10), []
    for moves in range(20):
        settings = settings_for(remote, output_format)
        output = OutputFolder(settings)
        output.prepare()
        output.empty()
        old = write_shard(settings, table)
        before = stored(folder, output_format)
        was_broken_off = broken_off(settings, table, old, moves)
        output.finish_replacements()
        output.remove_own_temporaries()
        assert output.done_shards() == {0}
        assert [name for name in snapshot(folder) if name.startswith(".") and not name.endswith("/")] == []
        after = stored(folder, output_format)
        assert before.items() <= after.items()
        assert set(after) == {key for key, status in rows_of(folder).items() if status == "success"}
        ends.append("new" if len(after) == 9 else "old")
        assert verify(str(folder), processes_count=1).exit_status == 0
        if not was_broken_off:
            break
    assert ends == sorted(ends, reverse=True)
    assert set(ends) == {"old", "new"}


def rows_of(folder: Path) -> dict[str, str]:
    rows = pq.read_table(folder / "00000.parquet", columns=["key", "status"]).to_pylist()
    return {row["key"]: row["status"] for row in rows}
