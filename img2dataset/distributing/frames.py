"""Messages between the program and its workers: length-prefixed pickles over a pipe.

Only the program's own processes are at the two ends, so that a pickle is as safe here as the program.
"""

from __future__ import annotations

import pickle
import struct
from collections import Counter
from dataclasses import dataclass
from typing import IO, Any

from img2dataset.types import Shard, ShardReport, Status

_LENGTH = struct.Struct("<Q")


@dataclass(frozen=True, slots=True)
class ShardForWorker:
    """To a worker: make this shard."""

    shard: Shard


@dataclass(frozen=True, slots=True)
class NoMoreWork:
    """To a worker: finish what is open, then end."""


@dataclass(frozen=True, slots=True)
class WantsShard:
    """From a worker: it could take one more shard."""


@dataclass(frozen=True, slots=True)
class Settled:
    """From a worker, about twice a second: the rows settled since the last one.

    ``waiting`` is how many rows wait for their download or their pixels: without any, the rows that it still
    has only wait for their servers.
    """

    statuses: Counter[Status]
    waiting: int


@dataclass(frozen=True, slots=True)
class Pulse:
    """From a thread of a worker that does nothing else, every second: it lives.

    ``step_s``: how many seconds its main thread has been at one thing.
    """

    step_s: float


@dataclass(frozen=True, slots=True)
class Reported:
    """From a worker: a shard has ended."""

    report: ShardReport


@dataclass(frozen=True, slots=True)
class WorkerFailed:
    """From a worker: it cannot go on, and why."""

    reason: str


def send(stream: IO[bytes], message: Any) -> None:
    """Write one message whole.

    Raises:
        OSError: the other end is gone.
    """
    payload = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    stream.write(_LENGTH.pack(len(payload)))
    stream.write(payload)
    stream.flush()


def receive(stream: IO[bytes]) -> Any:
    """Read one message, or None at the end of the stream, also when it ends in the middle of one."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    payload = stream.read(length)
    return pickle.loads(payload) if len(payload) == length else None
