"""PNG: XMP in an iTXt chunk (ISO 16684-3), plain or deflated, and C2PA in caBX (C2PA, annex A)."""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress

from img2dataset.imaging.consent.blocks import MOST_PARTS, Blocks

_CHUNK = struct.Struct(">I4s")
_XMP = b"XML:com.adobe.xmp\0"


def blocks_of_png(body: bytes | bytearray, blocks: Blocks) -> None:
    """Fill ``blocks``. XMP may stand behind the pixels, so every chunk is stepped over.

    Raises:
        struct.error: the file has no end.
    """
    view = memoryview(body)
    position = 8
    for _ in range(MOST_PARTS):
        length, name = _CHUNK.unpack_from(body, position)
        start, end = position + 8, position + 8 + length
        if name == b"iTXt" and body.startswith(_XMP, start):
            _add_text(bytes(view[start + len(_XMP) : end]), blocks)
        elif name == b"caBX":
            blocks.add_c2pa(view[start:end])
        elif name == b"IEND":
            return
        position = end + 4


def _add_text(chunk: bytes, blocks: Blocks) -> None:
    """Keep the text of a chunk that begins with its flag of compression."""
    is_deflated, method = chunk[:1] == b"\1", chunk[1:2]
    _language, _, rest = chunk[2:].partition(b"\0")
    _translated, _, text = rest.partition(b"\0")
    if not is_deflated:
        blocks.add_xmp(text)
    elif method == b"\0":
        inflater = zlib.decompressobj()
        with suppress(zlib.error):
            # For zlib a bound of 0 is none.
            blocks.add_xmp(inflater.decompress(text, max(1, blocks.xmp_left)))
