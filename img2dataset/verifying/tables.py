"""Parquet files, read to their last page.

In: a path on the local disk. Out: record batches, or ``BrokenFile``. Called by ``checking`` and by the check
of the parquet format.

Parquet has checksums of its pages, but its library writes none by default: a flipped bit in an image is found
by decoding it, one in the compressed text columns mostly by undoing the compression.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from img2dataset.verifying.findings import BrokenFile

if TYPE_CHECKING:
    import pyarrow as pa

_MAGIC = b"PAR1"
_BATCH_BYTES = 32 << 20
_LARGEST_BATCH_ROWS = 2048


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
