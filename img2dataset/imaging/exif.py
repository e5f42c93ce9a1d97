"""The EXIF of a file as a JSON string, as img2dataset 1.47.0 wrote it. Called by the processor."""

from __future__ import annotations

import io
import json
import logging

import exifread

from img2dataset.imaging.formats.header import Header

NONE = "{}"

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
        tags = exifread.process_file(io.BytesIO(block), details=False)
        return json.dumps({str(name): str(value) for name, value in tags.items()})
    except Exception:
        # Hostile blocks bring it to raise nearly anything; a row is worth more than its EXIF.
        return None


def _part(body: bytes | bytearray, start: int, end: int) -> bytes | bytearray:
    return body if (start, end) == (0, len(body)) else body[start:end]
