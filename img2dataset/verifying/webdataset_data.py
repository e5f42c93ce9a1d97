"""A tar of the webdataset format, read to its end mark.

In: a path on the local disk. Out: its samples, compared with the metadata, or ``BrokenFile``. Called by
``checking``.

``tarfile`` takes a header that it cannot read for the end of the archive and is silent about a missing end
mark, so that a cut or damaged archive is only a shorter one: headers are read here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from img2dataset.verifying.findings import BrokenFile, Findings
from img2dataset.verifying.samples import (
    CAPTION_ENDING,
    JSON_ENDING,
    FoundSample,
    SampleComparison,
    read_json,
)
from img2dataset.writing.tar import BLOCK, padding

_REGULAR = (b"0", b"\0")
_PAX_NOTE = b"x"  # of 1.47.0: the time with fractions, before every member
_PAX_NOTE_FOR_ALL = b"g"
_CHECKSUM = slice(148, 156)


@dataclass(frozen=True, slots=True)
class Member:
    """A file in a tar; ``contents`` is None where it was not asked for."""

    name: str
    size: int
    contents: bytes | None


def check_webdataset(path: str, comparison: SampleComparison, findings: Findings) -> None:
    """Compare every sample of a tar.

    Raises:
        BrokenFile: the tar is not whole.
    """

    def is_wanted(name: str) -> bool:
        return comparison.wants_images or name.endswith((f".{JSON_ENDING}", f".{CAPTION_ENDING}"))

    with open(path, "rb") as file:
        members: list[Member] = []
        for member in read_members(file, os.path.getsize(path), is_wanted):
            if members and _key(member) != _key(members[0]):
                comparison.add(_sample(members, findings))
                members = []
            members.append(member)
        if members:
            comparison.add(_sample(members, findings))
    comparison.finish()


def _key(member: Member) -> str:
    return member.name.partition(".")[0]


def _sample(members: list[Member], findings: Findings) -> FoundSample:
    """The members of one key, which follow each other."""
    parts: dict[str, Member] = {}
    for member in members:
        ending = member.name.partition(".")[2]
        if ending in parts:
            findings.add("member twice in the tar", member.name)
        parts[ending] = member
    document, caption = parts.pop(JSON_ENDING, None), parts.pop(CAPTION_ENDING, None)
    images = list(parts.values())
    for other in images[1:]:
        findings.add("more than one image for a key", other.name)
    return FoundSample(
        key=_key(members[0]),
        image_bytes=images[0].size if images else None,
        image=images[0].contents if images else None,
        caption=caption.contents if caption else None,
        repeated=read_json(document.contents or b"", document.name, findings) if document else None,
    )


def read_members(file: BinaryIO, size: int, is_wanted: Callable[[str], bool]) -> Iterator[Member]:
    """The regular files of a tar, in order; contents only of those that are wanted, the others are skipped.

    Args:
        file: at its beginning.
        size: of the whole file, in bytes.
        is_wanted: told a member's name.

    Raises:
        BrokenFile: a header is damaged, the file ends early, or something stands behind the end mark.
    """
    position = 0
    while True:
        header = file.read(BLOCK)
        if len(header) < BLOCK:
            raise BrokenFile(f"ends at byte {size:,}, before the end mark")
        if not any(header):
            _check_end(file)
            return
        name, content_size, kind = _read_header(header, position)
        end = position + BLOCK + content_size + len(padding(content_size))
        if end > size:
            raise BrokenFile(f"ends at byte {size:,}, within {name!r}")
        if kind in _REGULAR:
            yield Member(name, content_size, file.read(content_size) if is_wanted(name) else None)
        elif kind not in (_PAX_NOTE, _PAX_NOTE_FOR_ALL):
            raise BrokenFile(f"has {name!r}, which is no regular file, at byte {position:,}")
        file.seek(end)
        position = end


def _read_header(header: bytes, position: int) -> tuple[str, int, bytes]:
    """Name, size in bytes and kind of what follows the header block at ``position``."""
    try:
        checksum = int(header[_CHECKSUM].strip(b"\0 "), 8)
        size = int(header[124:136].strip(b"\0 ") or b"0", 8)
        name = header[:100].rstrip(b"\0").decode()
    except ValueError:
        raise BrokenFile(f"has a damaged header at byte {position:,}") from None
    if checksum != sum(header) - sum(header[_CHECKSUM]) + 8 * ord(" ") or size < 0:
        raise BrokenFile(f"has a damaged header at byte {position:,}")
    return name, size, header[156:157]


def _check_end(file: BinaryIO) -> None:
    """After the first block of the end mark: the second, and then zeros only."""
    if file.read(BLOCK) != bytes(BLOCK):
        raise BrokenFile("ends within its end mark")
    while rest := file.read(1 << 20):
        if any(rest):
            raise BrokenFile("has something behind its end mark")
