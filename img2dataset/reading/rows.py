"""The two shapes every format is brought to: a source of rows, and rows that are not built yet.

A list format turns one file into a ``RowSource``; ``sharding.py`` counts its rows into shards and
builds only those of shards that are wanted, so that skipping costs no conversion. What is built are rows, or,
for a plan of the shards, where they lie (``places.py``).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

from img2dataset.failures import Failure

if TYPE_CHECKING:
    import pyarrow as pa

Part_co = TypeVar("Part_co", covariant=True)

_logger = logging.getLogger("img2dataset")


@dataclass(frozen=True, slots=True)
class BuiltRows:
    """Rows under their final names and types; ``invalid_urls`` counts from the first of them."""

    table: pa.Table
    invalid_urls: dict[int, Failure]


class CountedRows(Protocol[Part_co]):
    """Consecutive rows of a source that have been counted and nothing else."""

    @property
    def count(self) -> int: ...

    def build(self, start: int, stop: int) -> Part_co:
        """Rows ``start`` to ``stop``. Called with rising, never overlapping ranges."""
        ...


PendingRows = CountedRows[BuiltRows]


class RowSource(Protocol):
    """One input file, or one list in memory; each call of ``pending`` reads it from its beginning."""

    def pending(self) -> Iterator[PendingRows]:
        """The rows in order. Raises InputError where the source breaks, after the rows before it."""
        ...

    def row_count(self) -> int | None:
        """Number of rows where that is known without reading them all."""
        ...


@dataclass(slots=True)
class Warnings:
    """Says each kind of trouble once a reader: a column of a million bad values is one line."""

    said: set[tuple[str, str]] = field(default_factory=set)

    def once(self, kind: str, subject: str, message: str) -> None:
        if (kind, subject) not in self.said:
            self.said.add((kind, subject))
            _logger.warning("%s", message)

    def misfit(self, column: str, value: object, row: int, where: str, type_name: str) -> None:
        """A value that the type seen at the top of the file does not hold; ``row`` counts from 1."""
        text = value if isinstance(value, str) else repr(value)
        shown = text if len(text) <= 80 else text[:77] + "..."
        self.once(
            "misfit",
            column,
            f'column "{column}" of {where}: "{shown}" in row {row} is no {type_name}, the type at the top of '
            "the file; such values become null (said once a column)",
        )
