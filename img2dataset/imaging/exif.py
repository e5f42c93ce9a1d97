"""The EXIF of a file as a JSON string, as img2dataset 1.47.0 wrote it. Called by the processor."""

from __future__ import annotations

import io
import json
import logging

import exifread

from img2dataset.imaging.formats.header import Header

NONE = "{}"

# A telephone's block takes some hundred reads. Hostile ones (each of 60,000 tags naming the same thousand
# values) took minutes and gigabytes.
_MOST_READS = 4_000

# It warns of every oddity of every camera.
logging.getLogger("exifread").disabled = True


def exif_json(body: bytes | bytearray, header: Header) -> str | None:
    """Tag name → printable value, in the file's order, without maker notes and thumbnails.

    Returns:
        ``"{}"`` where there is no EXIF, None where it cannot be read.
    """
    if header.exif is None:
        return NONE
    block = header.exif if isinstance(header.exif, bytes) else _part(body, *header.exif)
    if not block.startswith((b"II", b"MM")):
        return None
    try:
        tags = exifread.process_file(_Block(block), details=False)
        return json.dumps({str(name): str(value) for name, value in tags.items()})
    except Exception:
        # Hostile blocks bring it to raise nearly anything; a row is worth more than its EXIF.
        return None


class _Block(io.BytesIO):
    """An EXIF block that can be read so many times and no more."""

    _reads_left = _MOST_READS

    def read(self, size: int | None = -1) -> bytes:
        self._reads_left -= 1
        if self._reads_left < 0:
            raise ValueError("too many reads")
        return super().read(size)


def _part(body: bytes | bytearray, start: int, end: int) -> bytes | bytearray:
    return body if (start, end) == (0, len(body)) else body[start:end]
