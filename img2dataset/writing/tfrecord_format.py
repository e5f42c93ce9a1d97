"""The tfrecord format: one file of ``tf.train.Example`` a shard, without TensorFlow.

In: successful samples. Out: ``00000.tfrecord``. Called by ``ShardWriter`` through ``SampleWriter``.
"""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from img2dataset.errors import MissingDependency
from img2dataset.installation import install_extra
from img2dataset.types import Sample
from img2dataset.writing.column_values import column_values
from img2dataset.writing.example_proto import (
    bytes_feature,
    entry_name,
    example,
    feature_entry,
    feature_of,
    framed_record,
)
from img2dataset.writing.finished_shard import FinishedShard, KeptSample
from img2dataset.writing.metadata import ShardMetadata
from img2dataset.writing.settings import WriteSettings
from img2dataset.writing.stretches import copy_stretches
from img2dataset.writing.tfrecord_reading import record_stretches

if TYPE_CHECKING:
    import pyarrow as pa

_BUFFER_BYTES = 1 << 20


class TfrecordWriter:
    """Writes each sample as one record: key, image, caption as ``txt``, and every metadata column.

    Raises:
        MissingDependency: the package that computes the records' checksums is not installed.
    """

    holds_metadata = False

    def __init__(self, settings: WriteSettings, folder: str, shard: str, metadata: ShardMetadata) -> None:
        self._crc32c = checksum_function()
        self.output_name = f"{shard}.tfrecord"
        self._temporary_folder = folder
        self.row_failures: dict[int, str] = {}
        self._image_name = entry_name(settings.encode_format)
        self._caption_name = entry_name("txt") if settings.save_captions else None
        self._input_columns = []
        input_columns = metadata.input_columns
        for name, column in zip(input_columns.column_names, input_columns.columns, strict=True):
            values, failures = column_values(column, for_json=False)
            self._input_columns.append((entry_name(name), values))
            for index, reason in failures.items():
                self.row_failures.setdefault(index, f"{name}: {reason}")
        computed_names = metadata.columns[len(self._input_columns) :]
        self._computed_columns = [(entry_name(name), name) for name in computed_names]
        self._file = open(os.path.join(folder, self.output_name), "wb", buffering=_BUFFER_BYTES)  # noqa: SIM115

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

    def keep(self, finished: FinishedShard, samples: Mapping[str, KeptSample]) -> None:
        with finished.local_data(self._temporary_folder, self.output_name) as path, open(path, "rb") as old:
            copy_stretches(old, self._file, record_stretches(old, samples.keys(), self._crc32c))

    def finish(self, metadata: pa.Table) -> None:
        self._file.close()

    def abandon(self) -> None:
        with contextlib.suppress(OSError):  # closing also writes what is left in the buffer
            self._file.close()


def checksum_function() -> Callable[[bytes], int]:
    """The crc32c of Google's own small package: 20 KB take it 1 µs, and plain Python 900."""
    try:
        checksum: Callable[[bytes], int] = importlib.import_module("google_crc32c").value
    except ImportError as error:
        raise MissingDependency(
            "output_format tfrecord needs the package google-crc32c: "
            f"{install_extra('tfrecord')}, or choose another output_format"
        ) from error
    return checksum
