"""A PBM, PGM or PPM and its header come in, 8-bit grey or BGR goes out. Called by decode."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from img2dataset.failures import CORRUPT, TRUNCATED
from img2dataset.imaging.colour import Pixels
from img2dataset.imaging.failure import ImageFailure
from img2dataset.imaging.formats.header import Header
from img2dataset.imaging.formats.pnm import BIT, COLOUR

_COMMENT = re.compile(rb"#[^\r\n]*")
_NO_NUMBER = re.compile(rb"[^0-9\s]")
_PLAIN_BYTES = 1_000_000
_LARGEST, _MOST_DIGITS = 65535, 5


def decode_pnm(body: bytes | bytearray, header: Header) -> Pixels:
    """The pixels: (height, width) or (height, width, 3), uint8, BGR.

    Raises:
        ImageFailure: truncated, or something else than numbers.
    """
    assert header.payload is not None
    start, largest = header.payload
    number = body[1] - ord("0")
    kind, raw = (number - 1) % 3 + 1, number > 3
    samples = 3 if kind == COLOUR else 1
    count = header.width * header.height * samples
    if kind == BIT:
        bits = _raw_bits(body, header, start) if raw else _plain_bits(body, start, count)
        pixels: Pixels = np.where(bits, np.uint8(0), np.uint8(255))
        return pixels.reshape(header.height, header.width)
    values = _raw(body, start, count, largest) if raw else _plain(body, start, count)
    if largest != 255:
        levels = (np.arange(65536, dtype=np.uint32).clip(0, largest) * 255 + largest // 2) // largest
        values = levels.astype(np.uint8)[values]
    if kind != COLOUR:
        return values.astype(np.uint8, copy=False).reshape(header.height, header.width)
    return np.ascontiguousarray(values.reshape(header.height, header.width, 3)[:, :, ::-1], np.uint8)


def _raw(body: bytes | bytearray, start: int, count: int, largest: int) -> Pixels:
    kind = np.dtype(np.uint8 if largest < 256 else ">u2")
    if len(body) - start < count * kind.itemsize:
        raise ImageFailure(TRUNCATED)
    values = np.frombuffer(body, kind, count, start)
    return values.astype(np.uint16) if largest >= 256 else values


def _raw_bits(body: bytes | bytearray, header: Header, start: int) -> Pixels:
    row = (header.width + 7) // 8
    if len(body) - start < row * header.height:
        raise ImageFailure(TRUNCATED)
    rows = np.frombuffer(body, np.uint8, row * header.height, start).reshape(header.height, row)
    return np.unpackbits(rows, axis=1, count=header.width)


def _plain_bits(body: bytes | bytearray, start: int, count: int) -> Pixels:
    """Digits, which need no space between them."""
    digits = _COMMENT.sub(b"", bytes(body[start - 1 :])).translate(None, b" \t\r\n\v\f")[:count]
    if digits.strip(b"01"):
        raise ImageFailure(CORRUPT)
    if len(digits) < count:
        raise ImageFailure(TRUNCATED)
    return np.frombuffer(digits, np.uint8) & 1


def _plain(body: bytes | bytearray, start: int, count: int) -> Pixels:
    values = np.empty(count, np.uint16)
    filled = 0
    for text in _pieces(_COMMENT.sub(b"", bytes(body[start - 1 :]))):
        words = [word.lstrip(b"0") for word in text.split()[: count - filled]]
        # Not left to NumPy, which before 2.0 takes 65537 for 1, nor to int, which reads no 5000 digits.
        if max(map(len, words), default=0) > _MOST_DIGITS:
            raise ImageFailure(CORRUPT)
        numbers = [int(word or b"0") for word in words]
        if max(numbers, default=0) > _LARGEST:
            raise ImageFailure(CORRUPT)
        values[filled : filled + len(numbers)] = numbers
        filled += len(numbers)
        if filled == count:
            return values
    raise ImageFailure(TRUNCATED)


def _pieces(text: bytes) -> Iterator[bytes]:
    """The text in pieces that end between two numbers."""
    position = 0
    while position < len(text):
        end = position + _PLAIN_BYTES
        while end < len(text) and not text[end : end + 1].isspace():
            end += 1
        piece = text[position:end]
        other = _NO_NUMBER.search(piece)
        yield piece[: other.start()] if other else piece
        if other:  # behind the last number anything may follow
            raise ImageFailure(CORRUPT)
        position = end
