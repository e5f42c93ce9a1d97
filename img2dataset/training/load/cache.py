"""A folder of downloaded bodies, shared by epochs, processes and machines.

In: URLs, and a function that downloads those that are missing. Out: bodies or failures. Called by the
loader, and by ``img2dataset cache``.

    objects/ab/cdef…    one file a URL (``cache_entry``), named by the SHA-256 of the URL; renamed into place
    locks/abc           who downloads a URL holds the lock of its first three digits: others wait, then read
    temporary/          files on their way to ``objects``; leftovers of killed processes are swept
    size, size.lock     bytes of all entries (``cache_size``), raised before one appears: never too low

The locks are the operating system's (``storage``), so they end with the process that holds them. DiskCache
was considered for all of this: it keeps its index in SQLite, which must not lie on a network file system, and
it has no way for processes to wait for one download.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from img2dataset.errors import OptionError
from img2dataset.failures import Failure
from img2dataset.storage.locks import locked
from img2dataset.training.load.cache_entry import (
    BrokenEntry,
    Entry,
    decode_entry,
    encode_entry,
    instead_of_image,
)
from img2dataset.training.load.cache_folder import CacheFolder
from img2dataset.training.load.cache_size import CacheSize

logger = logging.getLogger("img2dataset")

FetchMany = Callable[[Sequence[tuple[str, Entry | None]], Callable[[Entry], None]], list[Entry]]

# An entry's time of use is written again after this long: reading it all day costs one write a minute.
USE_RESOLUTION_S = 60.0
MOST_LOCKS = 256


@dataclass(frozen=True)
class CacheStats:
    """What a cache folder holds. ``failures`` are remembered failed URLs; times are Unix seconds."""

    folder: str
    entries: int
    bytes: int
    failures: int
    oldest_use: float | None
    newest_use: float | None


class ImageCache:
    """Bodies by URL, in a folder.

    Args:
        folder: made if it is not there. May be shared by any number of processes and machines.
        max_bytes: bound on the sum of the entries' sizes; the least recently used are removed. None: no
            bound.
        max_entries: bound on their number; as ``max_bytes``.
        revalidate_after_s: seconds after which the server is asked whether an entry has changed; None: never.
        failure_lifetime_s: seconds for which a URL that failed for good (404, refused, …) is not asked for
            again. Default one hour; 0: failures are not remembered.
        lock_wait_s: how long to wait for another process's download of the same URL before doing it as well.

    Raises:
        OptionError: a value is out of its range, or the folder cannot be made.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        max_bytes: int | None = None,
        max_entries: int | None = None,
        revalidate_after_s: float | None = None,
        failure_lifetime_s: float = 3600.0,
        lock_wait_s: float = 600.0,
    ):
        for name, bound in (("max_bytes", max_bytes), ("max_entries", max_entries)):
            if bound is not None and bound < 1:
                raise OptionError(f"{name} of the cache is {bound!r}; it must be at least 1, or None")
        for name, value in (
            ("revalidate_after_s", revalidate_after_s),
            ("failure_lifetime_s", failure_lifetime_s),
        ):
            if value is not None and value < 0:
                raise OptionError(f"{name} of the cache is {value!r}; it must be 0 or more")
        self.folder = Path(folder).expanduser()
        self.max_bytes = max_bytes
        self.max_entries = max_entries
        self.revalidate_after_s = revalidate_after_s
        self.failure_lifetime_s = failure_lifetime_s
        self.lock_wait_s = lock_wait_s
        self._warned = False
        self._size = CacheSize(self.folder, max_bytes, max_entries)
        self._files = CacheFolder(self.folder, self._size)

    def get(self, url: str) -> Entry | None:
        """The entry of ``url`` as it stands in the folder, verified by its hash; None if there is none."""
        path = self._path(url)
        try:
            with open(path, "rb") as file:
                data = file.read()
                last_use = os.fstat(file.fileno()).st_mtime
        except OSError:
            return None
        try:
            entry = decode_entry(data)
            if entry.url != url:
                raise BrokenEntry("the entry of another URL")
        except BrokenEntry as error:
            logger.warning("cache: %s is broken (%s) and is downloaded again", path, error)
            self._files.remove(path, len(data))
            return None
        if abs(time.time() - last_use) > USE_RESOLUTION_S:
            with contextlib.suppress(OSError):  # a cache that cannot be written to can still be read
                os.utime(path)
        return entry

    def get_many(
        self, urls: Sequence[str], fetch_many: FetchMany, wait_s: float | None = None
    ) -> dict[str, Entry]:
        """The entry of each URL, downloading once, however many processes ask, what is missing or too old.

        Args:
            urls: any number; equal ones are one.
            fetch_many: called with pairs of a URL and its outdated entry (or None) and returns their entries,
                in order; ``entry.failure`` says what failed. Calls its second argument with each entry as
                soon as it is there.
            wait_s: how long to wait in all for others' downloads, if less than ``lock_wait_s``.
        """
        found: dict[str, Entry] = {}
        outdated: dict[str, Entry | None] = {}
        for url in dict.fromkeys(urls):
            entry = self.get(url)
            if entry is not None and self._fresh(entry):
                found[url] = entry
            else:
                outdated[url] = entry
        # Locks are only tried while others are held, and waited for one at a time: no deadlock.
        held = self._try_locks(outdated)
        mine = [url for url in outdated if self._lock_name(url) in held]
        try:
            found.update(self._fetch_missing(mine, fetch_many, held))
        finally:
            _release(held)
        longest = self.lock_wait_s if wait_s is None else min(self.lock_wait_s, wait_s)
        deadline = time.monotonic() + longest
        alone: list[str] = []
        for url in outdated:
            if url not in found:
                with self._lock(url, max(0.0, deadline - time.monotonic())) as is_locked:
                    if is_locked:
                        found.update(self._fetch_missing([url], fetch_many, {}))
                    else:
                        alone.append(url)
        # Not one after the other: whoever holds these locks may be slow with all of them.
        found.update(self._fetch_missing(alone, fetch_many, {}))
        return found

    def put(self, entry: Entry) -> None:
        """Store an entry. A full or read-only folder is reported once, and the program goes on without."""
        if entry.failure is None and instead_of_image(entry.body):
            return
        data = encode_entry(entry)
        if self.max_bytes is not None and len(data) > self.max_bytes:
            return
        try:
            self._files.put(self._path(entry.url), data)
        except OSError as error:
            if not self._warned:
                self._warned = True
                logger.warning("cache: nothing more can be stored in %s: %s", self.folder, error)

    def file(self, entry: Entry, ending: str) -> Path:
        """A file with the body of ``entry`` alone, for readers that take a path; an entry of its own.

        Raises:
            OSError: it cannot be stored, or is larger than ``max_bytes``.
        """
        path = self._path(entry.url)
        path = path.with_name(path.name + (ending or ".body"))
        with contextlib.suppress(OSError):
            if path.read_bytes() == entry.body:
                with contextlib.suppress(OSError):  # as in ``get``
                    os.utime(path)
                return path
        if self.max_bytes is not None and len(entry.body) > self.max_bytes:
            raise OSError(errno.EFBIG, "larger than max_bytes of the cache")
        self._files.put(path, entry.body)
        return path

    def stats(self) -> CacheStats:
        """Count what is there (lists the folder)."""
        entries = size = failures = 0
        uses = []
        for path, status in self._size.entries():
            entries += 1
            size += status.st_size
            uses.append(status.st_mtime)
            # Only a failure is this small and has an empty body; images begin at about 100 bytes.
            if status.st_size < 4096:
                with contextlib.suppress(OSError, BrokenEntry):
                    failures += decode_entry(path.read_bytes()).failure is not None
        return CacheStats(
            str(self.folder), entries, size, failures, min(uses, default=None), max(uses, default=None)
        )

    def clear(self) -> int:
        """Remove every entry; returns how many. Safe while others use the folder."""
        return self._size.clear()

    def _fetch_missing(
        self, urls: list[str], fetch_many: FetchMany, held: dict[str, contextlib.ExitStack]
    ) -> dict[str, Entry]:
        """With the locks of ``urls`` held: read what came in the meantime, download and store the rest.

        Those in ``held`` are given back as soon as the last URL of each has ended.
        """
        unfinished = Counter(map(self._lock_name, urls))

        def finished(url: str) -> None:
            name = self._lock_name(url)
            unfinished[name] -= 1
            if not unfinished[name] and name in held:
                held.pop(name).close()

        def arrived(entry: Entry) -> None:
            found[entry.url] = entry
            if entry.failure is None or (self.failure_lifetime_s and is_final(entry.failure)):
                self.put(entry)
            finished(entry.url)

        found: dict[str, Entry] = {}
        wanted: list[tuple[str, Entry | None]] = []
        for url in urls:
            entry = self.get(url)
            if entry is not None and self._fresh(entry):
                found[url] = entry
                finished(url)
            else:
                is_of_use = entry is not None and not entry.failure and not instead_of_image(entry.body)
                wanted.append((url, entry if is_of_use else None))
        if wanted:
            fetch_many(wanted, arrived)
        return found

    def _fresh(self, entry: Entry) -> bool:
        if entry.failure is None and instead_of_image(entry.body):
            return False  # kept by a version that kept everything
        lifetime = self.revalidate_after_s if entry.failure is None else self.failure_lifetime_s
        # A time that lies ahead is of a clock that was wrong.
        return lifetime is None or abs(time.time() - entry.checked) < lifetime

    def _path(self, url: str) -> Path:
        name = _digest(url)
        return self.folder / "objects" / name[:2] / name[2:]

    def _lock_name(self, url: str) -> str:
        return _digest(url)[:3]

    def _try_locks(self, urls: Iterable[str]) -> dict[str, contextlib.ExitStack]:
        """Take the locks that nobody holds, by name; at most 256, each is an open file."""
        taken: dict[str, contextlib.ExitStack] = {}
        for name in dict.fromkeys(map(self._lock_name, urls)):
            if len(taken) < MOST_LOCKS:
                with contextlib.suppress(OSError):  # busy, or a folder that cannot be written to
                    held = contextlib.ExitStack()
                    held.enter_context(locked(self.folder / "locks" / name, wait_s=0))
                    taken[name] = held
        return taken

    @contextlib.contextmanager
    def _lock(self, url: str, wait_s: float) -> Iterator[bool]:
        """Wait for the lock of ``url``; if it does not come, go on without: twice is better than never."""
        with contextlib.ExitStack() as held:
            is_locked = False
            with contextlib.suppress(OSError):
                held.enter_context(locked(self.folder / "locks" / self._lock_name(url), wait_s))
                is_locked = True
            yield is_locked


def _release(held: dict[str, contextlib.ExitStack]) -> None:
    for stack in held.values():
        stack.close()


def _digest(url: str) -> str:
    return hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()


def is_final(failure: Failure) -> bool:
    """Whether asking again soon is pointless; failures of the network or of the server may pass."""
    return not failure.kind.later
