"""The tfrecord format: one file of ``tf.train.Example`` a shard, without TensorFlow."""

from __future__ import annotations

import contextlib
import mmap
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from img2dataset.formats.column_values import column_values
from img2dataset.formats.copying import copy_ranges
from img2dataset.formats.dataset import IMAGE_NAMES
from img2dataset.formats.examples import (
    bytes_feature,
    entry_name,
    example,
    feature,
    feature_entry,
    feature_of,
    read_example,
)
from img2dataset.formats.findings import Findings
from img2dataset.formats.format import (
    DataSource,
    FinishedData,
    KeptSample,
    OutputFormat,
    SampleWriter,
    StoredImages,
    StoredSample,
)
from img2dataset.formats.metadata import ShardMetadata
from img2dataset.formats.records import (
    HEAD_BYTES,
    Checksum,
    checksum_function,
    framed_record,
    record_heads,
    records,
)
from img2dataset.formats.stored_images import ImagesInFile, told_as_broken
from img2dataset.types import Sample

if TYPE_CHECKING:
    import pyarrow as pa

    from img2dataset.formats.settings import WriteSettings

_BUFFER_BYTES = 1 << 20
_KEY, _CAPTION = "key", "txt"


class Format(OutputFormat):
    """Each sample is a record: key, image, caption as ``txt``, and every metadata column."""

    name = "tfrecord"
    ending = ".tfrecord"
    repeats_short_floats = True

    def check_installed(self) -> None:
        checksum_function()

    def writer(
        self, settings: WriteSettings, folder: str, shard: str, metadata: ShardMetadata
    ) -> SampleWriter:
        return TfrecordWriter(settings, folder, shard + self.ending, metadata)

    def samples(
        self,
        source: DataSource,
        name: str,
        *,
        columns: Sequence[str],
        with_images: bool,
        findings: Findings,
    ) -> Iterator[StoredSample]:
        with source.open(name) as file, told_as_broken():
            for number, (_, _, data) in enumerate(records(file, checksum_function())):
                try:
                    features = read_example(data)
                except ValueError:
                    findings.add("no tf.train.Example in record", str(number))
                    continue
                yield _stored_sample(features, columns)

    def images(self, path: str) -> StoredImages:
        with open(path, "rb") as file, told_as_broken():
            if not os.path.getsize(path):
                return RecordImages(path, {})
            # Of the data only the pages with keys are read.
            whole = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            heads = record_heads(file, checksum_function())
            found = ((start + HEAD_BYTES, size) for start, size in heads)
            return RecordImages(path, {example_key(whole[at : at + size]): (at, size) for at, size in found})


class TfrecordWriter:
    """Writes each sample as one record.

    Raises:
        MissingDependency: the package that computes the records' checksums is not installed.
    """

    def __init__(self, settings: WriteSettings, folder: str, name: str, metadata: ShardMetadata) -> None:
        self._crc32c = checksum_function()
        self._name = name
        self._temporary_folder = folder
        self.row_failures: dict[int, str] = {}
        self._image_name = entry_name(settings.encode_format)
        self._caption_name = entry_name(_CAPTION) if settings.save_captions else None
        self._input_columns = []
        input_columns = metadata.input_columns
        for column_name, column in zip(input_columns.column_names, input_columns.columns, strict=True):
            values, failures = column_values(column, for_json=False)
            self._input_columns.append((entry_name(column_name), values))
            for index, reason in failures.items():
                self.row_failures.setdefault(index, f"{column_name}: {reason}")
        computed_names = metadata.columns[len(self._input_columns) :]
        self._computed_columns = [(entry_name(computed), computed) for computed in computed_names]
        self._file = open(os.path.join(folder, name), "wb", buffering=_BUFFER_BYTES)  # noqa: SIM115

    def write(self, sample: Sample) -> None:
        if sample.image is None:
            raise ValueError(f"sample {sample.key} has no image to write")
        image = memoryview(sample.image).cast("B")
        index, computed = sample.index, sample.metadata
        entries = [feature_entry(self._image_name, bytes_feature(image))]
        if self._caption_name is not None:
            entries.append(feature_entry(self._caption_name, feature_of(sample.caption)))
        entries += [feature_entry(name, feature_of(values[index])) for name, values in self._input_columns]
        entries += [feature_entry(name, feature_of(computed[key])) for name, key in self._computed_columns]
        self._file.write(framed_record(example(entries), self._crc32c))

    def keep(self, finished: FinishedData, samples: Mapping[str, KeptSample]) -> None:
        with finished.local_data(self._temporary_folder, self._name) as path, open(path, "rb") as old:
            copy_ranges(old, self._file, record_ranges(old, samples.keys(), self._crc32c))

    def finish(self, metadata: pa.Table) -> None:
        self._file.close()

    def abandon(self) -> None:
        with contextlib.suppress(OSError):  # closing also writes what is left in the buffer
            self._file.close()


class RecordImages:
    """The images of a file of records on this machine.

    Args:
        path: of the file.
        ranges: where the data of each key's record begin, and their size in bytes.
    """

    def __init__(self, path: str, ranges: Mapping[str, tuple[int, int]]) -> None:
        self._records = ImagesInFile(path, ranges)

    def read(self, key: str) -> bytes | None:
        data = self._records.read(key)
        if data is None:
            return None
        for name in IMAGE_NAMES:
            with told_as_broken():
                image = feature(data, name.encode())
            if isinstance(image, memoryview):
                return bytes(image)
        return None


def record_ranges(file: BinaryIO, keys: Collection[str], crc32c: Checksum) -> list[tuple[int, int]]:
    """The ranges of a tfrecord file that hold these samples, in its order, neighbours as one.

    Args:
        file: open for reading.
        keys: of the wanted samples.
        crc32c: the checksum function (Castagnoli).

    Raises:
        ValueError: the file is not whole, or does not hold each of these samples once.
    """
    ranges: list[tuple[int, int]] = []
    missing = set(keys)
    for start, end, data in records(file, crc32c):
        key = example_key(data)
        if key not in keys:
            continue
        if key not in missing:
            raise ValueError(f"it holds {key} twice")
        missing.discard(key)
        if ranges and ranges[-1][1] == start:
            ranges[-1] = (ranges[-1][0], end)
        else:
            ranges.append((start, end))
    if missing:
        raise ValueError(f"the sample {min(missing)} is missing")
    return ranges


def example_key(data: bytes | memoryview) -> str:
    """The value of the feature ``key`` of a ``tf.train.Example``.

    Raises:
        ValueError: it has none, or is no such message.
    """
    try:
        key = feature(data, _KEY.encode())
    except ValueError as error:
        raise ValueError("a record is no tf.train.Example") from error
    if not isinstance(key, memoryview):
        raise ValueError("a record has no feature named key")
    return str(key, "utf-8")


def _stored_sample(features: dict[str, Any], columns: Sequence[str]) -> StoredSample:
    """The feature that is no column, nor the caption, is the image; of several, one that is named so.

    Without columns all features may be the image: it is the likeliest, as in ``RecordImages``.
    """
    images = [name for name in features if name != _CAPTION and name not in columns]
    if len(images) > 1:
        images = [name for name in IMAGE_NAMES if name in images]
    if not columns:
        images = [name for name in images if isinstance(features[name], memoryview)][:1]
    found = features[images[0]] if len(images) == 1 else None
    image = found if isinstance(found, memoryview) else None
    key, caption = features.get(_KEY), features.get(_CAPTION)
    repeated = {name: _as_text(features.get(name)) for name in columns}
    return StoredSample(
        key=(_as_text(key) if isinstance(key, memoryview) else None) or "without a key",
        image_bytes=None if image is None else len(image),
        image=image,
        caption=bytes(caption) if isinstance(caption, memoryview) else None,
        repeated=repeated,
    )


def _as_text(value: Any) -> Any:
    """A byte string as text; None is stored as an empty one."""
    return str(value, "utf-8", "replace") or None if isinstance(value, memoryview) else value
