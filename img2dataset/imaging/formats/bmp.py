"""BMP: the headers of OS/2 and Windows (12 to 124 bytes), by Windows' documentation and bmpsuite."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from img2dataset.failures import UNSUPPORTED
from img2dataset.imaging.failure import ImageFailure
from img2dataset.imaging.formats.header import Header, Malformed

FILE_HEADER = 14
PLAIN, RLE8, RLE4, MASKS, MASKS_WITH_ALPHA = 0, 1, 2, 3, 6
_OLD_OS2, _NEW_OS2, _WINDOWS, _WITH_MASKS, _WITH_ALPHA_MASK = 12, 64, 40, 52, 56
_DEPTHS = {
    PLAIN: (1, 2, 4, 8, 16, 24, 32),
    RLE8: (8,),
    RLE4: (4,),
    MASKS: (16, 32),
    MASKS_WITH_ALPHA: (16, 32),
}
_FIVE_BITS = (0x7C00, 0x03E0, 0x001F, 0)
_EIGHT_BITS = (0xFF0000, 0x00FF00, 0x0000FF, 0)


@dataclass(frozen=True, slots=True)
class Bitmap:
    """What a BMP says of itself.

    Attributes:
        top_down: the first row is the topmost.
        masks: of red, green, blue and alpha in a pixel of 16 or 32 bits; 0: there is none.
        palette: where it begins, its entries, and the bytes of each.
        data: where the pixels begin.
    """

    width: int
    height: int
    top_down: bool
    bits: int
    compression: int
    masks: tuple[int, int, int, int]
    palette: tuple[int, int, int]
    data: int


def read_bmp(body: bytes | bytearray) -> Header:
    """A Windows or OS/2 bitmap; a negative height means rows from top to bottom."""
    (size,) = struct.unpack_from("<I", body, 14)
    width, height = struct.unpack_from("<HH" if size == _OLD_OS2 else "<ii", body, 18)
    return Header(extension="bmp", width=width, height=abs(height))


def read_bitmap(body: bytes | bytearray) -> Bitmap:
    """All of the headers.

    Raises:
        struct.error: they are not in the file.
        Malformed: they contradict one another.
        ImageFailure: unsupported.
    """
    data, size = struct.unpack_from("<II", body, 10)
    if size == _OLD_OS2:
        width, height, _, bits = struct.unpack_from("<HHHH", body, 18)
    elif 16 <= size <= 4096:
        width, height, _, bits = struct.unpack_from("<iiHH", body, 18)
    else:
        raise Malformed("header of no known size")
    (compression,) = struct.unpack_from("<I", body, 30) if size >= 20 else (PLAIN,)
    (colours,) = struct.unpack_from("<I", body, 46) if size >= 36 else (0,)
    # OS/2 has other compressions under the same numbers.
    if bits not in _DEPTHS.get(compression, ()) or (size == _NEW_OS2 and compression >= MASKS):
        raise ImageFailure(UNSUPPORTED)
    if width <= 0 or height == 0:
        raise Malformed("size")
    masks, after = _masks(body, size, bits, compression)
    start = FILE_HEADER + size + after
    entry = 3 if size == _OLD_OS2 else 4
    entries = min(colours or 1 << bits, 1 << bits) if bits <= 8 else 0
    if data >= start:
        # Writers who say too many colours begin the pixels where the palette really ends.
        entries = min(entries, (data - start) // entry)
    return Bitmap(
        width=width,
        height=abs(height),
        top_down=height < 0,
        bits=bits,
        compression=compression,
        masks=masks,
        palette=(start, entries, entry),
        data=data or start + entries * entry,
    )


def _masks(
    body: bytes | bytearray, size: int, bits: int, compression: int
) -> tuple[tuple[int, int, int, int], int]:
    """The masks, and how many bytes they take between the header and the palette."""
    if compression not in (MASKS, MASKS_WITH_ALPHA):
        return (_FIVE_BITS if bits == 16 else _EIGHT_BITS), 0
    count = 4 if compression == MASKS_WITH_ALPHA or size >= _WITH_ALPHA_MASK else 3
    found = struct.unpack_from(f"<{count}I", body, FILE_HEADER + _WINDOWS)
    masks = (*found, 0)[:4]
    for mask in masks:
        lowest = mask & -mask
        if mask and (mask // lowest) & (mask // lowest + 1):
            raise ImageFailure(UNSUPPORTED)  # bits that do not stand side by side
    after = 4 * count if size < _WITH_MASKS else 0
    return (masks[0], masks[1], masks[2], masks[3]), after
