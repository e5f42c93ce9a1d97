"""``remove``: bad shards go, statistics first, and the next run makes them again."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from img2dataset.errors import OutputError
from img2dataset.storage.locations import Location
from img2dataset.storage.moving import move
from img2dataset.verifying import removal
from img2dataset.working import completing
from img2dataset.working.output_folder import OutputFolder
from tests.program.runs import read_dataset, run, serve_photographs, write_list
from tests.servers import ImageServer
from tests.storage.conftest import short_waits, spool, unsteady_folder
from tests.storage.stores import UnsteadyStore
from tests.verifying.datasets import DATA_NAMES, FORMATS, check, make_dataset
from tests.working.retaking import take_again
from tests.working.shards import input_table, settings_for, visible, write_shard

__all__ = ["short_waits", "spool", "unsteady_folder"]  # fixtures


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


@pytest.mark.parametrize("output_format", FORMATS)
def test_a_bad_shard_goes_whole_and_the_others_stay(tmp_path: Path, output_format: str) -> None:
    make_dataset(tmp_path, output_format)
    before = visible(tmp_path)
    cut(tmp_path / "00001_stats.json")
    report = check(tmp_path, remove=True)
    assert report.removed == ["00001"]
    assert report.exit_status == 1
    assert visible(tmp_path) == [name for name in before if not name.startswith("00001")]
    assert "removed: 00001" in report.lines()
    assert check(tmp_path).missing == [(1, 1)]


def test_nothing_is_removed_unasked(tmp_path: Path) -> None:
    make_dataset(tmp_path, "webdataset")
    before = visible(tmp_path)
    cut(tmp_path / "00001.parquet")
    report = check(tmp_path)
    assert visible(tmp_path) == before
    assert f"  img2dataset verify {tmp_path} --remove" in report.lines()


@pytest.mark.parametrize("output_format", ["files", "webdataset", "parquet", "tfrecord"])
def test_a_folder_in_the_place_of_a_file_goes_too(tmp_path: Path, output_format: str) -> None:
    make_dataset(tmp_path, output_format)
    (tmp_path / "00001_stats.json").unlink()
    (tmp_path / "00001_stats.json").mkdir()
    (tmp_path / "00001_stats.json/file").write_text("")
    check(tmp_path, remove=True)
    assert not [name for name in visible(tmp_path) if name.startswith("00001")]


@pytest.mark.parametrize("output_format", ["files", "webdataset", "parquet", "tfrecord"])
def test_a_removal_cut_short_leaves_the_shard_not_done(
    tmp_path: Path, output_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_dataset(tmp_path, output_format)
    cut(tmp_path / "00001.parquet")
    removed = []

    def stop_after_one(location: object, path: str) -> None:
        if removed:
            raise PermissionError("stopped here")
        removed.append(os.path.basename(path))
        os.unlink(path)

    monkeypatch.setattr(removal, "remove", stop_after_one)
    with pytest.raises(OutputError, match="cannot be removed: stopped here"):
        check(tmp_path, remove=True)
    assert removed == ["00001_stats.json"]
    assert (tmp_path / DATA_NAMES[output_format]).exists()
    assert check(tmp_path).unfinished == ["00001"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_shard_that_may_not_be_read_is_not_removed(tmp_path: Path) -> None:
    make_dataset(tmp_path, "webdataset")
    (tmp_path / "00001.tar").chmod(0)
    report = check(tmp_path, remove=True)
    assert [shard.name for shard in report.unreadable] == ["00001"]
    assert (report.bad, report.removed, report.exit_status) == ([], [], 1)


@pytest.mark.parametrize("output_format", ["files", "webdataset"])
def test_the_next_run_makes_removed_shards_again(
    tmp_path: Path, image_server: ImageServer, output_format: str
) -> None:
    addresses = serve_photographs(image_server, 12)
    url_list = write_list(tmp_path / "list.txt", addresses, 34)
    folder = tmp_path / "out"
    options = {
        "url_list": url_list, "output_folder": folder, "output_format": output_format,
        "number_sample_per_shard": 10, "image_size": 32, "processes_count": 1,
    }  # fmt: skip
    assert run(**options).returncode == 0
    assert check(folder, images=True).exit_status == 0
    images = read_dataset(folder).images
    cut(folder / "00001.parquet")
    for path in folder.glob("00003*"):  # the last shard, gone: the record knows of it
        os.system(f"rm -r '{path}'")
    report = check(folder, images=True, remove=True)
    assert ([shard.name for shard in report.bad], report.missing) == (["00001"], [(3, 3)])
    assert run(**options).returncode == 0
    report = check(folder, images=True)
    assert (report.exit_status, report.rows, report.images) == (0, 34, 34), report.lines()
    assert read_dataset(folder).images == images


class TheMachineStops(Exception):
    pass


@pytest.mark.parametrize("output_format", ["files", "webdataset", "parquet", "tfrecord"])
def test_what_an_interrupted_retry_had_won_is_completed_and_not_removed(
    tmp_path: Path, output_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, completed = input_table(10), 0
    for moves in range(12):
        folder = tmp_path / str(moves)
        settings = settings_for(folder, output_format)
        OutputFolder(settings).prepare()
        old = write_shard(settings, table)
        stops = StoppingDisk(moves)
        with monkeypatch.context() as patch:
            patch.setattr(completing, "move", stops.move)
            with contextlib.suppress(TheMachineStops):
                take_again(settings, table, old)
        report = check(folder, remove=True)
        assert (report.exit_status, report.removed, report.bad) == (0, [], []), report.lines()
        assert report.successes == 9
        completed += any(note.startswith("completed") for note in report.notes)
        if not stops.stopped:
            break
    assert not stops.stopped
    assert completed == moves


class StoppingDisk:
    """The local disk of a machine that stops before a move."""

    def __init__(self, moves: int) -> None:
        self._moves_left = moves
        self.stopped = False

    def move(self, location: Location, source: str, target: str) -> None:
        self._moves_left -= 1
        if self._moves_left < 0:
            self.stopped = True
            raise TheMachineStops
        move(location, source, target)


def test_an_object_store_is_completed_too_before_anything_is_removed(
    unsteady_folder: str, spool: Path
) -> None:
    table, ends = input_table(10), []
    for step in range(12):
        UnsteadyStore.empty()
        settings = settings_for(unsteady_folder, "webdataset")
        old = write_shard(settings, table)
        UnsteadyStore.steps_until_it_breaks = step
        try:
            take_again(settings, table, old)
            break
        except PermissionError:
            pass
        finally:
            UnsteadyStore.steps_until_it_breaks = None
        report = check(unsteady_folder, remove=True)
        assert (report.exit_status, report.removed) == (0, []), report.lines()
        ends.append(report.successes)
    # The journal, the data, the metadata, the statistics, and the journal's removal.
    assert ends == [7, 7, 9, 9, 9]
