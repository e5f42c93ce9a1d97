"""The pieces (strips, tiles) of a TIFF: compressed bytes come in, rows of bytes go out, in bands.

Deflate by ISA-L; LZW, PackBits, fax and what is rarer by Pillow's libtiff, which is given a small grey TIFF
made of the pieces alone, so that nothing else in the file can mislead it. Damage is a failure.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from functools import cache
from itertools import accumulate
from typing import Any, cast

import numpy as np
from PIL import Image

from img2dataset.failures import CORRUPT, TOO_MANY_PIXELS, TRUNCATED, UNSUPPORTED
from img2dataset.imaging.decoder_messages import captured_messages
from img2dataset.imaging.failure import ImageFailure
from img2dataset.imaging.tiff.layout import DEFLATE, FAX, LZMA, NOTHING, ZSTD, Layout

Rows = np.ndarray[Any, Any]

# How much is decompressed at once, as far as the pieces allow: small beside the pixels.
BAND_BYTES = 4_000_000
# Smaller fax pieces are not checked for unused bytes: most of theirs may be the end mark and padding.
_FEWEST_FAX_BYTES = 64
_BITS_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_NAMES = {LZMA: "lzma", ZSTD: "zstd"}


class Pieces:
    """The pieces of one image.

    Args:
        body: the file.
        layout: what its directory says.
        reversed_bits: each byte is stored with its first bit last.
        fax_options: T4Options or T6Options.
    """

    def __init__(self, body: bytes | bytearray, layout: Layout, reversed_bits: bool, fax_options: int):
        self._body = memoryview(body)
        self._layout = layout
        self._reversed_bits = reversed_bits
        self._fax_options = fax_options
        samples = layout.samples if layout.planes == 1 else 1
        self._decompressed: dict[int, Rows] = {}
        self.row_bytes = -(-layout.piece_width * samples * layout.bits // 8)

    def bands(self, piece: int, rows: int) -> Iterator[Rows]:
        """The rows of one piece from top to bottom, of shape (some, row_bytes), uint8.

        Raises:
            ImageFailure: truncated, corrupt, or of a compression that this Pillow lacks.
        """
        if self._layout.compression == NOTHING:
            yield from self._stored(self._data(piece, rows * self.row_bytes), rows)
        elif self._layout.compression in DEFLATE:
            yield from self._inflated(self._data(piece, rows * self.row_bytes), rows, piece)
        else:
            yield self._by_libtiff(piece, rows)

    def _data(self, piece: int, decompressed: int) -> memoryview | bytes:
        offset, length = self._layout.offsets[piece], self._layout.lengths[piece]
        # Some writers give a wrong length, or none. The data is then looked for up to the end of the file, or
        # up to this many bytes: no compression makes a piece larger.
        most = 16 * decompressed + 4096 if self._layout.compression != NOTHING else decompressed
        if self._layout.compression == NOTHING or length <= 0:
            length = most
        data = self._body[offset : offset + min(length, most)] if offset <= len(self._body) else b""
        if not data:
            raise ImageFailure(TRUNCATED)
        return bytes(data).translate(_BITS_REVERSED) if self._reversed_bits else data

    def _failure(self, pieces: range) -> ImageFailure:
        """For pieces that cannot be decompressed."""
        ends = max(self._layout.offsets[piece] + self._layout.lengths[piece] for piece in pieces)
        return ImageFailure(TRUNCATED if ends > len(self._body) else CORRUPT)

    def _stored(self, data: memoryview | bytes, rows: int) -> Iterator[Rows]:
        if len(data) < rows * self.row_bytes:
            raise ImageFailure(TRUNCATED)
        every = np.frombuffer(data, np.uint8, rows * self.row_bytes).reshape(rows, self.row_bytes)
        for first in range(0, rows, self._rows_a_band()):
            yield every[first : first + self._rows_a_band()]

    def _inflated(self, data: memoryview | bytes, rows: int, piece: int) -> Iterator[Rows]:
        from isal import isal_zlib

        # The type stub of isal declares an instance of the exception, not its class.
        failure: type[Exception] = cast(Any, isal_zlib.error)
        inflater = isal_zlib.decompressobj()
        # The input is given in parts: the decompressor copies what it has not used yet at every call.
        position, kept = 0, b""
        for first in range(0, rows, self._rows_a_band()):
            wanted = min(self._rows_a_band(), rows - first)
            parts, missing = [], wanted * self.row_bytes
            while missing:
                try:
                    part = inflater.decompress(kept, missing)
                except failure:
                    raise self._failure(range(piece, piece + 1)) from None
                kept = inflater.unconsumed_tail
                if part:
                    parts.append(part)
                    missing -= len(part)
                elif kept or (position >= len(data) or inflater.eof):
                    raise self._failure(range(piece, piece + 1))
                if missing and not kept:
                    kept = bytes(data[position : position + 65_536])
                    position += 65_536
            yield np.frombuffer(b"".join(parts), np.uint8).reshape(wanted, self.row_bytes)
        try:
            # Go on to the checksum, which is compared; more pixels, or what follows it, do not matter.
            inflater.decompress(kept or bytes(data[position : position + 64]), 1)
        except failure:
            raise self._failure(range(piece, piece + 1)) from None

    def _by_libtiff(self, piece: int, rows: int) -> Rows:
        """Pieces of the same number of rows are decompressed together: opening a TIFF costs 0.1 ms."""
        if piece not in self._decompressed:
            self._decompressed.clear()
            together = range(piece, piece + self._number_together(piece, rows))
            decompressed = self._decompress(together, rows)
            self._decompressed.update(zip(together, np.split(decompressed, len(together)), strict=True))
        return self._decompressed.pop(piece)

    def _number_together(self, piece: int, rows: int) -> int:
        """How many pieces of the same number of rows, from this one on, fit in one band."""
        layout = self._layout
        left = layout.across * layout.down - piece % (layout.across * layout.down)
        if not layout.tiled:
            # The last strip may have fewer rows.
            left = max(1, left - 1) if rows == layout.piece_height else 1
        return min(left, max(1, BAND_BYTES // (rows * self.row_bytes)))

    def _decompress(self, pieces: range, rows: int) -> Rows:
        if not _can_decompress(self._layout.compression):
            raise ImageFailure(UNSUPPORTED)
        data = [self._data(piece, rows * self.row_bytes) for piece in pieces]
        decompressed, complained = self._by_pillow(data, rows)
        # Of fax libtiff complains and goes on with the next row.
        if decompressed is None or complained:
            raise self._failure(pieces)
        if self._layout.compression not in FAX:
            return decompressed
        self._refuse_unused_fax(data, decompressed, rows, pieces)
        return np.packbits(decompressed, axis=1)

    def _by_pillow(self, data: list[memoryview | bytes], rows: int) -> tuple[Rows | None, bool]:
        """What is in the pieces, of each byte (of fax: bit) one number; and whether libtiff complained."""
        compression = self._layout.compression
        fax = compression in FAX
        width = self._layout.piece_width if fax else self.row_bytes
        small = _small_tiff(data, width, rows, compression, self._fax_options if fax else None)
        with captured_messages() as messages:
            try:
                # One pixel is one byte, or one bit, of the pieces: no bomb that the whole image is not.
                image = Image.open(io.BytesIO(small), formats=("TIFF",))
                image.load()
                decompressed = np.asarray(image)
            except MemoryError:
                raise
            except Image.DecompressionBombError:
                raise ImageFailure(TOO_MANY_PIXELS) from None
            except Exception:
                return None, True
        return (decompressed if decompressed.shape == (rows * len(data), width) else None), bool(messages)

    def _refuse_unused_fax(
        self, data: list[memoryview | bytes], decompressed: Rows, rows: int, pieces: range
    ) -> None:
        """Refuse pieces whose last bytes were not used: libtiff has taken damage for the end mark.

        The rest of such a piece is white, without a complaint. To find out, each piece is decoded again with
        other bytes at its end: if they were used, the picture changes or libtiff complains.
        """
        if min(map(len, data)) < _FEWEST_FAX_BYTES:
            return
        others = [_with_another_end(piece) for piece in data]
        again, _ = self._by_pillow(list(others), rows)
        for number, other in enumerate(others):
            its_rows = slice(number * rows, (number + 1) * rows)
            if again is None or np.array_equal(again[its_rows], decompressed[its_rows]):
                # By itself, so that a complaint is known to be about this piece.
                alone, complained = self._by_pillow([other], rows)
                if not complained and alone is not None and np.array_equal(alone, decompressed[its_rows]):
                    raise self._failure(pieces)

    def _rows_a_band(self) -> int:
        return max(1, BAND_BYTES // self.row_bytes)


def _with_another_end(data: memoryview | bytes) -> bytes:
    used = bytes(data).rstrip(b"\0")
    return used[: -max(16, len(used) // 8)] + b"\x5a\xa5\x3c\xc3" * 16


def _small_tiff(
    strips: list[memoryview | bytes], width: int, rows: int, compression: int, fax_options: int | None
) -> bytes:
    """A TIFF of strips of so many rows of 8-bit grey, or of single bits as they are."""
    bits, height = (8 if fax_options is None else 1), rows * len(strips)
    tags = [(256, width), (257, height), (258, bits), (259, compression), (262, 1), (273, None), (277, 1)]
    tags += [(278, rows), (279, None)]
    if fax_options is not None and compression != 2:
        tags.append((292 if compression == 3 else 293, fax_options))
    end = 8 + 2 + 12 * len(tags) + 4
    lengths = [len(strip) for strip in strips]
    lists = 8 * len(strips) if len(strips) > 1 else 0
    offsets = list(accumulate(lengths[:-1], initial=end + lists))
    arrays = b""
    entries = b""
    for tag, value in tags:
        count = 1
        if value is None:
            values = offsets if tag == 273 else lengths
            count, value = len(values), values[0]
            if count > 1:
                value = end + len(arrays)
                arrays += struct.pack(f"<{count}I", *values)
        entries += struct.pack("<HHII", tag, 4, count, value)
    return b"".join([b"II*\0", struct.pack("<IH", 8, len(tags)), entries, bytes(4), arrays, *strips])


@cache
def _can_decompress(compression: int) -> bool:
    """Whether Pillow's libtiff was built with a compression that not all are."""
    name = _NAMES.get(compression)
    if name is None:
        return True
    with captured_messages():
        try:
            Image.new("L", (8, 8)).save(io.BytesIO(), "TIFF", compression=name)
        except Exception:
            return False
    return True
