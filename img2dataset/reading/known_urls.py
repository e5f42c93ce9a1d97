"""The URLs that an output already has, in a set on disk of any size. Used by the api for ``new_only``.

Metadata files go in; ``only_new_rows`` asks. Each URL takes 16 bytes of disk while the set stands: 16 GB
for 10^9, and 31 MB of memory. Filling it costs 1.2 µs of CPU a URL, a look-up 4 µs and 8 KB read.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

from img2dataset.errors import OutputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from img2dataset.reading.sorted_hashes import SortedHashes

# URLs held as Python strings at a time.
BATCH_ROWS = 8192
# Hashing takes one core, and a local disk keeps up with it: a second thread is for disks that are mounted
# from afar. A store is waited for, 20 to 100 ms a request.
LOCAL_READERS = 2
STORE_READERS = 16


class KnownUrls:
    """A set of URLs, kept on disk as 128-bit hashes. Fill it first; the first look-up closes it to more.

    Two URLs are equal if their text is. A new URL is taken for a known one, and its row lost, only if
    their hashes are equal: with n new and k known URLs that is expected n·k / 2^128 times, 3·10^-21 for
    10^9 of each (with 64 bits it would be 0.05, and a lost row in every twentieth such list).

    Args:
        temporary_folder: a local folder with 16 bytes of room for each URL. Nothing is left in it after
            ``close``, the end of the ``with`` block or, once look-ups have begun, of the process.
    """

    def __init__(self, temporary_folder: str) -> None:
        from img2dataset.reading.sorted_hashes import SortedHashes

        self._parent = temporary_folder
        with self._disk():
            os.makedirs(temporary_folder, exist_ok=True)
            self._folder = tempfile.mkdtemp(prefix="img2dataset-known-", dir=temporary_folder)
        self._remove = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._hashes: SortedHashes | None = SortedHashes(self._folder)
        self._is_sorted = False
        self._adding = threading.Lock()
        self._count = 0
        self._sums = (0, 0)
        self.rows_without_url = 0

    def __enter__(self) -> KnownUrls:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __len__(self) -> int:
        """How many different URLs there are. Closes the set to more."""
        return len(self._look_up())

    @property
    def fingerprint(self) -> str:
        """Their number and sum: the same for the same rows, in whatever order they came."""
        rows = self._count + self.rows_without_url
        return f"{rows}-{self._sums[0]:016x}{self._sums[1]:016x}"

    def close(self) -> None:
        """Give the disk back; there are no look-ups after this."""
        if self._hashes is not None:
            self._hashes.close()
        self._hashes = None
        self._remove()

    def add(self, urls: Any) -> None:
        """Take in a chunked Arrow array of strings; nulls are only counted. Safe from several threads.

        Raises:
            OutputError: the temporary folder cannot take them.
        """
        from img2dataset.reading.sorted_hashes import url_hashes

        with self._adding:
            self.rows_without_url += urls.null_count
        for start in range(0, len(urls), BATCH_ROWS):
            hashes = url_hashes(_as_bytes(urls.slice(start, BATCH_ROWS).drop_null()))
            with self._adding, self._disk():
                if self._hashes is None or self._is_sorted:
                    raise ValueError("URLs cannot be added after the first look-up, or to a closed set")
                self._hashes.add(hashes)
                self._count += len(hashes)
                sums = hashes.view("<u8").reshape(-1, 2).sum(axis=0, dtype="u8").tolist()
                self._sums = (self._sums[0] + sums[0]) % 2**64, (self._sums[1] + sums[1]) % 2**64

    def add_from_metadata(
        self, paths: Iterable[str], on_progress: Callable[[int, int], None] = lambda files, urls: None
    ) -> int:
        """Take in the URLs of finished shards, those that failed too.

        Args:
            paths: metadata files, or data files with ``output_format="parquet"``; on any file system
                fsspec knows. Taken up as they are read, so a generator of a million paths is fine.
            on_progress: told after each file how many files and rows have been read. What it raises
                ends the reading.

        Returns:
            Rows read.

        Raises:
            InputError: a file cannot be read or is no metadata; the message names it and the way out.
            MissingDependency: the file system needs a package that is not installed.
            OutputError: the temporary folder cannot take them.
        """
        from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

        from img2dataset.reading.finished_urls import is_local

        remaining = iter(paths)
        ahead = list(islice(remaining, 1))
        readers = LOCAL_READERS if not ahead or is_local(ahead[0]) else STORE_READERS
        ahead += islice(remaining, readers)
        files = read_rows = 0
        with ThreadPoolExecutor(readers, thread_name_prefix="known-urls") as pool:
            reading = {pool.submit(self._add_file, path) for path in ahead}
            try:
                while reading:
                    read, reading = wait(reading, return_when=FIRST_COMPLETED)
                    for future in read:
                        read_rows += future.result()
                        files += 1
                        on_progress(files, read_rows)
                    reading |= {pool.submit(self._add_file, path) for path in islice(remaining, len(read))}
            finally:
                for future in reading:
                    future.cancel()
        return read_rows

    def _add_file(self, path: str) -> int:
        from img2dataset.reading.finished_urls import finished_urls

        rows = 0
        for urls in finished_urls(path):
            self.add(urls)
            rows += len(urls)
        return rows

    def contains(self, urls: Any) -> NDArray[np.bool_]:
        """Which strings of a chunked Arrow array are in the set; a null never is.

        Raises:
            OutputError: the temporary folder has no room to sort the set (first look-up only), or its
                disk fails.
        """
        import numpy as np

        from img2dataset.reading.sorted_hashes import url_hashes

        found = np.zeros(len(urls), np.bool_)
        known = self._look_up()
        if len(known):
            for start in range(0, len(urls), BATCH_ROWS):
                batch = urls.slice(start, BATCH_ROWS)
                present = np.flatnonzero(batch.is_valid().to_numpy())
                hashes = url_hashes(_as_bytes(batch.drop_null()))
                with self._disk():
                    found[start + present] = known.contains(hashes)
        return found

    def _look_up(self) -> SortedHashes:
        hashes = self._hashes
        if hashes is None:
            raise ValueError("this set of known URLs is closed")
        if not self._is_sorted:
            # Gone before it is sorted: half of it, where the disk fails, must not pass for all of it.
            self._hashes = None
            with self._disk():
                hashes.sort()
            self._hashes, self._is_sorted = hashes, True
            self._remove()
        return hashes

    @contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(
                f"the known URLs cannot be kept in {self._parent}: {error.strerror or error}; they need 16"
                " bytes for each image of the output: make room there, or set TMPDIR to a folder with more"
            ) from error


def _as_bytes(urls: Any) -> list[bytes]:
    import pyarrow as pa

    texts: list[bytes] = urls.cast(pa.binary()).to_pylist()
    return texts
