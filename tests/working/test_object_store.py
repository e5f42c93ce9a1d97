"""Output folders that are not on the local disk: uploads in one piece, statistics last."""

from __future__ import annotations

import glob
import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import fsspec
import pyarrow.parquet as pq
import pytest

from img2dataset.errors import OutputError
from img2dataset.storage.locations import Location
from img2dataset.working.commit import SpooledShardFolder
from img2dataset.working.output_folder import OutputFolder
from img2dataset.working.shard_writer import ShardWriter
from tests.storage.stores import UnsteadyStore, read
from tests.working.shards import (
    input_table,
    settings_for,
    statistics_of,
    succeeded,
    usual_samples,
    write_shard,
)


def test_a_webdataset_shard_is_uploaded_whole(remote_folder: str, spool: Path) -> None:
    settings = settings_for(remote_folder, "webdataset")
    output = OutputFolder(settings)
    output.prepare()
    assert output.done_shards() == set()
    samples = write_shard(settings)
    assert output.done_shards() == {0}
    assert output.highest_shard() == 0
    assert output.read_stats(0)["count"] == 10
    with tarfile.open(fileobj=io.BytesIO(read(remote_folder, "00000.tar"))) as archive:
        assert len(archive.getnames()) == 3 * len(succeeded(samples))
    assert pq.read_table(io.BytesIO(read(remote_folder, "00000.parquet"))).num_rows == 10
    assert os.listdir(spool) == []


def test_a_files_shard_is_uploaded_file_by_file_and_replaces_an_unfinished_one(
    remote_folder: str, spool: Path
) -> None:
    settings = settings_for(remote_folder, "files")
    OutputFolder(settings).prepare()
    with fsspec.open(f"{remote_folder}/00000/999999.jpg", "wb") as file:
        file.write(b"left by an unfinished attempt")
    samples = succeeded(write_shard(settings))
    names = fsspec.filesystem(remote_folder.partition(":")[0]).ls(f"{remote_folder}/00000", detail=False)
    assert sorted(name.rpartition("/")[2] for name in names) == sorted(
        f"{sample.key}.{ending}" for sample in samples for ending in ("jpg", "json", "txt")
    )
    assert read(remote_folder, f"00000/{samples[0].key}.jpg") == samples[0].image
    assert os.listdir(spool) == []


def test_overwrite_empties_the_folder(remote_folder: str, spool: Path) -> None:
    settings = settings_for(remote_folder, "files")
    write_shard(settings)
    output = OutputFolder(settings)
    output.empty()
    assert output.done_shards() == set()
    assert output.highest_shard() is None


def test_a_discarded_shard_leaves_nothing_anywhere(remote_folder: str, spool: Path) -> None:
    settings = settings_for(remote_folder, "webdataset")
    OutputFolder(settings).prepare()
    writer = ShardWriter(settings, 0, input_table(10))
    assert os.listdir(spool) != []
    writer.discard()
    assert os.listdir(spool) == []
    assert OutputFolder(settings).highest_shard() is None


def test_a_bucket_that_cannot_be_is_one_clear_error(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {
        "key": "k",
        "secret": "s",
        "endpoint_url": s3_server,
        "client_kwargs": {"region_name": "eu-west-1"},
    }
    monkeypatch.setitem(fsspec.config.conf, "s3", options)
    with pytest.raises(OutputError, match=r"s3://ab/out.*cannot be written to") as caught:
        OutputFolder(settings_for("s3://ab/out", "files")).prepare()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("output_format", ["webdataset", "files", "parquet", "dummy"])
def test_the_statistics_are_uploaded_last(unsteady_folder: str, spool: Path, output_format: str) -> None:
    write_shard(settings_for(unsteady_folder, output_format))
    assert UnsteadyStore.uploads[-1] == "00000_stats.json"
    assert UnsteadyStore.uploads.count("00000_stats.json") == 1


def test_an_upload_that_fails_for_a_while_is_tried_again(unsteady_folder: str, spool: Path) -> None:
    UnsteadyStore.failures += [
        OSError("503 Slow Down"),
        ConnectionResetError(),
        TimeoutError(),
        RuntimeError("500"),
    ]
    write_shard(settings_for(unsteady_folder, "webdataset"))
    assert UnsteadyStore.uploads == ["00000.tar", "00000.parquet", "00000_stats.json"]


def test_an_upload_that_keeps_failing_fails_the_shard_and_leaves_no_statistics(
    unsteady_folder: str, spool: Path
) -> None:
    settings, table = settings_for(unsteady_folder, "webdataset"), input_table(10)
    samples = usual_samples(settings, table)
    writer = ShardWriter(settings, 0, table)
    for sample in samples:
        writer.write(sample)
    UnsteadyStore.failures += [OSError("503 Slow Down") for _ in range(5)]
    with pytest.raises(OSError, match="503 Slow Down"):
        writer.commit(statistics_of(samples))
    writer.discard()
    assert OutputFolder(settings).done_shards() == set()
    assert os.listdir(spool) == []


def test_a_refusal_is_not_tried_again(unsteady_folder: str, spool: Path) -> None:
    settings, table = settings_for(unsteady_folder, "dummy"), input_table(10)
    samples = usual_samples(settings, table)
    writer = ShardWriter(settings, 0, table)
    for sample in samples:
        writer.write(sample)
    UnsteadyStore.failures += [OSError("never reached"), PermissionError("403 Forbidden")]
    with pytest.raises(PermissionError):
        writer.commit(statistics_of(samples))
    assert len(UnsteadyStore.failures) == 1
    writer.discard()


def test_a_shard_made_again_has_no_statistics_until_it_is_done(unsteady_folder: str, spool: Path) -> None:
    settings, table = settings_for(unsteady_folder, "webdataset"), input_table(10)
    samples = write_shard(settings, table)
    writer = ShardWriter(settings, 0, table)
    for sample in samples:
        writer.write(sample)
    UnsteadyStore.failures.append(PermissionError())
    with pytest.raises(PermissionError):
        writer.commit(statistics_of(samples))
    writer.discard()
    assert OutputFolder(settings).done_shards() == set()


def test_where_partial_files_show_an_upload_is_moved_into_place(spool: Path) -> None:
    moves = []

    class MovingStore(UnsteadyStore):
        protocol = "sftp"

        def mv(self, path1: str, path2: str, **options: Any) -> None:
            moves.append((path1.rpartition("/")[0], path2))
            super().mv(path1, path2, **options)

    UnsteadyStore.uploads.clear()
    store = MovingStore()
    location = Location(store, "/moved/out", "sftp://host/moved/out")
    folder = SpooledShardFolder(location, "run", "00000")
    for name in ("00000.tar", "00000_stats.json"):
        Path(folder.path, name).write_text(name)
    folder.publish(["00000.tar"], "00000_stats.json")
    assert moves == [
        ("/moved/out/.tmp/run", "/moved/out/00000.tar"),
        ("/moved/out/.tmp/run", "/moved/out/00000_stats.json"),
    ]
    assert store.cat_file("/moved/out/00000.tar") == b"00000.tar"


def test_spools_of_dead_runs_are_removed_and_those_of_live_ones_stay(spool: Path) -> None:
    program = (
        "from img2dataset.working.shard_writer import ShardWriter\n"
        "from tests.working.shards import input_table, settings_for\n"
        "ShardWriter(settings_for('memory://b/out', 'webdataset'), 0, input_table(1))\n"
    )
    environment = os.environ | {"TMPDIR": str(spool)}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)
    settings = settings_for("memory://b/out", "webdataset")
    ShardWriter(settings, 0, input_table(1))
    (spool / "img2dataset-of-someone-else").mkdir()
    assert len(glob.glob(f"{spool}/img2dataset-*")) == 3
    OutputFolder(settings).remove_stale_temporaries()
    assert len(glob.glob(f"{spool}/img2dataset-*")) == 2
    OutputFolder(settings).remove_own_temporaries()
    assert os.listdir(spool) == ["img2dataset-of-someone-else"]


def test_statistics_on_a_store_are_json(unsteady_folder: str, spool: Path) -> None:
    write_shard(settings_for(unsteady_folder, "dummy"))
    assert json.loads(read(unsteady_folder, "00000_stats.json"))["count"] == 10
