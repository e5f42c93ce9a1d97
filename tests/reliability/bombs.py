"""Bodies that are small on the wire and enormous when they are undone. Sizes come in, bytes go out."""

from __future__ import annotations

import io
import struct
import zlib

from PIL import Image


def gzip_bomb(megabytes: int) -> bytes:
    """So many MB of zeros, gzipped: a thousandth of that on the wire."""
    squeezer = zlib.compressobj(9, wbits=31)
    parts = [squeezer.compress(bytes(1 << 20)) for _ in range(megabytes)]
    return b"".join(parts) + squeezer.flush()


def png_bomb(width: int, height: int) -> bytes:
    """A whole black RGB PNG of this size, in pixels, made row by row: 2.6 MB for 900 megapixels."""
    squeezer = zlib.compressobj(9)
    row = bytes(1 + 3 * width)
    pixels = b"".join([squeezer.compress(row) for _ in range(height)]) + squeezer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [_chunk(b"IHDR", header), _chunk(b"IDAT", pixels), _chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def boasting_jpeg(width: int, height: int, *, progressive: bool) -> bytes:
    """A JPEG of 64 by 64 pixels whose header says it has this size, in pixels (at most 65,500 a side)."""
    encoded = io.BytesIO()
    Image.new("RGB", (64, 64), (90, 120, 30)).save(encoded, "JPEG", progressive=progressive)
    body = bytearray(encoded.getvalue())
    frame = body.index(b"\xff\xc2" if progressive else b"\xff\xc0")
    body[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(body)


def huge_jpeg(width: int, height: int, *, progressive: bool) -> bytes:
    """A whole grey-green JPEG of this size, in pixels."""
    encoded = io.BytesIO()
    Image.new("RGB", (width, height), (90, 120, 30)).save(encoded, "JPEG", progressive=progressive)
    return encoded.getvalue()
