"""What is read of a shard that is done, and how its rows are kept in the one that replaces it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from img2dataset.errors import OutputError
from img2dataset.types import Sample
from img2dataset.working.finished_shard import open_finished_shard
from img2dataset.working.shard_writer import ShardWriter
from tests.own_peak import with_own_peak
from tests.working.retaking import (
    FORMATS,
    LOST,
    WON,
    begin_again,
    second_tries,
    snapshot,
    stored,
    take_again,
    write_as_1_47,
)
from tests.working.shards import (
    failure,
    input_table,
    leftovers,
    settings_for,
    statistics_of,
    success,
    usual_samples,
    visible,
    write_shard,
)


@pytest.fixture(params=FORMATS)
def output_format(request: pytest.FixtureRequest) -> str:
    if request.param == "tfrecord":
        pytest.importorskip("google_crc32c")
    name: str = request.param
    return name


def metadata_of(folder: Path) -> pa.Table:
    table = pq.read_table(folder / "00000.parquet").replace_schema_metadata()
    return table.drop_columns(["jpg"]) if "jpg" in table.column_names else table


def test_samples_that_were_there_stay_bit_for_bit_and_new_ones_join(
    tmp_path: Path, output_format: str
) -> None:
    settings, table = settings_for(tmp_path, output_format), input_table(10)
    old = write_shard(settings, table)
    before = stored(tmp_path, output_format)
    new = take_again(settings, table, old)
    after = stored(tmp_path, output_format)
    assert before.items() <= after.items()
    assert set(after) - set(before) == {new[index].key for index in WON}
    write_shard(settings_for(tmp_path / "at once", output_format), table, new)
    assert after == stored(tmp_path / "at once", output_format)
    assert leftovers(tmp_path) == []


def test_the_metadata_has_one_row_for_each_of_the_list_in_its_order(
    tmp_path: Path, output_format: str
) -> None:
    settings, table = settings_for(tmp_path, output_format), input_table(10, score=[i / 3 for i in range(10)])
    new = take_again(settings, table, write_shard(settings, table))
    read = metadata_of(tmp_path)
    assert read.to_pylist() == [
        row | sample.metadata for row, sample in zip(table.to_pylist(), new, strict=True)
    ]
    assert read["error_message"].to_pylist()[LOST] == "timeout: total"
    assert json.loads((tmp_path / "00000_stats.json").read_text()) == statistics_of(new).as_json()
    write_shard(settings_for(tmp_path / "at once", output_format), table, new)
    assert read == metadata_of(tmp_path / "at once")


def test_the_files_of_a_replaced_shard_are_those_of_any_other(tmp_path: Path, output_format: str) -> None:
    settings, table = settings_for(tmp_path, output_format), input_table(10)
    old = write_shard(settings, table)
    names = visible(tmp_path)
    take_again(settings, table, old)
    assert visible(tmp_path) == names


def test_rows_can_be_taken_again_time_after_time(tmp_path: Path, output_format: str) -> None:
    settings, table = settings_for(tmp_path, output_format), input_table(10)
    samples = write_shard(settings, table, [failure(settings, index) for index in range(10)])
    for index in range(10):
        samples = take_again(settings, table, samples, [success(settings, table, index)])
    write_shard(settings_for(tmp_path / "at once", output_format), table, samples)
    assert stored(tmp_path, output_format) == stored(tmp_path / "at once", output_format)


def test_a_success_can_be_taken_again_and_fail(tmp_path: Path, output_format: str) -> None:
    settings, table = settings_for(tmp_path, output_format), input_table(10)
    old = write_shard(settings, table)
    before = stored(tmp_path, output_format)
    take_again(settings, table, old, [failure(settings, 0), failure(settings, 3)])
    assert stored(tmp_path, output_format) == {
        key: sample for key, sample in before.items() if key not in (old[0].key, old[3].key)
    }


@pytest.mark.parametrize("output_format", ["files", "webdataset", "parquet"])
def test_a_shard_of_1_47_is_taken_over_as_it_is(tmp_path: Path, output_format: str) -> None:
    settings = settings_for(tmp_path, output_format)
    table = input_table(10, nothing=pa.nulls(10))
    answers = usual_samples(settings, table)
    samples = [
        Sample(s.index, s.key, s.image, s.extension, s.caption, s.metadata | {"exif": None}) for s in answers
    ]
    write_as_1_47(tmp_path, settings, samples, table)
    old_metadata = pq.read_table(tmp_path / "00000.parquet")
    assert old_metadata["exif"].type == pa.null()
    assert old_metadata["width"].type == pa.int64()
    assert old_metadata["key"].to_pylist() != sorted(old_metadata["key"].to_pylist())
    before = stored(tmp_path, output_format)
    new = take_again(settings, table, sorted(samples, key=lambda sample: sample.index))
    after = stored(tmp_path, output_format)
    assert before.items() <= after.items()
    assert len(after) == len(before) + 2
    read = metadata_of(tmp_path)
    assert read.to_pylist() == [
        row | sample.metadata for row, sample in zip(table.to_pylist(), new, strict=True)
    ]
    assert read["exif"].type == pa.string()
    assert read["width"].type == pa.int32()


def test_a_column_that_had_no_value_takes_the_type_of_the_list(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, "webdataset")
    without = input_table(10, taken_at=pa.nulls(10))
    old = write_shard(settings, without)
    take_again(settings, input_table(10, taken_at=pa.nulls(10, pa.timestamp("us"))), old)
    assert metadata_of(tmp_path)["taken_at"].type == pa.timestamp("us")
    take_again(settings, without, old)
    assert metadata_of(tmp_path)["taken_at"].type == pa.timestamp("us")


def test_kept_rows_have_the_values_of_the_old_metadata_not_those_of_the_list(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, "webdataset")
    table = input_table(10, tags=[[f"old {index}"] for index in range(10)])
    old = write_shard(settings, table)
    take_again(settings, input_table(10, tags=[[f"new {index}"] for index in range(10)]), old)
    retaken = {*WON, LOST}
    assert metadata_of(tmp_path)["tags"].to_pylist() == [
        [f"new {index}" if index in retaken else f"old {index}"] for index in range(10)
    ]


@pytest.mark.parametrize("output_format", ["files", "webdataset", "tfrecord"])
def test_data_of_a_sample_that_the_metadata_call_no_success_are_not_copied(
    tmp_path: Path, output_format: str
) -> None:
    if output_format == "tfrecord":
        pytest.importorskip("google_crc32c")
    table = input_table(10)
    settings = settings_for(tmp_path / "out", output_format)
    ahead = [success(settings, table, index) for index in range(10)]
    write_shard(settings, table, ahead)
    behind = write_shard(settings_for(tmp_path / "behind", output_format), table)
    for name in ("00000.parquet", "00000_stats.json"):
        shutil.copy(tmp_path / "behind" / name, tmp_path / "out" / name)
    (tmp_path / "out/00000").mkdir(exist_ok=True)
    (tmp_path / "out/00000/notes.txt").write_text("of somebody")
    new = take_again(settings, table, behind)
    wanted = {sample.key for sample in new if sample.image is not None}
    assert set(stored(tmp_path / "out", output_format)) - {"notes"} == wanted
    assert (tmp_path / "out/00000/notes.txt").exists()


def test_an_original_keeps_its_own_ending(tmp_path: Path) -> None:
    for output_format in ("files", "webdataset"):
        settings, table = settings_for(tmp_path / output_format, output_format), input_table(2)
        plain = success(settings, table, 0, width=None, height=None)
        original = Sample(0, plain.key, b"", "gif", plain.caption, plain.metadata)
        old = write_shard(settings, table, [original, failure(settings, 1)])
        take_again(settings, table, old, [success(settings, table, 1)])
        files = stored(tmp_path / output_format, output_format)[plain.key]
        assert isinstance(files, dict)
        assert set(files) == {".gif", ".json", ".txt"}


def test_images_that_hugging_face_reads_stay_such(tmp_path: Path) -> None:
    settings, table = settings_for(tmp_path, "parquet", hugging_face_images=True), input_table(10)
    old = write_shard(settings, table)
    before = stored(tmp_path, "parquet")
    take_again(settings, table, old)
    assert before.items() <= stored(tmp_path, "parquet").items()
    plain = settings_for(tmp_path, "parquet")
    with pytest.raises(OutputError, match=r"00000 is broken: it has no column jpg of type binary"):
        begin_again(plain, table, old)


def test_without_captions_none_are_asked_for(tmp_path: Path, output_format: str) -> None:
    settings = settings_for(tmp_path, output_format, save_captions=False)
    table = input_table(10).select(["url"])
    take_again(settings, table, write_shard(settings, table))
    assert len(stored(tmp_path, output_format)) == 9


def test_a_shard_without_statistics_is_not_done(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, "webdataset")
    write_shard(settings)
    (tmp_path / "00000_stats.json").unlink()
    assert open_finished_shard(settings, 0) is None
    assert open_finished_shard(settings, 17) is None


def test_a_shard_done_under_a_name_of_other_digits_is_an_error(tmp_path: Path) -> None:
    write_shard(settings_for(tmp_path, "webdataset", shard_digits=3))
    with pytest.raises(OutputError, match=r"shard 0 is done as 000_stats\.json.*--oom_shard_count 3"):
        open_finished_shard(settings_for(tmp_path, "webdataset"), 0)


def test_statistics_are_those_that_stand(tmp_path: Path, output_format: str) -> None:
    settings, table = settings_for(tmp_path, output_format), input_table(10)
    old = write_shard(settings, table)
    before = open_finished_shard(settings, 0)
    take_again(settings, table, old)
    after = open_finished_shard(settings, 0)
    assert before is not None
    assert after is not None
    assert [shard.statistics["successes"] for shard in (before, after)] == [7, 9]


def cut(folder: Path, name: str, count: int) -> None:
    contents = (folder / name).read_bytes()
    (folder / name).write_bytes(contents[:count] if count >= 0 else contents[: len(contents) + count])


@pytest.mark.parametrize(
    ("output_format", "name"),
    [("webdataset", "00000.tar"), ("tfrecord", "00000.tfrecord"), ("parquet", "00000.parquet")],
)
@pytest.mark.parametrize("count", [0, 100, 700, 2000, 5000])
def test_a_data_file_that_is_cut_short_is_an_error_and_stays_as_it_is(
    tmp_path: Path, output_format: str, name: str, count: int
) -> None:
    if output_format == "tfrecord":
        pytest.importorskip("google_crc32c")
    settings, table = settings_for(tmp_path, output_format), input_table(10)
    old = write_shard(settings, table)
    cut(tmp_path, name, count)
    before = snapshot(tmp_path)
    with pytest.raises(
        OutputError, match=r"shard 00000 is broken: .*remove 00000_stats\.json to have the shard made again"
    ):
        begin_again(settings, table, old)
    visible_now = {path: data for path, data in snapshot(tmp_path).items() if not path.startswith(".tmp")}
    assert visible_now == {path: data for path, data in before.items() if not path.startswith(".tmp")}


@pytest.mark.parametrize(
    ("output_format", "name", "position"),
    [("webdataset", "00000.tar", 5), ("tfrecord", "00000.tfrecord", 3), ("tfrecord", "00000.tfrecord", 300)],
)
def test_a_flipped_bit_where_there_are_checksums_is_an_error(
    tmp_path: Path, output_format: str, name: str, position: int
) -> None:
    if output_format == "tfrecord":
        pytest.importorskip("google_crc32c")
    settings, table = settings_for(tmp_path, output_format), input_table(10)
    old = write_shard(settings, table)
    contents = bytearray((tmp_path / name).read_bytes())
    contents[position] ^= 1
    (tmp_path / name).write_bytes(contents)
    with pytest.raises(OutputError, match=r"shard 00000 is broken: .* is broken"):
        begin_again(settings, table, old)


@pytest.mark.parametrize("output_format", ["webdataset", "tfrecord", "parquet", "files"])
def test_data_that_are_gone_are_an_error(tmp_path: Path, output_format: str) -> None:
    if output_format == "tfrecord":
        pytest.importorskip("google_crc32c")
    settings, table = settings_for(tmp_path, output_format), input_table(10)
    old = write_shard(settings, table)
    name = {"webdataset": "00000.tar", "tfrecord": "00000.tfrecord", "parquet": "00000.parquet"}.get(
        output_format
    )
    if name is None:
        shutil.rmtree(tmp_path / "00000")
    else:
        (tmp_path / name).unlink()
    with pytest.raises(OutputError, match=r"shard 00000 is broken: .*00000.* is missing"):
        begin_again(settings, table, old)


@pytest.mark.parametrize("ending", ["jpg", "json", "txt"])
@pytest.mark.parametrize("emptied", [False, True])
def test_a_success_without_one_of_its_files_is_an_error(tmp_path: Path, ending: str, emptied: bool) -> None:
    settings, table = settings_for(tmp_path, "files"), input_table(10)
    old = write_shard(settings, table)
    path = tmp_path / f"00000/{old[3].key}.{ending}"
    if not emptied:
        path.unlink()
    elif ending == "txt":
        return  # an empty caption is one
    else:
        path.write_bytes(b"")
    with pytest.raises(OutputError, match=f"shard 00000 is broken: .*{old[3].key}"):
        begin_again(settings, table, old)


@pytest.mark.parametrize("output_format", ["webdataset", "tfrecord", "parquet"])
def test_a_sample_that_the_data_lack_is_named(tmp_path: Path, output_format: str) -> None:
    if output_format == "tfrecord":
        pytest.importorskip("google_crc32c")
    settings, table = settings_for(tmp_path / "out", output_format), input_table(10)
    old = write_shard(settings, table)
    fewer = [failure(settings, 3) if sample.index == 3 else sample for sample in old]
    write_shard(settings_for(tmp_path / "fewer", output_format), table, fewer)
    if output_format == "parquet":
        contents = pq.read_table(tmp_path / "fewer/00000.parquet")
        truth = pq.read_table(tmp_path / "out/00000.parquet")
        pq.write_table(
            truth.set_column(truth.num_columns - 1, "jpg", contents["jpg"]), tmp_path / "out/00000.parquet"
        )
    else:
        data = {"webdataset": "00000.tar", "tfrecord": "00000.tfrecord"}[output_format]
        shutil.copy(tmp_path / "fewer" / data, tmp_path / "out" / data)
    with pytest.raises(OutputError, match=f"{old[3].key}.* is missing"):
        begin_again(settings, table, old)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hash_column": "md5"}, "lacks md5 and also has sha256"),
        ({"hash_column": None}, "also has sha256"),
        ({"extract_exif": False}, "also has exif"),
        ({"save_captions": False}, "also has caption"),
        ({"rows_per_shard": 100}, "number_sample_per_shard"),
    ],
)
def test_metadata_of_other_options_are_an_error_that_names_the_difference(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    write_shard(settings_for(tmp_path, "webdataset"), shard_id=1)
    finished = open_finished_shard(settings_for(tmp_path, "webdataset", **changes), 1)
    assert finished is not None
    with pytest.raises(OutputError, match=message):
        _ = finished.metadata


def test_another_list_is_an_error_that_names_the_difference(tmp_path: Path) -> None:
    settings, table = settings_for(tmp_path, "webdataset"), input_table(10, score=list(range(10)))
    old = write_shard(settings, table)
    for other, message in (
        (input_table(10), "also has score"),
        (input_table(10, score=list(range(10)), place=["x"] * 10), "lacks place"),
        (input_table(9, score=list(range(9))), "has 9 rows for it and its metadata 10"),
        (input_table(10, score=[["a"]] * 10), "column score is of type int64 in its metadata"),
    ):
        finished = open_finished_shard(settings, 0)
        assert finished is not None
        writer = ShardWriter(settings, 0, other)
        with pytest.raises(OutputError, match=message):
            writer.keep(finished, [0])
        writer.discard()
    assert begin_again(settings, table, old)


def test_a_row_is_settled_once(tmp_path: Path) -> None:
    settings, table = settings_for(tmp_path, "webdataset"), input_table(10)
    old = write_shard(settings, table)
    writer, _ = begin_again(settings, table, old)
    with pytest.raises(OutputError, match="row 1 was set twice"):
        writer.write(second_tries(settings, table)[0])
    finished = open_finished_shard(settings, 0)
    assert finished is not None
    with pytest.raises(OutputError, match="row 10 of 10 does not exist"):
        writer.keep(finished, [10])


def test_rows_of_another_shard_are_refused(tmp_path: Path) -> None:
    settings, table = settings_for(tmp_path, "webdataset"), input_table(10)
    write_shard(settings, table, shard_id=1)
    finished = open_finished_shard(settings, 1)
    assert finished is not None
    with pytest.raises(OutputError, match="rows of shard 00001 cannot be kept"):
        ShardWriter(settings, 0, table).keep(finished, [0])


def test_broken_metadata_are_an_error(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, "webdataset")
    write_shard(settings)
    cut(tmp_path, "00000.parquet", -10)
    finished = open_finished_shard(settings, 0)
    assert finished is not None
    with pytest.raises(OutputError, match=r"00000\.parquet cannot be read"):
        _ = finished.metadata
    (tmp_path / "00000.parquet").unlink()
    with pytest.raises(OutputError, match=r"00000\.parquet is missing"):
        _ = finished.metadata
    cut(tmp_path, "00000_stats.json", 10)
    with pytest.raises(OutputError, match=r"00000_stats\.json cannot be read"):
        open_finished_shard(settings, 0)


def test_dummy_keeps_no_metadata_to_go_by(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, "dummy")
    write_shard(settings)
    finished = open_finished_shard(settings, 0)
    assert finished is not None
    with pytest.raises(OutputError, match="dummy keeps no metadata"):
        _ = finished.metadata


MEMORY_PROGRAM = """
import resource, sys
from tests.working.shards import *
from img2dataset.working.finished_shard import open_finished_shard
from img2dataset.working.shard_writer import ShardWriter

folder, output_format, rows, image = *sys.argv[1:3], int(sys.argv[3]), bytes(1 << 20)
settings, table = settings_for(folder, output_format, rows_per_shard=rows), input_table(rows)

def sample(index):
    small = success(settings, table, index)
    return type(small)(index, small.key, image, "jpg", small.caption, small.metadata)

def high_water():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> (20 if sys.platform == "darwin" else 10)

if not Path(folder).exists():
    samples = [failure(settings, 0), *map(sample, range(1, rows))]
    write_shard(settings, table, samples)
else:
    samples = list(map(sample, range(rows)))
    finished = open_finished_shard(settings, 0)
    finished.metadata
    writer = ShardWriter(settings, 0, table)
    before = high_water()
    writer.keep(finished, range(1, rows))
    writer.write(samples[0])
    writer.commit(statistics_of(samples))
    print(high_water() - before)
"""


@pytest.mark.parametrize(
    ("output_format", "megabytes", "limit"),
    # Format parquet has a row group of images in memory, and the page of it that is being written.
    [("webdataset", 100, 30), ("tfrecord", 100, 30), ("parquet", 300, 220)],
)
def test_a_shard_is_not_held_in_memory(
    tmp_path: Path, output_format: str, megabytes: int, limit: int
) -> None:
    if output_format == "tfrecord":
        pytest.importorskip("google_crc32c")
    arguments = [str(tmp_path / "out"), output_format, str(megabytes)]
    program = with_own_peak([sys.executable, "-c", MEMORY_PROGRAM, *arguments])
    subprocess.run(program, check=True, timeout=240)
    result = subprocess.run(program, check=True, timeout=240, capture_output=True, text=True)
    assert int(result.stdout) < limit
