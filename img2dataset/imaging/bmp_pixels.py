"""A BMP comes in, 8-bit grey, BGR or BGRA comes out. Called by decode.

OpenCV passes over masks, short palettes' headers and the width of runs, and takes the fourth byte, which most
writers leave at 0, for alpha.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from img2dataset.failures import CORRUPT, TRUNCATED
from img2dataset.imaging.colour import Pixels, scaled_to_eight_bits
from img2dataset.imaging.failure import ImageFailure
from img2dataset.imaging.formats.bmp import RLE4, RLE8, Bitmap, read_bitmap
from img2dataset.imaging.formats.header import Malformed

_END_OF_LINE, _END_OF_IMAGE, _MOVE = 0, 1, 2


def decode_bmp(body: bytes | bytearray) -> Pixels:
    """The pixels: (height, width), or (height, width, 3 or 4), uint8, BGR or BGRA.

    A palette of greys gives grey, as OpenCV has it.

    Raises:
        ImageFailure: unsupported, truncated or corrupt.
    """
    try:
        bitmap = read_bitmap(body)
    except struct.error:
        raise ImageFailure(TRUNCATED) from None
    except Malformed:
        raise ImageFailure(CORRUPT) from None
    if bitmap.bits <= 8:
        indexes = _run_lengths(body, bitmap) if bitmap.compression in (RLE8, RLE4) else _indexes(body, bitmap)
        pixels = _palette(body, bitmap)[indexes]
    elif bitmap.bits == 24:
        pixels = _rows(body, bitmap)[:, : bitmap.width * 3].reshape(bitmap.height, bitmap.width, 3)
    else:
        pixels = _masked(_rows(body, bitmap), bitmap)
    if not bitmap.top_down:
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _rows(body: bytes | bytearray, bitmap: Bitmap) -> Pixels:
    """Rows as they are stored, of shape (height, bytes of a row), each filled up to four bytes."""
    used = (bitmap.width * bitmap.bits + 7) // 8
    stride = (used + 3) // 4 * 4
    whole = stride * bitmap.height
    there = len(body) - bitmap.data
    if there >= whole:
        return np.frombuffer(body, np.uint8, whole, bitmap.data).reshape(bitmap.height, stride)
    if there < whole - stride + used:
        raise ImageFailure(TRUNCATED)
    # What fills up the last row may be missing.
    rows = np.frombuffer(bytes(body[bitmap.data :]).ljust(whole, b"\0"), np.uint8)
    return rows.reshape(bitmap.height, stride)


def _indexes(body: bytes | bytearray, bitmap: Bitmap) -> Pixels:
    rows, bits = _rows(body, bitmap), bitmap.bits
    if bits == 8:
        return rows[:, : bitmap.width]
    shifts = np.arange(8 - bits, -1, -bits, dtype=np.uint8)
    single = (rows[:, :, None] >> shifts) & ((1 << bits) - 1)
    indexes: Pixels = single.reshape(bitmap.height, -1)[:, : bitmap.width]
    return indexes


def _palette(body: bytes | bytearray, bitmap: Bitmap) -> Pixels:
    """The colours of all indexes, shape (2 ** bits, 3), or (2 ** bits,) of greys; missing ones are black."""
    start, entries, entry = bitmap.palette
    entries = min(entries, max(0, len(body) - start) // entry)
    palette = np.zeros((1 << bitmap.bits, 3), np.uint8)
    # A header of any length may say that the palette begins behind the file's end.
    stored = np.frombuffer(body[start : start + entries * entry], np.uint8).reshape(entries, entry)
    palette[:entries] = stored[:, :3]
    return palette[:, 0] if (palette == palette[:, :1]).all() else palette


def _masked(rows: Pixels, bitmap: Bitmap) -> Pixels:
    bytes_a_pixel = bitmap.bits // 8
    if bitmap.masks == (0xFF0000, 0x00FF00, 0x0000FF, 0):
        return rows.reshape(bitmap.height, bitmap.width, 4)[:, :, :3]
    values = rows[:, : bitmap.width * bytes_a_pixel].reshape(bitmap.height, -1).view(f"<u{bytes_a_pixel}")
    red, green, blue, alpha = bitmap.masks
    channels = [_channel(values, mask) for mask in (blue, green, red)]
    if alpha:
        opacity = _channel(values, alpha)
        # Writers who forget it leave zeros: an image that nobody could see is opaque.
        if opacity.any():
            channels.append(opacity)
    return np.dstack(channels)


def _channel(values: Pixels, mask: int) -> Pixels:
    if not mask:
        return np.zeros(values.shape, np.uint8)
    shift = (mask & -mask).bit_length() - 1
    bits = (mask >> shift).bit_length()
    least = max(0, bits - 16)
    numbers = ((values & np.uint32(mask)) >> (shift + least)).astype(np.uint16)
    return scaled_to_eight_bits(numbers, bits - least)


def _run_lengths(body: bytes | bytearray, bitmap: Bitmap) -> Pixels:
    """Indexes of RLE8 or RLE4, rows as they are stored. What runs past the width is cut off."""
    indexes = np.zeros((bitmap.height, bitmap.width), np.uint8)
    two_in_a_byte = bitmap.compression == RLE4
    position, x, y = bitmap.data, 0, 0
    end = len(body)
    while y < bitmap.height:
        if position + 2 > end:
            if y == bitmap.height - 1 and x >= bitmap.width:
                break
            raise ImageFailure(TRUNCATED)
        count, value = body[position], body[position + 1]
        position += 2
        if count:
            _put(indexes[y], x, count, _alternating(value, count) if two_in_a_byte else value)
            x += count
        elif value == _END_OF_LINE:
            x, y = 0, y + 1
        elif value == _END_OF_IMAGE:
            break
        elif value == _MOVE:
            if position + 2 > end:
                raise ImageFailure(TRUNCATED)
            x, y = x + body[position], y + body[position + 1]
            position += 2
        else:
            length = (value + 1) // 2 if two_in_a_byte else value
            literal = np.frombuffer(body[position : position + length], np.uint8)
            if len(literal) < length:
                raise ImageFailure(TRUNCATED)
            if two_in_a_byte:
                literal = np.stack([literal >> 4, literal & 15], axis=1).reshape(-1)[:value]
            _put(indexes[y], x, value, literal)
            x += value
            position += length + (length & 1)
    return indexes


def _put(row: Pixels, x: int, count: int, values: Any) -> None:
    room = len(row) - x
    if room > 0:
        row[x : x + count] = values if isinstance(values, int) else values[:room]


def _alternating(value: int, count: int) -> Pixels:
    return np.resize(np.array([value >> 4, value & 15], np.uint8), count)
