"""The rows of a folder, each in a few bytes, so that two folders can be held against each other.

In: a folder. Out: arrays, a number for each row. Rows are known again by a 64-bit hash of their URL or key.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from img2dataset.errors import OutputError, one_line
from img2dataset.formats.dataset import metadata_name
from img2dataset.reporting.report.columns import HASH_COLUMNS, texts_of
from img2dataset.reporting.report.folder import Folder, batches_of
from img2dataset.storage.folders import side_by_side
from img2dataset.types import SUCCESS
from img2dataset.work_line import with_line

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

# Of messages that are told apart; what is beyond is "other".
_MOST_MESSAGES = 500


@dataclass
class ComparedRows:
    """Rows in the order of the folder.

    ``ids``: what they are known again by. ``successes``: whether they are images. ``messages``: positions in
    ``texts``. ``hashes``: of the downloaded bytes, 0 where there is none; of the column ``hash_column``.
    ``shards``: each with the number of its first row here.
    """

    ids: NDArray[np.int64]
    successes: NDArray[np.bool_]
    messages: NDArray[np.int16]
    hashes: NDArray[np.int64]
    texts: list[str]
    hash_column: str | None
    shards: list[tuple[int, str]]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass
class _Part:
    """The rows of a shard; ``messages`` as texts, since shards are read side by side."""

    ids: list[int] = field(default_factory=list)
    successes: list[bool] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    hashes: list[int] = field(default_factory=list)
    hash_column: str | None = None


def read_rows(folder: Folder, by: str, on_problem: Callable[[str], None]) -> ComparedRows:
    """All rows of the finished shards of a folder.

    Args:
        folder: whose.
        by: the column by which they are known again, ``url`` or ``key``.
        on_problem: told which shards cannot be read.

    Raises:
        OutputError: the folder has no metadata with this column.
    """
    import numpy as np

    shards = [shard for shard in folder.shards if metadata_name(shard) in folder.names]

    def read(shard: str) -> _Part | None:
        try:
            return _read_shard(folder, shard, by)
        except Exception as error:  # not whole, or a run replaces it meanwhile
            on_problem(f"the metadata of shard {shard} cannot be read: {one_line(error)}")
            return None

    known: dict[str, int] = {}
    columns: tuple[list[NDArray[np.generic]], ...] = ([], [], [], [])
    places: list[tuple[int, str]] = []
    rows, hash_column = 0, None
    parts = side_by_side(folder.location, read, with_line(shards, "reading metadata", "shards", len(shards)))
    for shard, part in zip(shards, parts, strict=True):
        if part is None or not part.ids:
            continue
        places.append((rows, shard))
        rows += len(part.ids)
        hash_column = hash_column or part.hash_column
        coded = [_code(known, message) for message in part.messages]
        for column, values, kind in zip(
            columns,
            (part.ids, part.successes, coded, part.hashes),
            (np.int64, np.bool_, np.int16, np.int64),
            strict=True,
        ):
            column.append(np.array(values, kind))
    if not places:
        raise OutputError(
            f"{folder.location.name!r} has no metadata with a column {by!r}: rows cannot be known again"
        )
    ids, successes, messages, hashes = (np.concatenate(column) for column in columns)
    return ComparedRows(ids, successes, messages, hashes, list(known), hash_column, places)


def _code(known: dict[str, int], message: str) -> int:
    if message not in known and len(known) >= _MOST_MESSAGES:
        message = "other messages"
    return known.setdefault(message, len(known))


def _read_shard(folder: Folder, shard: str, by: str) -> _Part:
    part = _Part()
    for batch in batches_of(folder, shard, (by, "status", "error_message", *HASH_COLUMNS)):
        names = batch.schema.names
        if by not in names or "status" not in names:
            continue
        part.ids += [hash(value) if value is not None else 0 for value in _column(batch, by)]
        successes = [status == SUCCESS for status in _column(batch, "status")]
        part.successes += successes
        part.messages += [
            "" if success else message or "no message"
            for success, message in zip(successes, _column(batch, "error_message"), strict=True)
        ]
        part.hash_column = next((name for name in HASH_COLUMNS if name in names), None)
        part.hashes += [hash(value) if value else 0 for value in _column(batch, part.hash_column)]
    return part


def _column(batch: pa.RecordBatch, name: str | None) -> list[str | None]:
    if name is None or name not in batch.schema.names:
        return [None] * batch.num_rows
    values: list[str | None] = texts_of(batch[name]).to_pylist()
    return values


def values_at(folder: Folder, rows: ComparedRows, positions: Sequence[int], column: str) -> list[str]:
    """The values of a column in a few rows, of which only the shards are read that have them."""
    found: dict[int, str] = {}
    ends = [first for first, _ in rows.shards[1:]] + [len(rows)]
    for (first, shard), end in zip(rows.shards, ends, strict=True):
        wanted = {position - first: position for position in positions if first <= position < end}
        row = 0
        for batch in batches_of(folder, shard, (column,)) if wanted else ():
            values = _column(batch, column)
            for offset, position in wanted.items():
                if row <= offset < row + len(values):
                    found[position] = values[offset - row] or ""
            row += len(values)
    return [found[position] for position in positions if position in found]
