"""A shard's metadata file in the output → the URLs of its successes, batch by batch.

Only two columns are read: with ``output_format="parquet"`` the same files hold the images. Called by
``KnownUrls``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from img2dataset.errors import InputError
from img2dataset.reading.columnar import MAX_BATCH_ROWS, ParquetSource
from img2dataset.reading.columns import SelectedColumn, text_array
from img2dataset.reading.files import ListFile, file_system_of, one_line
from img2dataset.types import SUCCESS

# The usual 5 MiB that a store's file reads ahead would be a third of every row group with images.
READ_AHEAD_BYTES = 1 << 20

_COLUMNS = tuple(SelectedColumn(name, name, "metadata of a shard") for name in ("url", "status"))


class MetadataFile(ListFile):
    """One file of the output, opened to read little of it."""

    def open(self) -> BinaryIO:
        if self._local:
            return super().open()
        try:
            opened: BinaryIO = self._file_system.open(self.name, "rb", block_size=READ_AHEAD_BYTES)
            return opened
        except Exception as error:  # every store has its own errors
            raise InputError(f"{self.path} cannot be opened: {one_line(error)}") from error


def is_local(path: str) -> bool:
    return "://" not in path or path.startswith("file://")


def successful_urls(path: str) -> Iterator[Any]:
    """URLs of the rows with status ``success``, as chunked Arrow arrays of strings without nulls.

    Raises:
        InputError: the file cannot be read, or is no metadata; the message names it and the way out.
        MissingDependency: the file system needs a package that is not installed.
    """
    try:
        file_system, name = file_system_of(path)
        source = ParquetSource(MetadataFile(file_system, name, path, {}), _COLUMNS)
        for rows in source.pending():
            for start in range(0, rows.count, MAX_BATCH_ROWS):
                table = rows.build(start, min(start + MAX_BATCH_ROWS, rows.count)).table
                yield _successes(table)
    except (InputError, OSError, pa.ArrowException) as error:
        reason = str(error) if isinstance(error, InputError) else f"{path} cannot be read: {one_line(error)}"
        raise InputError(
            f"the URLs that the output already has cannot be told: {reason}; img2dataset verify finds"
            " damaged shards, and with --remove takes them out, so that their URLs are new again"
        ) from error


def _successes(table: pa.Table) -> Any:
    status = text_array(table.column("status"))
    if status is None:
        raise InputError(f"its column status holds {table.column('status').type}, not text")
    # A null status is no success: filter leaves it out.
    return table.column("url").filter(pc.equal(status, SUCCESS)).drop_null()
