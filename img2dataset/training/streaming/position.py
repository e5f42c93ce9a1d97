"""How far a stream has come, so that it can go on there: no row doubled, none lost. Values only, no I/O.

A consumer's rows are numbered 0, 1, 2 … in its order; they are finished out of order. What is done is
everything below ``frontier``, and beyond it the bits of ``beyond`` (bit 0 is ``frontier``). Called by
``url_stream``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from img2dataset.errors import OptionError


@dataclass(frozen=True, slots=True)
class StreamPosition:
    """How far one of ``consumers`` consumers has come in ``epoch``."""

    consumer: int
    consumers: int
    epoch: int
    frontier: int = 0
    beyond: int = 0

    def done(self, number: int) -> bool:
        """Whether the consumer's row ``number`` is done in its epoch."""
        return number < self.frontier or bool(self.beyond >> (number - self.frontier) & 1)

    def with_done(self, number: int) -> StreamPosition:
        """The position after row ``number`` as well."""
        if self.done(number):
            return self
        beyond = self.beyond | 1 << (number - self.frontier)
        return _with_frontier_moved(
            StreamPosition(self.consumer, self.consumers, self.epoch, self.frontier, beyond)
        )

    def merged(self, other: StreamPosition) -> StreamPosition:
        """Everything that either says is done; of different epochs, the later."""
        if self.epoch != other.epoch:
            return self if self.epoch > other.epoch else other
        low, high = sorted((self, other), key=lambda position: position.frontier)
        beyond = high.beyond | low.beyond >> (high.frontier - low.frontier)
        merged = StreamPosition(high.consumer, high.consumers, high.epoch, high.frontier, beyond)
        return _with_frontier_moved(merged)


def _with_frontier_moved(position: StreamPosition) -> StreamPosition:
    """The same, with its frontier moved over the bits that are set from the lowest on."""
    ones = (~position.beyond & (position.beyond + 1)).bit_length() - 1
    return StreamPosition(
        position.consumer,
        position.consumers,
        position.epoch,
        position.frontier + ones,
        position.beyond >> ones,
    )


class Positions:
    """The positions of all consumers of a run of a stream, by consumer."""

    def __init__(self, consumers: int, positions: Iterable[StreamPosition] = ()):
        self.consumers = consumers
        self.by_consumer: dict[int, StreamPosition] = {}
        for position in positions:
            self.advance(position)

    def advance(self, position: StreamPosition) -> None:
        """Take a consumer's newer position; an older one changes nothing."""
        if position.consumers != self.consumers:
            raise OptionError(
                f"a position of {position.consumers} consumers is not of a stream of {self.consumers}"
            )
        before = self.by_consumer.get(position.consumer)
        self.by_consumer[position.consumer] = position if before is None else before.merged(position)

    def done(self, place: int, epoch: int) -> bool:
        """Whether the row at ``place`` of the epoch's sequence is done."""
        position = self.by_consumer.get(place % self.consumers)
        if position is None or position.epoch < epoch:
            return False
        return position.epoch > epoch or position.done(place // self.consumers)

    def as_state(self) -> dict[str, Any]:
        """Plain values, for a checkpoint."""
        return {
            "consumers": self.consumers,
            "positions": [
                [position.consumer, position.epoch, position.frontier, position.beyond]
                for position in self.by_consumer.values()
            ],
        }

    @classmethod
    def of_state(cls, state: Mapping[str, Any]) -> Positions:
        """From ``as_state``."""
        consumers = state["consumers"]
        return cls(
            consumers,
            (
                StreamPosition(consumer, consumers, epoch, frontier, beyond)
                for consumer, epoch, frontier, beyond in state["positions"]
            ),
        )
