"""A tar of the webdataset format, read to its end mark.

In: a path on the local disk. Out: its samples, compared with the metadata, or ``BrokenFile``. Called by
``checking``.

Headers are read by the writing room's own reader: ``tarfile`` takes one that it cannot read for the end of
the archive and is silent about a missing end mark, so that a damaged archive is only a shorter one.
"""

from __future__ import annotations

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
from img2dataset.writing.tar import padding
from img2dataset.writing.tar_reading import members


@dataclass(frozen=True, slots=True)
class Part:
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
        sample: list[Part] = []
        for part in _read_parts(file, is_wanted):
            if sample and _key(part) != _key(sample[0]):
                comparison.add(_sample(sample, findings))
                sample = []
            sample.append(part)
        if sample:
            comparison.add(_sample(sample, findings))
    comparison.finish()


def _key(part: Part) -> str:
    return part.name.partition(".")[0]


def _sample(found: list[Part], findings: Findings) -> FoundSample:
    """The members of one key, which follow each other."""
    parts: dict[str, Part] = {}
    for part in found:
        ending = part.name.partition(".")[2]
        if ending in parts:
            findings.add("member twice in the tar", part.name)
        parts[ending] = part
    document, caption = parts.pop(JSON_ENDING, None), parts.pop(CAPTION_ENDING, None)
    images = list(parts.values())
    for other in images[1:]:
        findings.add("more than one image for a key", other.name)
    return FoundSample(
        key=_key(found[0]),
        image_bytes=images[0].size if images else None,
        image=images[0].contents if images else None,
        caption=caption.contents if caption else None,
        repeated=read_json(document.contents or b"", document.name, findings) if document else None,
    )


def _read_parts(file: BinaryIO, is_wanted: Callable[[str], bool]) -> Iterator[Part]:
    """The members of a tar, in order; contents only of those that are wanted, the others are skipped."""
    end = 0
    try:
        for member in members(file.fileno()):
            if member.start != end:
                raise BrokenFile(f"has something that is no regular file at byte {end:,}")
            contents = None
            if is_wanted(member.name):
                file.seek(member.end - len(padding(member.size)) - member.size)
                contents = file.read(member.size)
            yield Part(member.name, member.size, contents)
            end = member.end
    except ValueError as error:
        raise BrokenFile(f"is broken: {error}") from error
    _check_end(file, end)


def _check_end(file: BinaryIO, end: int) -> None:
    """Behind the last member: the end mark, which has been read, and nothing but zeros after it."""
    file.seek(end)
    while rest := file.read(1 << 20):
        if any(rest):
            raise BrokenFile("has something behind its end mark, or that is no regular file")
