"""Taking the failed rows of a finished shard again, in tests: one call from an old shard to a new one."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from img2dataset.formats.records import records
from img2dataset.formats.settings import WriteSettings
from img2dataset.formats.tfrecord import example_key
from img2dataset.types import Sample
from img2dataset.working.finished_shard import open_finished_shard
from img2dataset.working.shard_writer import ShardWriter
from tests.working.shards import failure, statistics_of, success

FORMATS = ["files", "webdataset", "parquet", "tfrecord"]
# Of the rows that ``usual_samples`` lets fail, these two succeed the second time, and the third fails anew.
WON, LOST = (1, 4), 7


def second_tries(settings: WriteSettings, table: pa.Table, shard_id: int = 0) -> list[Sample]:
    """The samples of the rows that are retried."""
    won = [success(settings, table, index, shard_id) for index in WON]
    return [*won, failure(settings, LOST, "timeout: total", shard_id=shard_id)]


def take_again(
    settings: WriteSettings,
    table: pa.Table,
    old: list[Sample],
    retaken: list[Sample] | None = None,
    shard_id: int = 0,
) -> list[Sample]:
    """Replace the finished shard by one with these rows retried; returns all samples, by row."""
    writer, new = begin_again(settings, table, old, retaken, shard_id)
    writer.commit(statistics_of(new, shard_id))
    return new


def begin_again(
    settings: WriteSettings,
    table: pa.Table,
    old: list[Sample],
    retaken: list[Sample] | None = None,
    shard_id: int = 0,
) -> tuple[ShardWriter, list[Sample]]:
    """The same up to the commit."""
    retaken = second_tries(settings, table, shard_id) if retaken is None else retaken
    samples = {sample.index: sample for sample in old} | {sample.index: sample for sample in retaken}
    finished = open_finished_shard(settings, shard_id)
    assert finished is not None
    writer = ShardWriter(settings, shard_id, table)
    # Some rows before those that are kept and some after: a worker may do either.
    for sample in retaken[:1]:
        writer.write(sample)
    writer.keep(finished, sorted(set(samples) - {sample.index for sample in retaken}))
    for sample in retaken[1:]:
        writer.write(sample)
    return writer, [samples[index] for index in sorted(samples)]


def stored(folder: Path, output_format: str) -> dict[str, object]:
    """What a shard holds of each sample, by key: the bytes of its files, its record, its image."""
    if output_format == "files":
        samples: dict[str, object] = {}
        for path in sorted((folder / "00000").iterdir()):
            of_key = samples.setdefault(path.stem, {})
            assert isinstance(of_key, dict)
            of_key[path.suffix] = path.read_bytes()
        return samples
    if output_format == "webdataset":
        return dict(samples_of_tar((folder / "00000.tar").read_bytes()))
    if output_format == "tfrecord":
        with open(folder / "00000.tfrecord", "rb") as file:
            return {example_key(data): data for _, _, data in records(file, checksum)}
    table = pq.read_table(folder / "00000.parquet")
    return {
        key: image
        for key, image in zip(table["key"].to_pylist(), table["jpg"].to_pylist(), strict=True)
        if image is not None
    }


def samples_of_tar(contents: bytes) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Key and files of each sample; the members of a sample must follow each other."""
    key, files = "", dict[str, bytes]()
    seen = set()
    with tarfile.open(fileobj=io.BytesIO(contents)) as archive:
        for member in archive:
            file = archive.extractfile(member)
            assert file is not None
            if member.name.partition(".")[0] != key:
                if files:
                    yield key, files
                key, files = member.name.partition(".")[0], {}
                assert key not in seen
                seen.add(key)
            files[f".{member.name.partition('.')[2]}"] = file.read()
    if files:
        yield key, files


def checksum(data: bytes) -> int:
    import google_crc32c

    value: int = google_crc32c.value(data)
    return value


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file under the output folder, by its path in it; empty folders by their name with a slash.

    But for the folder of all runs' temporary files, when there are none: a run's first act is to make it.
    """
    contents = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.is_file():
            contents[name] = path.read_bytes()
        elif not any(path.iterdir()) and name != ".tmp":
            contents[f"{name}/"] = b""
    return contents


def write_as_1_47(folder: Path, settings: WriteSettings, samples: list[Sample], table: pa.Table) -> None:
    """A shard as 1.47.0 leaves it: rows in the order of the answers, pax headers, columns without a type."""
    rows = table.to_pylist()
    metadata = [rows[sample.index] | sample.metadata for sample in samples]
    columns = {name: [row[name] for row in metadata] for name in metadata[0]}
    arrays = {
        name: pa.array(values, pa.int64()) if "width" in name or "height" in name else pa.array(values)
        for name, values in columns.items()
    }
    folder.mkdir(exist_ok=True)
    if settings.output_format == "parquet":
        arrays["jpg"] = pa.array([sample.image for sample in samples], pa.binary())
    pq.write_table(pa.table(arrays), folder / "00000.parquet")
    good = [(sample, row) for sample, row in zip(samples, metadata, strict=True) if sample.image is not None]
    if settings.output_format == "files":
        (folder / "00000").mkdir()
        for sample, row in good:
            for name, contents in files_of(sample, row).items():
                (folder / "00000" / name).write_bytes(contents)
    if settings.output_format == "webdataset":
        with tarfile.open(folder / "00000.tar", "w|", format=tarfile.PAX_FORMAT) as archive:
            for sample, row in good:
                for name, contents in files_of(sample, row).items():
                    member = tarfile.TarInfo(name)
                    member.size, member.mode = len(contents), 0o444
                    member.mtime, member.uname, member.gname = 1695228391.812984, "bigdata", "bigdata"
                    archive.addfile(member, io.BytesIO(contents))
    statistics = statistics_of(samples).as_json()
    (folder / "00000_stats.json").write_text(json.dumps(statistics, indent=4))


def files_of(sample: Sample, row: dict[str, object]) -> dict[str, bytes]:
    return {
        f"{sample.key}.jpg": bytes(sample.image or b""),
        f"{sample.key}.json": json.dumps(row, indent=4).encode(),
        f"{sample.key}.txt": (sample.caption or "").encode(),
    }
