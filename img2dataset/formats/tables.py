"""Parquet tables read: to their last page, and for their images.

In: a path on the local disk, or an open file. Out: record batches, or ``BrokenFile``; the column of images,
and each of them. Used by the format parquet and by ``verifying``.

Parquet has checksums of its pages, but its library writes none by default: a flipped bit in an image is found
by decoding it, one in the compressed text columns mostly by undoing the compression.
"""

from __future__ import annotations

import bisect
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from img2dataset.formats.dataset import IMAGE_NAMES
from img2dataset.formats.findings import BrokenFile

if TYPE_CHECKING:
    import pyarrow as pa

_MAGIC = b"PAR1"
_BATCH_BYTES = 32 << 20
_LARGEST_BATCH_ROWS = 2048
# Of images read at once, without the other columns.
_IMAGES_AT_ONCE_BYTES = 8 << 20
_BUFFER_BYTES = 1 << 20


def read_table(path: str) -> Iterator[pa.RecordBatch]:
    """Every batch of the file, all columns; at least one, which may be empty.

    A batch is about 32 MB, whatever the size of the images: that is all that is held at once.

    Raises:
        BrokenFile: the file is no Parquet file, or not whole.
        OSError: the disk fails; it has an ``errno``, which Arrow's complaints about contents have not.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if os.path.getsize(path) == 0:
        raise BrokenFile("is empty")
    with open(path, "rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise BrokenFile("is no Parquet file")
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as table:
            yield pa.RecordBatch.from_pylist([], schema=table.schema_arrow)
            for batch in table.iter_batches(_batch_rows(table.metadata), use_threads=False):
                batch.validate(full=True)  # text that is no UTF-8, lists that end before they begin
                yield batch
    except OSError as error:
        if error.errno is not None:
            raise
        raise BrokenFile(_one_line(error)) from error
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowKeyError, UnicodeDecodeError) as error:
        raise BrokenFile(_one_line(error)) from error


def _batch_rows(metadata: pa.parquet.FileMetaData) -> int:
    groups = [metadata.row_group(position) for position in range(metadata.num_row_groups)]
    row_bytes = max((group.total_byte_size // max(group.num_rows, 1) for group in groups), default=0)
    return max(1, min(_LARGEST_BATCH_ROWS, _BATCH_BYTES // max(row_bytes, 1)))


def _one_line(error: Exception) -> str:
    """Arrow's first line: what follows is advice for programmers."""
    return f"is broken: {str(error).strip().partition(chr(10))[0][:200]}"


def image_column(schema: pa.Schema, encode_format: str | None = None) -> str | None:
    """The column that holds the images; None in a table of metadata alone.

    It is of bytes, or of a struct of bytes and path, as Hugging Face datasets store images.

    Args:
        schema: of the table.
        encode_format: names the column, where it is known.
    """
    from pyarrow import types

    for name in (encode_format,) if encode_format else IMAGE_NAMES:
        data_type = schema.field(name).type if name in schema.names else None
        if data_type is not None and types.is_struct(data_type):
            position = data_type.get_field_index("bytes")
            data_type = data_type.field(position).type if position >= 0 else None
        if data_type is not None and (types.is_binary(data_type) or types.is_large_binary(data_type)):
            return name
    return None


def image_bytes(images: pa.Array) -> pa.Array:
    """The bytes of a column of images, whichever of the two ways it stores them."""
    from pyarrow import types

    return images.field(images.type.get_field_index("bytes")) if types.is_struct(images.type) else images


def image_bytes_in_chunks(images: pa.ChunkedArray) -> pa.ChunkedArray:
    """The same of a whole column, chunk by chunk: as one array it could not have more than 2 GiB."""
    import pyarrow as pa

    return pa.chunked_array([image_bytes(chunk) for chunk in images.chunks])


def stored_images(
    source: str | BinaryIO, column: str | None = None, column_type: pa.DataType | None = None
) -> Iterator[tuple[str, memoryview]]:
    """The key and the image of each row that has one, some 8 MB at a time.

    Args:
        source: a path, or an open file.
        column: that of the images; None: found.
        column_type: the type that it must have, if it must.

    Raises:
        ValueError: the file is not whole, or has no such column of this type.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Pages are read as they are needed, not a row group's whole column beforehand: 1.47.0 puts a shard
        # into one row group.
        with pq.ParquetFile(source, pre_buffer=False, buffer_size=_BUFFER_BYTES) as file:
            schema = file.schema_arrow
            column = column or _needed_image_column(schema)
            wanted = column_type or (schema.field(column).type if column in schema.names else None)
            if wanted is None or column not in schema.names or schema.field(column).type != wanted:
                raise ValueError(f"it has no column {column} of type {wanted}")
            _check_key_column(schema)
            for batch in file.iter_batches(_rows_at_once(file.metadata), columns=["key", column]):
                images = batch[column]
                for key, is_there, image in zip(
                    batch["key"].to_pylist(), images.is_valid(), image_bytes(images), strict=True
                ):
                    if is_there.as_py() and image.is_valid:
                        yield key, memoryview(image.as_buffer())
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"it cannot be read: {error}") from error


class TableImages:
    """The images of a table on this machine, by key; a row group is held at a time.

    Raises:
        ValueError: it has no column of images, or none of keys.
    """

    def __init__(self, path: str) -> None:
        import pyarrow.parquet as pq

        self._file = pq.ParquetFile(path, memory_map=True)
        self._column = _needed_image_column(self._file.schema_arrow)
        _check_key_column(self._file.schema_arrow)
        keys = self._file.read(columns=["key"]).column("key").to_pylist()
        self._rows = {key: row for row, key in enumerate(keys)}
        self._group = -1
        self._images: pa.ChunkedArray | None = None
        self._starts = [0]
        for group in range(self._file.num_row_groups):
            self._starts.append(self._starts[-1] + self._file.metadata.row_group(group).num_rows)

    def read(self, key: str) -> bytes | None:
        row = self._rows.get(key)
        if row is None:
            return None
        group = bisect.bisect_right(self._starts, row) - 1
        if group != self._group or self._images is None:
            images = self._row_group(group)
            self._images, self._group = image_bytes_in_chunks(images), group
        value: bytes | None = self._images[row - self._starts[group]].as_py()
        return value

    def _row_group(self, group: int) -> pa.ChunkedArray:
        """The column of images of a row group.

        Raises:
            BrokenFile: its pages are not whole.
        """
        import pyarrow as pa

        try:
            return self._file.read_row_group(group, columns=[self._column]).column(0)
        except (pa.ArrowException, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise BrokenFile(_one_line(error)) from error


def _needed_image_column(schema: pa.Schema) -> str:
    found = image_column(schema)
    if found is None:
        raise ValueError(f"it has no column of images ({', '.join(IMAGE_NAMES[:3])}); it has {schema.names}")
    return found


def _check_key_column(schema: pa.Schema) -> None:
    if schema.names.count("key") != 1:
        raise ValueError(f"it has no column of keys; it has {schema.names}")


def _rows_at_once(metadata: pa.parquet.FileMetaData) -> int:
    """Rows of which the images are some megabytes, if they make up nearly all of the file."""
    groups = (metadata.row_group(position) for position in range(metadata.num_row_groups))
    total_bytes = sum(group.total_byte_size for group in groups)
    rows: int = _IMAGES_AT_ONCE_BYTES * metadata.num_rows // max(total_bytes, 1)
    return max(1, rows)
