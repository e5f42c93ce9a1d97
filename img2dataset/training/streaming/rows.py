"""The list as one sequence of rows, and the part of it that one consumer takes.

Comes in: checked options, and which rows are this consumer's: by its place among the workers of all ranks
(``UrlStream``, which must be able to go on), or those it claims before the other processes do (``stream``).
Goes out: ``StreamRow`` values in an order that is the same for all consumers of an epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from img2dataset.errors import InputError, OptionError
from img2dataset.failures import URL_MISSING, Failure
from img2dataset.options import (
    DownloadOptions,
    ImageOptions,
    InputOptions,
    MannersOptions,
    NumberingOptions,
    Options,
    option_specs,
    resolve,
)
from img2dataset.training.randomness import number_of
from img2dataset.types import BBOX_COLUMN, EXPECTED_HASH_COLUMN

if TYPE_CHECKING:
    from img2dataset.reading import Reader
    from img2dataset.types import Shard

# What a run writes, and who runs it, has no meaning where samples are handed over.
STREAM_PARTS = (InputOptions, NumberingOptions, ImageOptions, DownloadOptions, MannersOptions)
# Rows claimed at once: 0.2 s of a process's work, by which the last one ends later than the first.
CLAIMED_ROWS = 32


@dataclass(frozen=True, slots=True)
class StreamRow:
    """One row on its way through a stream.

    ``place`` is its number in the (shuffled) sequence of the epoch, ``number`` its number in the list,
    ``metadata`` the columns that come from the list.
    """

    place: int
    number: int
    key: str
    url: str | None
    refusal: Failure | None
    boxes: Any
    expected_hash: str | None
    metadata: dict[str, Any]


@dataclass(frozen=True)
class Share:
    """Which rows are a consumer's: those whose place is ``consumer`` modulo ``consumers``.

    With ``shuffle``, the rows of each shard are shuffled, by ``seed`` and ``epoch``.
    """

    consumer: int = 0
    consumers: int = 1
    shuffle: bool = False
    seed: int = 0
    epoch: int = 0


def stream_options(url_list: Any, given: dict[str, Any]) -> Options:
    """Checked options of a stream.

    Raises:
        OptionError: an option that does not exist, has no meaning for a stream, or a wrong value.
    """
    specs = option_specs()
    for name in given:
        if name in specs and specs[name].part not in STREAM_PARTS:
            raise OptionError(f"{name} is for runs that write a dataset; a stream takes none, leave it out")
    if "input_format" not in given and isinstance(url_list, str):
        from img2dataset.reading import format_of_path

        told = format_of_path(url_list)
        given = given if told is None else given | {"input_format": told}
    return resolve({**given, "url_list": url_list})


def open_list_of(options: Options) -> Reader:
    """The reader of a stream's list.

    Raises:
        InputError: the list cannot be read as described, or has no rows: a stream that repeats would not end.
    """
    from img2dataset.reading import open_reader

    reader = open_reader(options, options.number_sample_per_shard)
    if not reader.has_rows:
        raise InputError("the url_list of a stream has no rows")
    return reader


def rows_of(
    reader: Reader, options: Options, share: Share, skip: Callable[[int], bool] = lambda place: False
) -> Iterator[StreamRow]:
    """The rows of one consumer in one epoch.

    Args:
        skip: of a place in the sequence, whether that row is not wanted (it was done before).
    """
    first = 0
    for shard in reader.shards():
        count = shard.rows.num_rows
        order: Any = range(count)
        if share.shuffle:
            import numpy as np

            order = np.random.default_rng(number_of(share.seed, share.epoch, shard.shard_id)).permutation(
                count
            )
        wanted = [
            (first + offset, int(index))
            for offset, index in enumerate(order)
            if (first + offset) % share.consumers == share.consumer and not skip(first + offset)
        ]
        yield from _rows(shard, wanted, first, options)
        first += count


def rows_as_claimed(reader: Reader, options: Options, claim: Callable[[], int]) -> Iterator[StreamRow]:
    """The rows of one of several processes that share a list: who is faster gets more of them.

    Args:
        claim: gives each number from 0 to one process only, and to each process ever higher ones. A number
            stands for the ``CLAIMED_ROWS`` rows from its multiple on; called again when these were taken.
    """
    first = 0
    begin = claim() * CLAIMED_ROWS
    for shard in reader.shards():
        count = shard.rows.num_rows
        while begin < first + count:
            end = begin - begin % CLAIMED_ROWS + CLAIMED_ROWS
            mine = [(place, place - first) for place in range(begin, min(end, first + count))]
            yield from _rows(shard, mine, first, options)
            begin = claim() * CLAIMED_ROWS if end <= first + count else first + count
        first += count


def _rows(shard: Shard, wanted: list[tuple[int, int]], first: int, options: Options) -> Iterator[StreamRow]:
    """The rows at ``wanted`` (place in the sequence, index in the shard), in that order."""
    if not wanted:
        return
    table = (
        shard.rows if len(wanted) == shard.rows.num_rows else shard.rows.take([index for _, index in wanted])
    )
    in_list_order = len(wanted) == shard.rows.num_rows
    columns = {name: table.column(name).to_pylist() for name in table.column_names}
    hidden = (BBOX_COLUMN, EXPECTED_HASH_COLUMN)
    visible = [name for name in columns if name not in hidden]
    row_digits = len(str(options.number_sample_per_shard - 1)) if options.number_sample_per_shard > 1 else 0
    digits = options.oom_shard_count + row_digits
    for at, (place, index) in enumerate(wanted):
        line = index if in_list_order else at
        url = columns["url"][line]
        missing = url is None or not url.strip()
        yield StreamRow(
            place=place,
            number=first + index,
            key=f"{shard.shard_id * 10**row_digits + index:0{digits}d}",
            url=url,
            refusal=shard.invalid_urls.get(index, URL_MISSING) if missing else None,
            boxes=columns[BBOX_COLUMN][line] if BBOX_COLUMN in columns else None,
            expected_hash=columns[EXPECTED_HASH_COLUMN][line] if EXPECTED_HASH_COLUMN in columns else None,
            metadata={name: columns[name][line] for name in visible},
        )
