"""Shards of a list that cannot be told from another by name, size or time → those that are not done yet.

A list on a pipe or in memory leaves no mark to know it by. Before a run goes on over finished shards, their
rows are held against those of the list: with another list they would pass for done, and its rows be lost.
Called by the api.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterator

from img2dataset.errors import InputError
from img2dataset.reading.finished_urls import finished_urls
from img2dataset.reading.reader import Reader
from img2dataset.types import Shard


def shards_after_comparing(
    reader: Reader,
    skip: Container[int],
    done: Container[int],
    metadata_path: Callable[[int], str],
    first_shard_id: int,
    others: Container[int],
) -> Iterator[Shard]:
    """The shards of the list that are not in ``skip``, after those of them that are done were compared.

    Args:
        reader: of the list.
        skip: shards that are not wanted.
        done: finished shards; each is compared when the list comes to it.
        metadata_path: of a finished shard.
        first_shard_id: as ``Reader.shards`` takes it.
        others: the same.

    Raises:
        InputError: a finished shard has other URLs than the list has for it; or as ``Reader.shards``.
    """
    for shard in reader.shards(_Without(skip, done), first_shard_id, others):
        if shard.shard_id not in done:
            yield shard
            continue
        urls: Counter[str | None] = Counter()
        for column in finished_urls(metadata_path(shard.shard_id)):
            urls.update(column.to_pylist())
        if urls != Counter(shard.rows.column("url").to_pylist()):
            raise InputError(
                f"shard {shard.shard_id} of the output folder was made from other rows than this list has for"
                " it; choose another folder, or --incremental_mode new_only to add the rows that are not"
                " there yet, extend to add all, overwrite to start over"
            )


class _Without:
    """Contains what ``skip`` contains and ``but`` does not."""

    def __init__(self, skip: Container[int], but: Container[int]) -> None:
        self._skip = skip
        self._but = but

    def __contains__(self, shard_id: object) -> bool:
        return shard_id in self._skip and shard_id not in self._but
