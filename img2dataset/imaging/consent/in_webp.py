"""WebP: XMP and C2PA in RIFF chunks of their own (RFC 9649; C2PA, annex A)."""

from __future__ import annotations

import struct

from img2dataset.imaging.consent.blocks import MOST_PARTS, Blocks

_CHUNK = struct.Struct("<4sI")


def blocks_of_webp(body: bytes | bytearray, blocks: Blocks) -> None:
    """Fill ``blocks``. Both stand behind the pixels, so every chunk is stepped over.

    Raises:
        struct.error: the end of the file.
    """
    view = memoryview(body)
    position = 12
    for _ in range(MOST_PARTS):
        name, length = _CHUNK.unpack_from(body, position)
        start = position + 8
        if name == b"XMP ":
            blocks.add_xmp(view[start : start + length])
        elif name == b"C2PA":
            blocks.add_c2pa(view[start : start + length])
        position = start + length + (length & 1)
