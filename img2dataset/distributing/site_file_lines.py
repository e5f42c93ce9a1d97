"""The file in which a run keeps what sites' files said: answers ↔ compressed lines of JSON. Pure.

The first line says for which User-Agent they were asked for, as a checksum: others may be told something
else. Then a line a file: ``file`` (its address), ``fetched`` (Unix seconds), and ``body``, or ``failure``
such as ``HTTP 404``. Called by ``kept_site_files``.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from img2dataset.failures import of_text
from img2dataset.fetching.consent.answers import LARGEST_BYTES, SiteAnswer

VERSION = 1
# A line of a body of nothing but bytes that are no text has six characters for each.
LONGEST_LINE = 8 * LARGEST_BYTES
_GZIP = 31


@dataclass(frozen=True, slots=True)
class SiteFileLines:
    """What stands in a file.

    ``user_agent``: as ``mark_of`` makes it. ``entries``: of the answers that are wanted. ``newest``: when the
    last of all was fetched, in Unix seconds; 0 if there is none.
    """

    user_agent: str
    entries: list[bytes]
    newest: float


def mark_of(user_agent: str) -> str:
    """A checksum of the User-Agent, which may name a person to write to."""
    return hashlib.blake2b(user_agent.encode(), digest_size=8).hexdigest()


def packed_lines(mark: str, answers: Iterable[tuple[str, SiteAnswer]], most_bytes: int) -> bytes:
    """The contents of a file.

    Args:
        mark: of the User-Agent.
        answers: files of sites and what they said; the last are left out where it would be too large.
        most_bytes: of the whole.
    """
    packing = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
    packed = bytearray(packing.compress(_line({"version": VERSION, "user_agent": mark})))
    for file_uri, answer in answers:
        said: dict[str, object] = {"file": file_uri, "fetched": round(answer.fetched, 3)}
        if answer.failure is not None:
            said["failure"] = str(answer.failure)
        else:
            said["body"] = (answer.body or b"").decode("utf-8", "surrogateescape")
        line = _line(said)
        # What the packer holds back is no more than a line, and some.
        if len(packed) + len(line) > most_bytes - (64 << 10):
            break
        packed += packing.compress(line)
    return bytes(packed + packing.flush())


def lines_of(contents: bytes, is_wanted: Callable[[str, SiteAnswer], bool]) -> SiteFileLines:
    """What stands in a file. It is unpacked line by line: what is kept in memory is packed again.

    Args:
        contents: of the file.
        is_wanted: whether an answer of a site's file is.

    Raises:
        Exception: it is none, or was not written whole.
    """
    entries: list[bytes] = []
    newest = 0.0
    with gzip.open(io.BytesIO(contents)) as file:
        head = json.loads(file.readline(LONGEST_LINE))
        if head["version"] != VERSION:
            raise ValueError(f"its version is {head['version']}; this program reads {VERSION}")
        while line := file.readline(LONGEST_LINE):
            said = json.loads(line)
            failure = said.get("failure")
            body = None if failure is not None else said["body"].encode("utf-8", "surrogateescape")
            answer = SiteAnswer(body, None if failure is None else of_text(failure), float(said["fetched"]))
            newest = max(newest, answer.fetched)
            if is_wanted(str(said["file"]), answer):
                entries.append(answer.to_entry(str(said["file"])))
    return SiteFileLines(str(head["user_agent"]), entries, newest)


def _line(said: dict[str, object]) -> bytes:
    return json.dumps(said).encode() + b"\n"
