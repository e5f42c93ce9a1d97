"""PNGs of every kind: their chunks checked, inflated by ISA-L as far as they have pixels, and no further.

Plain ones are decoded here in a third of the time: filters are undone by the library in ``native``. Others,
and all where that library is missing, go to OpenCV as a new file that holds the pixels alone. So the verdict
and the pixels are the same with and without the library, and neither texts, profiles, animations nor
gigabytes behind the pixels cost anything. What is damaged or misses data is left to the decoders beneath.
Called by decode.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from img2dataset.imaging.colour import Pixels
from img2dataset.imaging.formats.png import SIGNATURE
from img2dataset.imaging.native import PngRequest, native_library
from img2dataset.imaging.opencv import decode_with_opencv

_CHUNK = struct.Struct(">I4s")
_CHANNELS = {0: 1, 2: 3, 6: 4}
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
# Start and step across and down of the passes of an interlaced file (Adam7).
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_FIRST_CHUNK = 33
# How much is inflated at once of large files, and read at once: what is left of it is copied each time.
_BAND_BYTES, _READ_BYTES = 4_000_000, 262_144


@dataclass(frozen=True, slots=True)
class _File:
    """A file whose chunks are in order: what stands in the header, before the pixels, and the pixels."""

    width: int
    height: int
    bits: int
    colours: int
    interlaced: bool
    palette: bytes
    transparency: bytes
    data: bytes

    @property
    def channels(self) -> int | None:
        """Of a plain file; None for any other."""
        plain = self.bits == 8 and not self.interlaced and not self.transparency
        return _CHANNELS.get(self.colours) if plain else None

    @property
    def length(self) -> int:
        """Of what the data inflate to."""
        if not self.interlaced:
            return self._pass(self.width, self.height)
        return sum(
            self._pass(-(-(self.width - x) // across), -(-(self.height - y) // down))
            for x, y, across, down in _PASSES
        )

    def _pass(self, width: int, height: int) -> int:
        if width <= 0 or height <= 0:
            return 0
        return (1 + (width * _SAMPLES[self.colours] * self.bits + 7) // 8) * height


class _Damaged(Exception):
    """The data do not inflate to all of the pixels."""


def decode_png(body: bytes | bytearray) -> Pixels | None:
    """The pixels: (height, width), or (height, width, 3 or 4) in BGR or BGRA; uint8 or uint16.

    Args:
        body: a file whose first chunk is known to be its header.

    Returns:
        None for what is damaged or misses data, and for chunks that a decoder must know and none does.
    """
    file = _read(body)
    if file is None:
        return None
    try:
        if native_library() is not None and file.channels is not None:
            return _unfiltered(file, file.channels)
        return decode_with_opencv(_pixels_alone(file))
    except _Damaged:
        return None


def _read(body: bytes | bytearray) -> _File | None:
    """The chunks that matter, which stand in order and bear their right checksums."""
    from isal.isal_zlib import crc32

    width, height, bits, colours, compression, filters, interlace = struct.unpack_from(">IIBBBBB", body, 16)
    if bits not in _DEPTHS.get(colours, ()) or compression or filters or interlace > 1:
        return None
    view = memoryview(body)
    if crc32(view[12:29]) != int.from_bytes(view[29:33], "big"):
        return None
    parts: list[Any] = []
    before = {b"PLTE": b"", b"tRNS": b""}
    position, over = _FIRST_CHUNK, False
    while position + 12 <= len(body):
        length, name = _CHUNK.unpack_from(body, position)
        end = position + 8 + length
        if name == b"IEND":
            if colours == 3 and not before[b"PLTE"]:
                return None
            palette, transparency, data = before[b"PLTE"], before[b"tRNS"], b"".join(parts)
            return _File(width, height, bits, colours, interlace == 1, palette, transparency, data)
        if name in before or name == b"IDAT":
            is_right = crc32(view[position + 4 : end]) == int.from_bytes(view[end : end + 4], "big")
            if name == b"IDAT":
                if over or not is_right:
                    return None
                parts.append(view[position + 8 : end])
            elif name == b"PLTE" and not is_right:
                return None
            elif is_right and not parts and not before[name]:
                before[name] = bytes(view[position : end + 4])
        elif name[:1].isupper():
            return None
        if name != b"IDAT":
            over = bool(parts)
        position = end + 4
    return None


def _inflated(file: _File, rows_a_band: int, row_bytes: int) -> Iterator[bytes]:
    """The filtered rows, in bands; what is behind the last pixel is not inflated."""
    from isal import isal_zlib

    # Its stub declares an instance.
    failure: type[Exception] = cast(Any, isal_zlib.error)
    inflater = isal_zlib.decompressobj()
    data = memoryview(file.data)
    step = len(data) if file.length <= _BAND_BYTES else _READ_BYTES
    position, left = 0, file.length
    kept: Any = b""
    try:
        while left:
            missing = min(rows_a_band * row_bytes, left)
            left -= missing
            parts = []
            while missing:
                if not kept:
                    kept, position = data[position : position + step], position + step
                had = len(kept)
                part = inflater.decompress(kept, missing)
                kept = inflater.unconsumed_tail
                if part:
                    parts.append(part)
                    missing -= len(part)
                elif inflater.eof or not had or len(kept) == had:
                    raise _Damaged
            yield parts[0] if len(parts) == 1 else b"".join(parts)
        # The checksum at the end, unless there is more than pixels.
        while not inflater.eof and (kept or position < len(data)):
            if not kept:
                kept, position = data[position : position + step], position + step
            if inflater.decompress(kept, 1):
                return
            kept = inflater.unconsumed_tail
    except failure:
        raise _Damaged from None
    if not inflater.eof:
        raise _Damaged


def _unfiltered(file: _File, channels: int) -> Pixels | None:
    library = native_library()
    assert library is not None
    width, height = file.width, file.height
    pixels = np.empty((height, width) if channels == 1 else (height, width, channels), np.uint8)
    row_bytes = width * channels + 1
    band = height if row_bytes * height <= _BAND_BYTES else max(1, _BAND_BYTES // row_bytes)
    top = 0
    for rows in _inflated(file, band, row_bytes):
        count = len(rows) // row_bytes
        above = b""
        if top:
            # Filters refer to the row above: it comes first, as it is, and is written once more.
            row = pixels[top - 1]
            above = b"\0" + (row if channels == 1 else row[:, [2, 1, 0, 3][:channels]]).tobytes()
        filtered = np.frombuffer(above + rows if above else rows, np.uint8)
        target = pixels[top - 1 if top else 0 :]
        request = PngRequest(filtered.ctypes.data, target.ctypes.data, width, count + bool(above), channels)
        if library.unfilter_png(request):
            return None
        top += count
    return pixels


def _pixels_alone(file: _File) -> bytes:
    """A PNG of nothing but its pixels, stored without compression."""
    squeezer = zlib.compressobj(0)
    row_bytes = file.length if file.interlaced else file.length // file.height
    band = 1 if file.interlaced else max(1, _BAND_BYTES // row_bytes)
    data = [squeezer.compress(rows) for rows in _inflated(file, band, row_bytes)]
    header = struct.pack(
        ">IIBBBBB", file.width, file.height, file.bits, file.colours, 0, 0, int(file.interlaced)
    )
    chunks = [_chunk(b"IDAT", part) for part in [*data, squeezer.flush()] if part]
    start = [SIGNATURE, _chunk(b"IHDR", header), file.palette, file.transparency]
    return b"".join([*start, *chunks, _chunk(b"IEND", b"")])


def _chunk(name: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(data, zlib.crc32(name))
    return b"".join([struct.pack(">I", len(data)), name, data, struct.pack(">I", checksum)])
