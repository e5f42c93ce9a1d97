"""What asking for a site's file has brought, as a value, and as the bytes in which processes share it. Pure.

``site_files`` judges by it, ``shared_files`` passes it on within a run, and ``distributing`` from one run to
the next.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from img2dataset.failures import Failure, of_text

# RFC 9309, 2.5: at least this much of a robots.txt must be read; nobody writes more.
LARGEST_BYTES = 500 * 1024
# Some milliseconds for the largest body, and a third of its size; more effort gains little.
_EFFORT = 1
# A checksum of what follows, the lengths of the three parts, when it was fetched.
_HEAD = struct.Struct("<IIIId")
HEAD_BYTES = _HEAD.size


@dataclass(frozen=True, slots=True)
class SiteAnswer:
    """What asking for one file has brought: ``body``, or ``failure`` as of a row.

    ``fetched``: when, in Unix seconds.
    """

    body: bytes | None
    failure: Failure | None
    fetched: float

    def to_entry(self, file_uri: str) -> bytes:
        """It and the file that it is of; ``of_entry`` reads it. Of a body, no more than counts."""
        uri = file_uri.encode()
        failure = b"" if self.failure is None else self.failure.encode()
        # One byte more says that there was more.
        packed = b"" if self.body is None else zlib.compress(self.body[: LARGEST_BYTES + 1], _EFFORT)
        parts = uri + failure + packed
        head = _HEAD.pack(zlib.crc32(parts), len(packed), len(uri), len(failure), self.fetched)
        return head + parts


def length_and_uri(entries: bytes, start: int) -> tuple[int, str] | None:
    """How long the entry at ``start`` is, and of which file; None if that is not in ``entries``."""
    if start + HEAD_BYTES > len(entries):
        return None
    _, packed, uri, failure, _ = _HEAD.unpack_from(entries, start)
    uri_start = start + HEAD_BYTES
    if uri_start + uri > len(entries):
        return None
    file_uri = entries[uri_start : uri_start + uri].decode("utf-8", "replace")
    return HEAD_BYTES + packed + uri + failure, file_uri


def of_entry(entry: bytes) -> tuple[str, SiteAnswer] | None:
    """The file and what it brought; None if the bytes are no entry that was written whole."""
    if len(entry) < HEAD_BYTES:
        return None
    checksum, packed, uri, failure, fetched = _HEAD.unpack_from(entry)
    parts = entry[HEAD_BYTES : HEAD_BYTES + packed + uri + failure]
    if len(parts) < packed + uri + failure or zlib.crc32(parts) != checksum:
        return None
    file_uri, text = parts[:uri].decode(), parts[uri : uri + failure].decode()
    body = zlib.decompress(parts[uri + failure :]) if packed else None
    try:
        return file_uri, SiteAnswer(body, of_text(text) if text else None, fetched)
    except KeyError:  # what no program of this version has written
        return None
