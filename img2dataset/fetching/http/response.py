"""The response of one transfer as it comes in: header lines and pieces of the body, from libcurl's callbacks.

Comes in: bytes, and a reservation of memory. Goes out: the ``Answer``, and the body in one buffer. The two
callbacks are the hottest Python of the room (some 15 header lines and a call for each 16 KB of body): they
append, and decide only at the end of the headers and when a limit is met. Used by ``transfer``.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable

from img2dataset import failures
from img2dataset.failures import Failure
from img2dataset.fetching.http.response_head import Answer, AnswerPolicy, read_answer

# A short error page is read to its end, so that the connection can be used again; a longer one costs
# more than a new connection.
LONGEST_DISCARDED_BYTES = 32 * 1024
# Allocated at once when the length is known: growing by steps copies. More only as it arrives.
LARGEST_PREALLOCATION = 8 << 20
# A compressed body is expected to unfold to this many times its length.
USUAL_EXPANSION = 4
# What a callback returns to end the transfer; None goes on.
REFUSE = -1
_PIECE_BYTES = 4096
_GZIP = b"\x1f\x8b"
_ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")


class Response:
    """What has come so far; used again for each request of its transfer.

    Args:
        policy: what is accepted.
        max_body_bytes: a longer body is refused.
        grow: as ``BodyBudget.grow``.
        truncates: a longer body is cut there instead, and is a success.
    """

    __slots__ = (
        "_grow",
        "_max_body",
        "_policy",
        "_truncates",
        "answer",
        "body",
        "discarded",
        "failure",
        "head",
        "needs",
        "received",
        "reserved",
        "truncated",
    )

    def __init__(
        self,
        policy: AnswerPolicy,
        max_body_bytes: int,
        grow: Callable[[int, int], bool],
        truncates: bool,
    ) -> None:
        self._policy = policy
        self._max_body = max_body_bytes
        self._grow = grow
        self._truncates = truncates
        self.head = bytearray()
        # Bytes of memory that it may fill.
        self.reserved = 0
        self.clear()

    def clear(self) -> None:
        """Forget what has come: another request begins. What is reserved stays."""
        self.head.clear()
        self.answer: Answer | None = None
        self.body = bytearray()
        # Bytes of the body: kept, and read only to keep the connection.
        self.received = self.discarded = 0
        self.failure: Failure | None = None
        self.truncated = False
        # The memory to begin again with, when what is reserved cannot grow.
        self.needs = 0

    @property
    def count(self) -> int:
        """Bytes seen so far, of headers and body."""
        return len(self.head) + self.received + self.discarded

    def hold_less(self, size: int) -> None:
        """Give back what is reserved beyond ``size`` bytes, until there is a body to hold."""
        if self.reserved > size and self._grow(self.reserved, size):
            self.reserved = size

    def take_body(self) -> bytearray:
        """The received body, which is forgotten here."""
        body, self.body = self.body, bytearray()
        if len(body) > self.received:
            del body[self.received :]
        return body

    def receive_header(self, line: bytes) -> int | None:
        """Take one header line; the empty one ends the headers."""
        head = self.head
        if self.answer is not None:
            # After the headers come a proxied host's own headers, or trailers, which are of no use.
            if self.received or self.discarded or not line.startswith(b"HTTP/"):
                return None
            self.answer = None
            head.clear()
        head += line
        if len(line) > 2 or line.strip():
            return None
        answer = read_answer(head, self._policy)
        if answer is None:
            head.clear()
            return None
        self.answer = answer
        if answer.wants_body:
            return self._make_room(answer)
        return None if (answer.length or 0) <= LONGEST_DISCARDED_BYTES else REFUSE

    def end_redirect(self) -> None:
        """libcurl has refused a header line, another Location or one without a colon; this row goes on.

        What came before it is enough if that was a redirect: the first Location counts.
        """
        if self.answer is None and self.head:
            answer = read_answer(self.head + b"\r\n", self._policy)
            self.answer = answer if answer is not None and answer.location is not None else None

    def receive_body(self, data: bytes) -> int | None:
        """Take a piece of the body."""
        start = self.received
        end = start + len(data)
        if end > self.reserved or self.answer is None or not self.answer.wants_body:
            if self.answer is None or not self.answer.wants_body:
                self.discarded += len(data)
                return None if self.discarded <= LONGEST_DISCARDED_BYTES else REFUSE
            if end > self._max_body:
                self.truncated = self._truncates
                self.failure = None if self._truncates else failures.TOO_LARGE_BODY
                return REFUSE
            if not self._resize(min(max(end, 2 * self.reserved), self._max_body)):
                return REFUSE
        self.body[start:end] = data
        self.received = end
        return None

    def _make_room(self, answer: Answer) -> int | None:
        if answer.length is None:
            return None
        if answer.encoded:
            expected = min(max(self.reserved, answer.length * USUAL_EXPANSION), self._max_body)
        else:
            expected = min(answer.length, self._max_body)
        if not self._resize(expected):
            return REFUSE
        if not answer.encoded:
            self.body = bytearray(min(expected, LARGEST_PREALLOCATION))
        return None

    def _resize(self, wanted: int) -> bool:
        if self._grow(self.reserved, wanted):
            self.reserved = wanted
            return True
        exact = self.answer is not None and self.answer.length is not None and not self.answer.encoded
        # What is not announced may be much more: few large steps cost fewer requests than many small ones.
        self.needs = wanted if exact else min(2 * wanted, self._max_body)
        return False


def undone(body: bytearray, max_bytes: int) -> bytearray | None:
    """The body without its compression, if it begins as compressed: no image does.

    For answers whose headers say something else of their body than it shows (``requests.outcomes``).

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
