"""A random sample of the rows of a list, for as little reading as the list's format allows.

In: the options of a list. Out: a ``SampledList``. The list is planned as for a cluster: of parquet the
footers are read, plain text is counted through once, what has no middle to enter is read whole. Then rows are
taken from some parts of it, which are chosen by chance. Called by ``command``.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from img2dataset.errors import InputError
from img2dataset.options import InputOptions
from img2dataset.reading import ShardReader, open_reader
from img2dataset.types import PlannedShard, RowsSpec

if TYPE_CHECKING:
    import pyarrow as pa

# Rows of a part that can be chosen, and how many parts are. More parts tell more of a list whose rows are
# sorted, by host say, and cost more reading: of parquet each is a row group.
PART_ROWS, PARTS = 1000, 32
PARQUET, COUNTED, WHOLE = "footers and parts", "counted, then parts", "whole"
HOW_READ = {
    PARQUET: "of the list only the footers and some parts were read",
    COUNTED: "the list was read once to count its rows",
    WHOLE: "the whole list had to be read: its format has no middle to enter",
}


@dataclass(frozen=True, slots=True)
class SampledList:
    """Some rows of a list.

    ``rows`` has the columns of ``types.Shard.rows``; ``part_of`` says for each row which part it is of.
    ``rows_of_list``: of the whole list. ``how_read``: a key of ``HOW_READ``.
    """

    rows: pa.Table
    part_of: list[int]
    rows_of_list: int
    how_read: str

    @property
    def is_whole(self) -> bool:
        """Whether the sample is the list."""
        return bool(self.rows.num_rows == self.rows_of_list)


def sample_list(options: InputOptions, count: int, seed: int) -> SampledList:
    """``count`` rows of a list by chance, each as likely as any other; all where it has no more.

    Args:
        options: of the list.
        count: how many rows, at least 1.
        seed: the same rows of the same list each time.

    Raises:
        InputError: the list cannot be found or read, or has no rows.
        MissingDependency: its file system, or its format, needs a package that is not installed.
    """
    import pyarrow as pa

    chance = random.Random(seed)
    parts, total, by_place = _chosen_parts(options, count, chance)
    if not total:
        raise InputError(f"url_list {options.url_list} has no rows; there is nothing to estimate")
    reader = ShardReader(options)
    # Each part that was drawn gives as many rows; one that was drawn twice gives twice as many.
    each = total if total <= count else -(-count // PARTS)
    tables, part_of = [], []
    for number, (part, drawn) in enumerate(parts):
        rows = reader.read(part).rows
        wanted = min(rows.num_rows, each * drawn)
        tables.append(rows.take(sorted(chance.sample(range(rows.num_rows), wanted))))
        part_of += [number] * wanted
    rows = pa.concat_tables(tables, promote_options="permissive")
    if rows.num_rows > count:
        kept = sorted(chance.sample(range(rows.num_rows), count))
        rows, part_of = rows.take(kept), [part_of[number] for number in kept]
    is_parquet = options.input_format.startswith("parquet")
    how = WHOLE if not by_place else PARQUET if is_parquet else COUNTED
    return SampledList(rows, part_of, total, how)


def _chosen_parts(
    options: InputOptions, count: int, chance: random.Random
) -> tuple[list[tuple[PlannedShard, int]], int, bool]:
    """Parts of the list, how often each was drawn, the rows of the list, and whether parts were by place.

    A part that comes takes each of the places with the right chance, so that one pass over the list does, and
    only what is chosen is held (reservoir sampling with replacement, weighted by rows).
    """
    places: list[tuple[int, PlannedShard]] = []
    all_parts: list[PlannedShard] = []
    total, by_place = 0, True
    for number, part in enumerate(open_reader(options, PART_ROWS).plan()):
        rows = part.shard.rows.num_rows if isinstance(part, RowsSpec) else part.rows
        by_place = by_place and not isinstance(part, RowsSpec)
        if not rows:
            continue
        total += rows
        if total <= count:
            all_parts.append(part)
        for place in range(PARTS):
            if not total - rows:
                places.append((number, part))
            elif chance.random() < rows / total:
                places[place] = (number, part)
    if total <= count:
        return [(part, 1) for part in all_parts], total, by_place
    drawn = Counter(number for number, _ in places)
    parts = dict(places)
    return [(parts[number], drawn[number]) for number in sorted(parts)], total, by_place
