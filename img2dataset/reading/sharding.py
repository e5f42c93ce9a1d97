"""Sources of rows → shards, or where shards lie. The numbering is the contract: it depends on the list alone.

Called by the reader. Pure but for what the sources do.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import pyarrow as pa

from img2dataset.errors import InputError
from img2dataset.failures import Failure
from img2dataset.reading.rows import BuiltRows, CountedRows, RowSource
from img2dataset.types import Shard

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class ToNumber(Generic[Item]):
    """The rows of one source, and what makes a shard's number and its parts one item."""

    rows: Iterable[CountedRows[Any]]
    join: Callable[[int, list[Any]], Item]


def shards_to_number(source: RowSource) -> ToNumber[Shard]:
    """A source whose shards are to be read."""
    return ToNumber(source.pending(), shard_of)


def number_shards(
    sources: Iterable[ToNumber[Item]],
    rows_per_shard: int,
    skip: Container[int],
    first_shard_id: int,
    on_rows: Callable[[int], None],
    others: Container[int] = (),
) -> Iterator[Item]:
    """Shards in order of their number; each source begins a new one, its last may be short.

    Rows of shards in ``skip`` are counted, not built. Where a source breaks, the rows before the break
    come as a last, short shard before the InputError. ``on_rows`` is told the number of rows of each source
    that has been read to its end. ``others`` are numbers that this list must not come to.

    Raises:
        InputError: a source breaks, or the numbers come to one of ``others``.
    """
    shard_id = first_shard_id
    for source in sources:
        shard_id, rows = yield from _shards_of(source, rows_per_shard, skip, shard_id, others)
        on_rows(rows)


def _shards_of(
    source: ToNumber[Item], rows_per_shard: int, skip: Container[int], shard_id: int, others: Container[int]
) -> Generator[Item, None, tuple[int, int]]:
    parts: list[Any] = []
    filled = total = 0
    skipped = shard_id in skip
    failure: InputError | None = None
    try:
        for rows in source.rows:
            start = 0
            total += rows.count
            while start < rows.count:
                if not filled and shard_id in others:
                    raise InputError(
                        f"shard {shard_id}, to which this list comes now, is of a later run with another"
                        " list; --incremental_mode new_only adds the rows that are not there yet"
                    )
                stop = min(start + rows_per_shard - filled, rows.count)
                if not skipped:
                    parts.append(rows.build(start, stop))
                filled += stop - start
                start = stop
                if filled == rows_per_shard:
                    if not skipped:
                        yield source.join(shard_id, parts)
                    shard_id += 1
                    parts, filled, skipped = [], 0, shard_id in skip
    except InputError as error:
        failure = error
    if filled:
        if not skipped:
            yield source.join(shard_id, parts)
        shard_id += 1
    if failure is not None:
        raise failure
    return shard_id, total


def shard_of(shard_id: int, parts: list[BuiltRows]) -> Shard:
    """The shard of which these are the rows, in order; there is at least one."""
    invalid_urls: dict[int, Failure] = {}
    offset = 0
    for part in parts:
        invalid_urls.update((offset + index, reason) for index, reason in part.invalid_urls.items())
        offset += part.table.num_rows
    table = pa.concat_tables([part.table for part in parts])
    if any(column.num_chunks > 1 for column in table.columns):
        # One piece a column, so that nothing keeps the blocks it was cut from; a type Arrow cannot join
        # stays in pieces.
        with suppress(pa.ArrowNotImplementedError):
            table = table.unify_dictionaries().combine_chunks()
    return Shard(shard_id, table, invalid_urls)
