"""Shards of a whole list → shards of its new rows alone. Called by the api for ``new_only``."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from img2dataset.reading.rows import BuiltRows, PendingRows
from img2dataset.types import Shard

if TYPE_CHECKING:
    import pyarrow as pa

    from img2dataset.reading.known_urls import KnownUrls


def only_new_rows(
    shards: Iterable[Shard],
    known: KnownUrls,
    rows_per_shard: int,
    first_shard_id: int = 0,
    on_known: Callable[[int], None] = lambda rows: None,
    skip: Container[int] = (),
    gaps: Sequence[int] = (),
) -> Iterator[Shard]:
    """The rows whose URL is not known, in full shards of their own, read as they are asked for.

    URLs that are several times in the list stay. Of the rows without a URL, as many are left out as are
    known. The same shards and the same known URLs give the same shards again, so a run that was stopped goes
    on with the known URLs from before it and with ``skip``.

    Args:
        shards: all shards of the list, none skipped; their numbers play no part.
        known: closed to further URLs by this.
        rows_per_shard: rows of every shard but the last, across the files of the list.
        first_shard_id: number of the first shard, after ``gaps``.
        on_known: told how many rows were left out, as the list is read; in each pass anew, and of the
            whole list, whatever is skipped.
        skip: numbers of shards that are not wanted; their rows are looked up and counted, not built.
        gaps: numbers below ``first_shard_id`` that no shard has, in ascending order: they are given first.

    Raises:
        InputError: the list breaks off, after a last, short shard of the new rows before the break.
    """
    numbers = _Numbers(first_shard_id, gaps, skip)
    from img2dataset.reading.sharding import number_shards, shards_to_number

    source = shards_to_number(NewRowSource(shards, known, on_known))
    for shard in number_shards([source], rows_per_shard, numbers, 0, lambda rows: None):
        yield replace(shard, shard_id=numbers.of(shard.shard_id))


class _Numbers:
    """The number of the n-th shard; as a container, the positions of those that are not wanted."""

    def __init__(self, first: int, gaps: Sequence[int], skip: Container[int]) -> None:
        self._first = first
        self._gaps = gaps
        self._skip = skip

    def of(self, position: int) -> int:
        in_gap = position < len(self._gaps)
        return self._gaps[position] if in_gap else self._first + position - len(self._gaps)

    def __contains__(self, position: object) -> bool:
        return isinstance(position, int) and self.of(position) in self._skip


class NewRowSource:
    """The new rows of a list, as one source: they are numbered as if they were a list of their own."""

    def __init__(self, shards: Iterable[Shard], known: KnownUrls, on_known: Callable[[int], None]) -> None:
        self._shards = shards
        self._known = known
        self._on_known = on_known

    def pending(self) -> Iterator[PendingRows]:
        without_url = self._known.rows_without_url
        for shard in self._shards:
            urls = shard.rows.column("url")
            known = self._known.contains(urls)
            if without_url and urls.null_count:
                nulls = urls.is_null().to_numpy().nonzero()[0][:without_url]
                known[nulls] = True
                without_url -= len(nulls)
            new = NewRows(shard, ~known)
            left_out = shard.rows.num_rows - new.count
            if left_out:
                self._on_known(left_out)
            if new.count:
                yield new

    def row_count(self) -> int | None:
        return None


class NewRows:
    """The rows of one shard of the list that are new; ``new`` is one truth a row."""

    def __init__(self, shard: Shard, new: Any) -> None:
        self._shard = shard
        self._new = new
        self._kept: BuiltRows | None = None
        self.count = int(new.sum())

    def build(self, start: int, stop: int) -> BuiltRows:
        if self._kept is None:
            self._kept = self._build_all()
        invalid_urls = {
            index - start: reason
            for index, reason in self._kept.invalid_urls.items()
            if start <= index < stop
        }
        return BuiltRows(self._kept.table.slice(start, stop - start), invalid_urls)

    def _build_all(self) -> BuiltRows:
        if self.count == self._shard.rows.num_rows:
            return BuiltRows(self._shard.rows, dict(self._shard.invalid_urls))
        kept_before = self._new.cumsum() - 1
        invalid_urls = {
            int(kept_before[index]): reason
            for index, reason in self._shard.invalid_urls.items()
            if self._new[index]
        }
        return BuiltRows(_filtered(self._shard.rows, self._new), invalid_urls)


def _filtered(table: pa.Table, wanted: Any) -> pa.Table:
    """Rows of ``table``; of any Arrow type, also those Arrow cannot filter (``string_view``)."""
    import numpy as np
    import pyarrow as pa

    try:
        return table.filter(pa.array(wanted))
    except pa.ArrowNotImplementedError:
        # Runs of wanted rows begin and end where the truth changes.
        changes = np.flatnonzero(np.diff(wanted, prepend=False, append=False)).tolist()
        runs = zip(changes[::2], changes[1::2], strict=True)
        return pa.concat_tables([table.slice(start, stop - start) for start, stop in runs])
