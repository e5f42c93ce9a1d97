"""How a source of rows is given out: by place, or as rows. Called by ``Reader.plan``."""

from __future__ import annotations

from img2dataset.reading.files import ListFile
from img2dataset.reading.places import Place, PlacedSource
from img2dataset.reading.rows import RowSource
from img2dataset.reading.sharding import ToNumber, shard_of
from img2dataset.types import PlannedShard, RowsSpec, ShardSpec


def specs_to_number(source: RowSource, file: ListFile | None) -> ToNumber[PlannedShard]:
    """A source whose shards are to be given out; ``file`` is None for a list in memory."""
    if file is not None and isinstance(source, PlacedSource) and source.can_be_entered():
        placed = source

        def spec_of(shard_id: int, places: list[Place]) -> ShardSpec:
            rows = sum(place.rows for place in places)
            return ShardSpec(shard_id, file.identity, places[0].first_row, rows, placed.hint(places))

        return ToNumber(placed.places(), spec_of)
    return ToNumber(source.pending(), lambda shard_id, parts: RowsSpec(shard_of(shard_id, parts)))
