"""Where XMP and C2PA stand in a file: its bytes come in, the blocks go out. One function a format.

A file that is cut or broken gives what stands before the break. Formats not listed here give nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress

from img2dataset.imaging.consent.blocks import Blocks
from img2dataset.imaging.consent.in_jpeg import blocks_of_jpeg
from img2dataset.imaging.consent.in_media_boxes import blocks_of_media_boxes
from img2dataset.imaging.consent.in_png import blocks_of_png
from img2dataset.imaging.consent.in_webp import blocks_of_webp

# Where the mark of a format stands, and the mark. AVIF and HEIF: any file of media boxes.
_FORMATS: tuple[tuple[int, bytes, Callable[[bytes | bytearray, Blocks], None]], ...] = (
    (0, b"\xff\xd8\xff", blocks_of_jpeg),
    (0, b"\x89PNG\r\n\x1a\n", blocks_of_png),
    (8, b"WEBP", blocks_of_webp),
    (4, b"ftyp", blocks_of_media_boxes),
)


def embedded_in(body: bytes | bytearray) -> Blocks:
    """The blocks of one file, at most as large as ``blocks`` says."""
    blocks = Blocks()
    for at, mark, read in _FORMATS:
        if body.startswith(mark, at):
            with suppress(struct.error, IndexError):  # the file ends early
                read(body, blocks)
            break
    return blocks
