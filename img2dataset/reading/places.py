"""Where the rows of shards lie in a list: what a source needs to be planned, and entered in the middle.

A source that has these methods beside those of ``RowSource`` is given out by place: ``Reader.plan`` takes its
places, and whoever makes a shard reads its rows with ``ShardReader``. Any other is given out as rows.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import pyarrow as pa

from img2dataset.reading.rows import CountedRows, PendingRows
from img2dataset.types import ShardSpec

Hint = Mapping[str, Any]


class NotThere(Exception):
    """The rows of a shard do not lie where they did; says what was found instead."""


@dataclass(frozen=True, slots=True)
class Place:
    """Consecutive rows of one file: the first, counted from 0, their number, and where they begin and end.

    ``begin`` and ``end`` are in the unit of the format: bytes, or row groups.
    """

    first_row: int
    rows: int
    begin: int
    end: int


@runtime_checkable
class PlacedSource(Protocol):
    """One file whose rows can be counted without building them, and built without reading those before."""

    def can_be_entered(self) -> bool:
        """Whether it is so with this very file: a pipe, say, or a compressed one, has no middle to enter."""

    def places(self) -> Iterator[CountedRows[Place]]:
        """Where the rows lie, cut and in the order in which ``pending`` gives them.

        Raises:
            InputError: as ``pending``, after the same rows.
        """

    def hint(self, places: Sequence[Place]) -> Hint:
        """What ``rows_at`` is told of the rows of a shard, of JSON values alone; ``places`` are theirs."""

    def rows_at(self, spec: ShardSpec) -> Iterator[PendingRows]:
        """The rows of a shard, built in the same parts as by ``pending``.

        Args:
            spec: of one of this file's shards; its hint is what ``hint`` gave, perhaps on another machine.

        Raises:
            InputError: they cannot be read.
            NotThere: no row begins or ends there.
        """


def types_as_text(types: Mapping[str, Any]) -> str:
    """Arrow types by column, for a hint."""
    schema = pa.schema([pa.field(name, kind) for name, kind in types.items()])
    return base64.b64encode(schema.serialize().to_pybytes()).decode()


def types_of_text(text: str) -> dict[str, Any]:
    """The Arrow types by column that ``types_as_text`` was given."""
    schema = pa.ipc.read_schema(pa.BufferReader(base64.b64decode(text)))
    return {field.name: field.type for field in schema}
