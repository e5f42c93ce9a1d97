"""The parquet format: one table a shard, the metadata of all rows and a column of images.

Rows are in the order of their keys, with null images for rows that failed. Images are appended to a spool
file as they come, and the table is made from it when the shard is complete. So an open shard holds no image
in memory, one row group at a time is all that a commit holds, and the rows are in order whatever the servers
did.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from img2dataset.formats.dataset import METADATA_ENDING
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
from img2dataset.formats.stored_images import told_as_broken
from img2dataset.formats.tables import TableImages, image_column, stored_images
from img2dataset.types import Sample

if TYPE_CHECKING:
    import pyarrow as pa

    from img2dataset.formats.settings import WriteSettings

# Large enough that a reader's per-group cost vanishes and DuckDB, polars or a data loader gets a few
# groups of a usual shard to spread over its cores (10000 rows of 20 KB: seven); small enough that reading
# or writing one stays well within a worker's memory.
_ROW_GROUP_BYTES = 32 << 20
# A page ends when it is full, but that is looked at only once a batch: at the library's 1024 values a page
# of images grows to 20 MB and the commit takes 60 MB more.
_VALUES_A_PAGE = 64
_BUFFER_BYTES = 1 << 20


class Format(OutputFormat):
    """The table of metadata holds the images too, in a column that ``encode_format`` names."""

    name = "parquet"
    ending = METADATA_ENDING
    holds_metadata = True

    def writer(
        self, settings: WriteSettings, folder: str, shard: str, metadata: ShardMetadata
    ) -> SampleWriter:
        return ParquetImageWriter(settings, folder, shard + self.ending, metadata)

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
            for key, image in stored_images(file):
                yield StoredSample(key, image.nbytes, image if with_images else None, None, {})

    def images(self, path: str) -> StoredImages:
        with told_as_broken():
            return TableImages(path)

    def image_column(self, schema: pa.Schema, encode_format: str | None = None) -> str | None:
        return image_column(schema, encode_format)


class ParquetImageWriter:
    """Collects a shard's images on disk and makes the table of them when the shard is complete."""

    def __init__(self, settings: WriteSettings, folder: str, name: str, metadata: ShardMetadata) -> None:
        self._name = name
        self.row_failures: dict[int, str] = {}
        self._image_column = settings.encode_format
        self._hugging_face_images = settings.hugging_face_images
        self._temporary_folder = folder
        self._path = os.path.join(folder, name)
        self._spool_path = self._path + ".images"
        # Where each row's image lies in the spool: (start, end), None without an image.
        self._ranges: list[tuple[int, int] | None] = [None] * metadata.row_count
        self._spooled = 0
        self._spool = open(self._spool_path, "w+b", buffering=_BUFFER_BYTES)  # noqa: SIM115

    def write(self, sample: Sample) -> None:
        if sample.image is None:
            raise ValueError(f"sample {sample.key} has no image to write")
        self._append(sample.index, memoryview(sample.image))

    def _append(self, index: int, image: memoryview) -> None:
        self._spool.write(image)
        self._ranges[index] = (self._spooled, self._spooled + image.nbytes)
        self._spooled += image.nbytes

    def keep(self, finished: FinishedData, samples: Mapping[str, KeptSample]) -> None:
        missing = set(samples)
        with finished.local_data(self._temporary_folder, self._name) as path:
            for key, image in stored_images(path, self._image_column, self._image_type()):
                if key in missing:
                    if not image.nbytes and samples[key].was_decoded:
                        raise ValueError(f"the image of {key} is empty")
                    self._append(samples[key].index, image)
                    missing.discard(key)
        if missing:
            raise ValueError(f"the image of {min(missing)} is missing")

    def finish(self, metadata: pa.Table) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._spool.flush()
        schema = metadata.schema.append(pa.field(self._image_column, self._image_type()))
        schema = schema.with_metadata({"huggingface": _image_feature(self._image_column)})
        # Images are compressed already, never repeat, and have no meaningful smallest and largest.
        metadata_leaves = _leaf_columns(metadata.schema)
        with pq.ParquetWriter(
            self._path,
            schema,
            compression=dict.fromkeys(metadata_leaves, "snappy"),
            use_dictionary=metadata_leaves,
            write_statistics=metadata_leaves,
            write_batch_size=_VALUES_A_PAGE,
        ) as writer:
            for start, end in self._row_groups():
                images = self._image_column_of(self._read_images(self._ranges[start:end]))
                arrays = [*metadata.slice(start, end - start).columns, images]
                writer.write_table(pa.Table.from_arrays(arrays, schema=schema), row_group_size=end - start)
                del images, arrays  # or two row groups would be in memory while the next one is read
        self._spool.close()
        os.unlink(self._spool_path)

    def abandon(self) -> None:
        with contextlib.suppress(OSError):
            self._spool.close()

    def _image_type(self) -> pa.DataType:
        import pyarrow as pa

        if self._hugging_face_images:
            return pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])
        return pa.binary()

    def _image_column_of(self, images: pa.Array) -> pa.Array:
        import pyarrow as pa

        if not self._hugging_face_images:
            return images
        paths = pa.nulls(len(images), pa.string())
        fields = list(self._image_type())
        return pa.StructArray.from_arrays([images, paths], fields=fields, mask=images.is_null())

    def _row_groups(self) -> list[tuple[int, int]]:
        """The first row of each row group, and the row after its last."""
        groups, start, group_bytes = [], 0, 0
        for index, found in enumerate(self._ranges):
            image_bytes = found[1] - found[0] if found else 0
            if group_bytes + image_bytes > _ROW_GROUP_BYTES and index > start:
                groups.append((start, index))
                start, group_bytes = index, 0
            group_bytes += image_bytes
        groups.append((start, len(self._ranges)))
        return groups

    def _read_images(self, ranges: list[tuple[int, int] | None]) -> pa.Array:
        """The images of a row group as an Arrow array, each read from the spool to where it belongs.

        Made of its buffers: Python bytes on the way would take three times the memory and the time.
        """
        import pyarrow as pa

        offsets = array("i", [0])
        validity = bytearray((len(ranges) + 7) // 8)
        for row, found in enumerate(ranges):
            offsets.append(offsets[-1] + (found[1] - found[0] if found else 0))
            if found:
                validity[row // 8] |= 1 << row % 8
        contents = pa.allocate_buffer(offsets[-1])
        free = memoryview(contents)
        for row, found in enumerate(ranges):
            if found:
                read_fully(self._spool.fileno(), free[offsets[row] : offsets[row + 1]], found[0])
        buffers = [pa.py_buffer(validity), pa.py_buffer(offsets), contents]
        return pa.Array.from_buffers(pa.binary(), len(ranges), buffers)


def read_fully(descriptor: int, buffer: memoryview, start: int) -> None:
    """Fill ``buffer`` from the file, from ``start`` on."""
    while buffer:
        count = os.preadv(descriptor, [buffer], start)
        if count == 0:
            raise OSError("the spool of images ends early: something has cut it")
        buffer, start = buffer[count:], start + count


def _leaf_columns(schema: pa.Schema) -> list[str]:
    """The paths that Parquet gives the columns; a nested one has several, and its library asks for each."""
    import pyarrow.parquet as pq

    empty = io.BytesIO()
    pq.ParquetWriter(empty, schema).close()
    parquet_schema = pq.ParquetFile(empty).schema
    return [parquet_schema.column(position).path for position in range(len(parquet_schema))]


def _image_feature(image_column: str) -> str:
    """The note in the schema that says to Hugging Face datasets what the column is.

    Its features are under ``info.features`` of the key ``huggingface``; those not named it derives from
    the column types. The library (5.2) heeds the note only where the column has the type that it stores
    images as itself (``hugging_face_images``); a plain binary column is shown as images after
    ``dataset.cast_column("jpg", Image())``.
    """
    return json.dumps({"info": {"features": {image_column: {"_type": "Image"}}}})
