"""A source that can be read once → one that can be read again, through a temporary Arrow file.

Rows go to the file as they are first asked for, so the first shard waits for nothing.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pyarrow as pa

from img2dataset.errors import InputError
from img2dataset.failures import Failure, of_text
from img2dataset.reading.rows import BuiltRows, PendingRows, RowSource

_REASON = "__invalid_url__"


class SpooledRows:
    def __init__(self, rows: BuiltRows) -> None:
        self.rows = rows

    @property
    def count(self) -> int:
        return int(self.rows.table.num_rows)

    def build(self, start: int, stop: int) -> BuiltRows:
        return BuiltRows(
            self.rows.table.slice(start, stop - start),
            {
                index - start: reason
                for index, reason in self.rows.invalid_urls.items()
                if start <= index < stop
            },
        )


class SpooledSource:
    """``source`` read once, its built rows kept on disk; the file goes when this object does."""

    def __init__(self, source: RowSource) -> None:
        self._source = source.pending()
        self._path: str | None = None
        self._writer: Any = None
        self._batches = 0
        self._ended = False
        self._rows = 0

    def row_count(self) -> int | None:
        return self._rows if self._ended else None

    def pending(self) -> Iterator[PendingRows]:
        position = 0
        while True:
            # Another pass may have added rows since the last look.
            if position < self._batches:
                for batch in self._spooled(position):
                    position += 1
                    yield SpooledRows(_unpacked(pa.Table.from_batches([batch])))
                continue
            built = self._advance()
            if built is None:
                return
            position = self._batches
            yield SpooledRows(built)

    def _advance(self) -> BuiltRows | None:
        """Take the source's next rows into the file; None at its end."""
        if self._ended:
            return None
        try:
            rows = next(self._source, None)
        except InputError:
            raise
        except Exception as error:  # the user's iterator
            raise InputError(f"url_list: the iterator failed: {type(error).__name__}: {error}") from error
        if rows is None:
            self._ended = True
            return None
        built = rows.build(0, rows.count)
        packed = _packed(built)
        if self._writer is None:
            handle, self._path = tempfile.mkstemp(prefix="img2dataset-list-", suffix=".arrow")
            os.close(handle)
            weakref.finalize(self, _remove, self._path)
            self._writer = pa.ipc.new_stream(pa.OSFile(self._path, "wb"), packed.schema)
        for batch in packed.to_batches():
            self._writer.write_batch(batch)
            self._batches += 1
        self._rows += rows.count
        return built

    def _spooled(self, position: int) -> Iterator[Any]:
        known = self._batches
        with pa.ipc.open_stream(pa.OSFile(self._path, "rb")) as reader:
            for number in range(known):
                batch = reader.read_next_batch()
                if number >= position:
                    yield batch


def _packed(rows: BuiltRows) -> pa.Table:
    reasons = pa.array([rows.invalid_urls.get(index) for index in range(rows.table.num_rows)], pa.string())
    return rows.table.append_column(_REASON, reasons)


def _unpacked(table: pa.Table) -> BuiltRows:
    reasons = table.column(_REASON)
    invalid_urls: dict[int, Failure] = {}
    if reasons.null_count < len(reasons):
        invalid_urls = {
            index: of_text(reason) for index, reason in enumerate(reasons.to_pylist()) if reason is not None
        }
    return BuiltRows(table.drop_columns([_REASON]), invalid_urls)


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)
