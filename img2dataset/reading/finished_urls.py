"""A shard's metadata file in the output → the URLs of its rows, batch by batch.

Two columns are read, the second to tell metadata from other tables: with ``output_format="parquet"`` the
same files hold the images. Called by ``KnownUrls``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa

from img2dataset.errors import InputError, one_line
from img2dataset.reading.columns import SelectedColumn, text_array
from img2dataset.reading.files import ListFile
from img2dataset.reading.formats.parquet import ParquetSource
from img2dataset.reading.row_groups import MAX_BATCH_ROWS
from img2dataset.storage.locations import locate

# The usual 5 MiB that a store's file reads ahead would be a third of every row group with images.
READ_AHEAD_BYTES = 1 << 20

_COLUMNS = tuple(SelectedColumn(name, name, "metadata of a shard") for name in ("url", "status"))


class MetadataFile(ListFile):
    """One file of the output, opened to read little of it."""

    @classmethod
    def at(cls, path: str) -> MetadataFile:
        """The file of this path.

        Raises:
            InputError: it cannot be opened.
            MissingDependency: its file system needs a package that is not installed.
        """
        location = locate(path, "the metadata", InputError)
        return cls(location.file_system, location.path, path, {})

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


def finished_urls(path: str) -> Iterator[Any]:
    """URLs of all rows, failures too, as chunked Arrow arrays of strings; null for a row without one.

    Raises:
        InputError: the file cannot be read, or is no metadata; the message names it and the way out.
        MissingDependency: the file system needs a package that is not installed.
    """
    try:
        source = ParquetSource(MetadataFile.at(path), _COLUMNS)
        for rows in source.pending():
            for start in range(0, rows.count, MAX_BATCH_ROWS):
                table = rows.build(start, min(start + MAX_BATCH_ROWS, rows.count)).table
                status = table.column("status")
                if text_array(status) is None:
                    raise InputError(f"its column status holds {status.type}, not text")
                yield table.column("url")
    except (InputError, OSError, pa.ArrowException) as error:
        reason = str(error) if isinstance(error, InputError) else f"{path} cannot be read: {one_line(error)}"
        raise InputError(
            f"the URLs that the output already has cannot be told: {reason}; img2dataset verify finds"
            " damaged shards, and with --remove takes them out, so that their URLs are new again"
        ) from error
