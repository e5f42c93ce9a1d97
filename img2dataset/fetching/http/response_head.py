"""The headers of an answer → what is to be done with it. Pure; decided before any of the body is taken.

Comes in: the header lines as they were received. Goes out: an ``Answer``. Called by the transfer, once an
answer; only the few fields that matter are looked for, when the status makes them matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from img2dataset import failures
from img2dataset.failures import Failure
from img2dataset.fetching.consent import HeaderSignal
from img2dataset.types import ConsentSignal

REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NOT_ENCODED = frozenset({"", "identity", "none"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What the headers said. A body is wanted if there is neither ``failure`` nor ``location``.

    ``length`` is Content-Length in bytes, None if not told; with ``encoded`` it counts the bytes before
    decoding. ``cookies`` are those that a redirect sets.
    """

    status: int
    failure: Failure | None = None
    location: bytes | None = None
    retry_after: str | None = None
    length: int | None = None
    encoded: bool = False
    cookies: tuple[bytes, ...] = ()

    @property
    def wants_body(self) -> bool:
        return self.failure is None and self.location is None


@dataclass(frozen=True, slots=True)
class AnswerPolicy:
    """What is accepted: bodies up to ``max_body_bytes``, unless one of ``signals`` refuses."""

    max_body_bytes: int
    signals: tuple[HeaderSignal, ...] = ()


def read_answer(head: bytes | bytearray, policy: AnswerPolicy) -> Answer | None:
    """Judge a header block, status line to empty line; None for an interim answer (1xx)."""
    status = _status(head)
    if 100 <= status < 200:
        return None
    lowered = head.lower()
    length = _length(head, lowered)
    if status in REDIRECTS:
        locations = _values(head, lowered, b"\nlocation:")
        if not locations:
            return Answer(status, failures.REDIRECT_NO_LOCATION, length=length)
        cookies = tuple(_values(head, lowered, b"\nset-cookie:"))
        return Answer(status, location=locations[0], length=length, cookies=cookies)
    if not 200 <= status < 300:
        waits = _values(head, lowered, b"\nretry-after:")
        retry_after = waits[0].decode("latin-1") if waits else None
        # What a 304 says of the length is that of the body it stands for (RFC 9110, 8.6): none follows.
        follows = None if status == 304 else length
        return Answer(status, _failure(status, head, lowered), retry_after=retry_after, length=follows)
    refusal = _refusal(head, lowered, policy)
    if refusal is not None:
        return Answer(status, refusal, length=length)
    encoded = b"\ncontent-encoding:" in lowered and any(
        value.decode("latin-1").lower() not in _NOT_ENCODED
        for value in _values(head, lowered, b"\ncontent-encoding:")
    )
    if length is not None and length > policy.max_body_bytes:
        return Answer(status, failures.TOO_LARGE_BODY, length=length)
    if length == 0:
        return Answer(status, failures.EMPTY_BODY, length=0)
    return Answer(status, length=length, encoded=encoded)


def _failure(status: int, head: bytes | bytearray, lowered: bytes | bytearray) -> Failure:
    if status != 402:
        return failures.of_status(status)
    prices = _values(head, lowered, b"\ncrawler-price:")
    return failures.of_payment(prices[0].decode("latin-1") if prices else None)


def _refusal(head: bytes | bytearray, lowered: bytes | bytearray, policy: AnswerPolicy) -> Failure | None:
    """What the first signal that refuses the image says."""
    for signal in policy.signals:
        if signal.line_start in lowered:
            values = [value.decode("latin-1") for value in _values(head, lowered, signal.line_start)]
            if (refusal := signal.refusal(values)) is not None:
                return refusal
    return None


def is_recorded(answer: Answer) -> bool:
    """Whether what an answer says of training is of its row: of an image, or of its price."""
    return 200 <= answer.status < 300 or answer.status == 402


def signals_in(
    head: bytes | bytearray, status: int, signals: Sequence[HeaderSignal], now: float
) -> Iterator[ConsentSignal]:
    """What a header block says of training, one signal a line.

    Args:
        head: status line to empty line.
        status: of the answer.
        signals: those to look for.
        now: Unix seconds.
    """
    lowered = head.lower()
    for signal in signals:
        if signal.only_with not in (None, status):
            continue
        for value in _values(head, lowered, signal.line_start) if signal.line_start in lowered else ():
            text = value.decode("latin-1")
            if (says := signal.says(text)) is not None:
                # The settings may not honour each no of a signal: directives of X-Robots-Tag are a choice.
                passes = says == "no" and signal.failure is not None and signal.refusal([text]) is None
                is_honoured = signal.is_honoured and not passes
                yield ConsentSignal(signal.name.lower(), "header", text, says, is_honoured, now)


def kept_values(head: bytes | bytearray, names: Sequence[str]) -> tuple[str | None, ...]:
    """The first value of each of these fields, None where the answer has none."""
    if not names:
        return ()
    lowered = head.lower()
    values = (_values(head, lowered, b"\n%s:" % name.lower().encode("ascii")) for name in names)
    return tuple(found[0].decode("latin-1") if found else None for found in values)


def _status(head: bytes | bytearray) -> int:
    """The number after the first space: of ``HTTP/1.1 200 OK`` as of ``HTTP/2 200``; 0 if it is none."""
    try:
        digits = head[: head.index(b"\n")].split(None, 2)[1]
    except (ValueError, IndexError):
        return 0
    # Three digits (RFC 9110), so that its failure is one of few texts.
    return int(digits) if len(digits) == 3 and digits.isdigit() else 0


def _values(head: bytes | bytearray, lowered: bytes | bytearray, name: bytes) -> list[bytes]:
    """The values of every field ``name``, which is given as ``\\n`` + lower case + ``:``."""
    values = []
    found = lowered.find(name)
    while found >= 0:
        start = found + len(name)
        end = head.find(b"\n", start)
        if end < 0:
            end = len(head)
        values.append(bytes(head[start:end]).strip())
        found = lowered.find(name, end)
    return values


def _length(head: bytes | bytearray, lowered: bytes | bytearray) -> int | None:
    values = _values(head, lowered, b"\ncontent-length:")
    if not values or not values[0].isdigit() or len(values[0]) > 18:
        return None
    return int(values[0])
