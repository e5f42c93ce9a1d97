"""Images that are not on the web: local files and object stores, read through fsspec in a few threads.

A URL of an allowed scheme goes in; its bytes or a failure come out, under the limits of downloads: size,
silence, deadline, memory. Called by the loop, which never waits: a read that hangs is given up, its thread
left behind and replaced.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Generic, TypeVar

from img2dataset import failures
from img2dataset.errors import MissingDependency, OptionError
from img2dataset.failures import Failure
from img2dataset.fetching.addresses import Reach
from img2dataset.fetching.file_systems import failure_of, file_system_class, local_path

if TYPE_CHECKING:
    import fsspec

THREADS = 16
# Hung threads that may be left behind; with so many, a store is out of order, and rows fail at once.
MOST_LEFT_BEHIND = 64
CHUNK_BYTES = 256 * 1024
# What a read may raise that says nothing about what was to be read.
_OURS = (MemoryError, ImportError, SystemExit, KeyboardInterrupt)

Waiting = TypeVar("Waiting")


class Reading(Generic[Waiting]):
    """One read on its way. Written by its thread; the loop looks at ``progress_at`` and ``held``."""

    __slots__ = ("body", "deadline", "failure", "given_up", "held", "needs", "progress_at", "url", "waiting")

    def __init__(self, url: str, held: int, waiting: Waiting) -> None:
        self.url = url
        self.held = held
        self.waiting = waiting
        self.body = bytearray()
        self.failure: Failure | None = None
        # The memory to begin again with, when what is held cannot grow.
        self.needs = 0
        # 0 while it waits for a thread: its clocks start with the read.
        self.progress_at = self.deadline = 0.0
        self.given_up = False


class StoredReader(Generic[Waiting]):
    """Reads what is stored.

    Args:
        timeout_s: seconds without progress.
        deadline_s: seconds for the whole read.
        max_body_bytes: larger is refused.
        grow: as ``BodyBudget.grow``; called from the threads.
        reach: which addresses the servers of ftp and the like may have.
        wake: ends the loop's wait.
    """

    def __init__(
        self,
        *,
        timeout_s: float,
        deadline_s: float,
        max_body_bytes: int,
        grow: Callable[[int, int], bool],
        reach: Reach,
        wake: Callable[[], None],
    ) -> None:
        self._timeout_s = timeout_s
        self._deadline_s = deadline_s
        self._max_body = max_body_bytes
        self._grow = grow
        self._reach = reach
        self._wake = wake
        self._queue: queue.SimpleQueue[Reading[Waiting] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Reading[Waiting]] = queue.SimpleQueue()
        self._readings: dict[int, Reading[Waiting]] = {}
        self._threads = self._left_behind = 0
        # Guards that a reading is either ended by its thread or given up by the loop, never both.
        self._lock = threading.Lock()
        # What one of the threads has died of.
        self._error: BaseException | None = None

    def __len__(self) -> int:
        return len(self._readings)

    def begin(self, url: str, held: int, waiting: Waiting) -> None:
        """Read ``url``, holding ``held`` bytes of memory; ``ended`` gives it back."""
        reading = Reading(url, held, waiting)
        self._readings[id(reading)] = reading
        if self._left_behind >= MOST_LEFT_BEHIND:
            self._end(reading, failures.STORED_UNREADABLE)
            return
        if self._threads - self._left_behind < min(len(self._readings), THREADS):
            self._start_thread()
        self._queue.put(reading)

    def ended(self, now: float) -> Iterator[Reading[Waiting]]:
        """The readings that have ended since the last call, or are over time; each is then forgotten here.

        Raises:
            BaseException: what one of the threads has died of; its reading would wait for ever.
        """
        if self._error is not None:
            raise self._error
        for reading in list(self._readings.values()):
            if (overtime := self._overtime(reading, now)) is not None:
                self._give_up(reading, overtime)
        while not self._done.empty():
            reading = self._done.get()
            del self._readings[id(reading)]
            yield reading

    def shift(self, seconds: float) -> None:
        """Forget that much time: it was the program that stood still, not a store."""
        for reading in self._readings.values():
            if reading.progress_at:
                reading.progress_at += seconds
                reading.deadline += seconds

    def close(self) -> None:
        """Let the threads end; those that hang end with the process."""
        for reading in self._readings.values():
            reading.given_up = True
        for _ in range(self._threads):
            self._queue.put(None)

    def _overtime(self, reading: Reading[Waiting], now: float) -> Failure | None:
        if not reading.progress_at:
            # It waits for a thread; if all hang and none may follow them, for ever.
            lost = self._left_behind >= max(MOST_LEFT_BEHIND, self._threads)
            return failures.STORED_UNREADABLE if lost else None
        if now >= reading.deadline:
            return failures.TIMEOUT_DEADLINE
        return failures.TIMEOUT_SILENCE if now - reading.progress_at >= self._timeout_s else None

    def _give_up(self, reading: Reading[Waiting], failure: Failure) -> None:
        with self._lock:
            if reading.given_up:
                return
            reading.given_up = True
        self._left_behind += bool(reading.progress_at)
        self._end(reading, failure)
        if reading.progress_at and self._left_behind < MOST_LEFT_BEHIND:
            self._start_thread()

    def _end(self, reading: Reading[Waiting], failure: Failure | None) -> None:
        reading.failure = failure
        reading.given_up = True
        self._done.put(reading)

    def _start_thread(self) -> None:
        self._threads += 1
        threading.Thread(target=self._work, name="img2dataset-stored", daemon=True).start()

    def _work(self) -> None:
        try:
            self._read_all()
        except BaseException as error:
            self._error = error
            self._wake()

    def _read_all(self) -> None:
        while (reading := self._queue.get()) is not None:
            if reading.given_up:
                continue
            now = time.monotonic()
            reading.deadline, reading.progress_at = now + self._deadline_s, now
            body = bytearray()
            try:
                failure = self._read(reading, body)
            except _OURS:
                raise
            except BaseException as error:
                failure = failure_of(error)
            if not self._hand_in(reading, body, failure):
                # Another thread was started in its stead.
                return
            self._wake()

    def _hand_in(self, reading: Reading[Waiting], body: bytearray, failure: Failure | None) -> bool:
        with self._lock:
            if reading.given_up:
                return False
            reading.body = body
            self._end(reading, failure)
            return True

    def _read(self, reading: Reading[Waiting], body: bytearray) -> Failure | None:
        scheme = reading.url.partition(":")[0].lower()
        try:
            kind = file_system_class(scheme)
        except (MissingDependency, OptionError):
            return failures.of_scheme(scheme, "not installed")
        if scheme == "file":
            path = local_path(reading.url)
            return failures.STORED_NO_FILE if path is None else self._read_file(kind(), path, reading, body)
        url = reading.url
        options = kind._get_kwargs_from_urls(url)
        refused = self._refused_host(options.get("host"))
        if refused is not None:
            return refused
        # A connection of its own is not kept for each of a list's hosts.
        system = kind(**options, skip_instance_cache=bool(options.get("host")))
        return self._read_file(system, kind._strip_protocol(url), reading, body)

    def _refused_host(self, host: str | None) -> Failure | None:
        if not host:
            return None
        import socket

        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        refusals = [self._reach.refusal(str(address[4][0]), False) for address in found]
        return next((refusal for refusal in refusals if refusal is not None), None)

    def _read_file(
        self, system: fsspec.AbstractFileSystem, path: str, reading: Reading[Waiting], body: bytearray
    ) -> Failure | None:
        with system.open(path, "rb", block_size=CHUNK_BYTES) as file:
            size = getattr(file, "size", None)
            if isinstance(size, int) and size > self._max_body:
                return failures.TOO_LARGE_BODY
            if isinstance(size, int) and size > 0 and not self._reserve(reading, size):
                return None
            while chunk := file.read(CHUNK_BYTES):
                reading.progress_at = time.monotonic()
                if reading.given_up:
                    return None
                if len(body) + len(chunk) > self._max_body:
                    return failures.TOO_LARGE_BODY
                end = len(body) + len(chunk)
                if end > reading.held and not self._reserve(reading, min(2 * end, self._max_body)):
                    return None
                body += chunk
        return None if body else failures.EMPTY_BODY

    def _reserve(self, reading: Reading[Waiting], size: int) -> bool:
        with self._lock:
            if not reading.given_up and self._grow(reading.held, size):
                reading.held = size
                return True
        reading.needs = size
        return False
