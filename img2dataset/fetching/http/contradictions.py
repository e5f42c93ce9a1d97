"""Answers whose headers contradict their bodies: what came is taken as it is. Pure; called by the loop.

``Content-Encoding: utf-8``, ``image/jpeg`` or ``aws-chunked``, ``gzip`` on a plain JPEG, ``Content-Length:
-1``: libcurl refuses each, and browsers show the picture. Such a row is asked for once more, with nothing
undone and no length believed; what is really compressed is undone here.
"""

from __future__ import annotations

import contextlib
import zlib

from img2dataset import failures

# What a second request may mend.
CONTRADICTIONS = frozenset({failures.ENCODING_UNKNOWN, failures.ENCODING_BROKEN, failures.PROTOCOL_LENGTH})
_PIECE_BYTES = 4096
_GZIP = b"\x1f\x8b"
_ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")


def undone(body: bytearray, max_bytes: int) -> bytearray | None:
    """The body without its compression, if it begins as compressed: no image does.

    Args:
        body: as it came.
        max_bytes: the most that is unfolded.

    Returns:
        What was in it, as far as it can be read, without what stands behind it; ``body`` itself if it is not
        compressed; None if there is more in it than ``max_bytes``.
    """
    if not body.startswith((_GZIP, *_ZLIB)):
        return body
    inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # finds out which of the two it is
    unfolded = bytearray()
    for start in range(0, len(body), _PIECE_BYTES):
        piece, before = body[start : start + _PIECE_BYTES], inflate.copy()
        try:
            unfolded += inflate.decompress(piece, max_bytes + 1 - len(unfolded))
        except zlib.error:
            return unfolded + _up_to_the_error(before, piece) or body
        if len(unfolded) > max_bytes:
            return None
    return unfolded


def _up_to_the_error(inflate: zlib._Decompress, piece: bytearray) -> bytearray:
    """What can be read of a piece with an error in it, such as a wrong checksum: the decoder judges."""
    unfolded = bytearray()
    with contextlib.suppress(zlib.error):
        for number in piece:
            unfolded += inflate.decompress(bytes([number]))
    return unfolded
