"""Answers whose headers contradict their bodies: what came is taken as it is. Pure; called by the loop.

``Content-Encoding: utf-8``, ``image/jpeg`` or ``aws-chunked``, ``gzip`` on a plain JPEG, ``Content-Length:
-1``: libcurl refuses each, and browsers show the picture. Such a row is asked for once more, with nothing
undone and no length believed; what is really compressed is undone here.
"""

from __future__ import annotations

import zlib

from img2dataset import failures

# What a second request may mend.
CONTRADICTIONS = frozenset({failures.ENCODING_UNKNOWN, failures.ENCODING_BROKEN, failures.PROTOCOL_LENGTH})
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
    try:
        unfolded = inflate.decompress(body, max_bytes + 1)
    except zlib.error:
        return body
    return None if len(unfolded) > max_bytes else bytearray(unfolded)
