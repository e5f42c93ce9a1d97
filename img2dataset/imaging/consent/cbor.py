"""CBOR (RFC 8949), as much of it as an assertion needs: bytes come in, dicts, lists and texts go out.

Written here because the base installation has no library for it, and a stranger's bytes want bounds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_DEEPEST = 16
# An assertion of training has some tens.
_MOST_ITEMS = 1_000
_BREAK = 0xFF
_INDEFINITE = 31
_SIMPLE = {20: False, 21: True}


class NotCbor(Exception):
    """Cut, malformed, or beyond the bounds of depth and items."""


def read_cbor(data: bytes | memoryview) -> Any:
    """The first item of ``data``.

    Tags are passed over; numbers with a point and other simple values are None. Of a map only entries
    whose key is a text are kept. What follows the item is not looked at.

    Raises:
        NotCbor: it cannot be read.
    """
    return _Reader(bytes(data)).item(0)


class _Reader:
    def __init__(self, data: bytes):
        self._data = data
        self._position = 0
        self._items_left = _MOST_ITEMS

    def item(self, depth: int) -> Any:
        self._items_left -= 1
        if self._items_left < 0 or depth > _DEEPEST:
            raise NotCbor
        first = self._take(1)[0]
        kind, info = first >> 5, first & 31
        number = self._number(info)
        if kind == 7:
            if number is None:
                raise NotCbor
            return _SIMPLE.get(info)
        if kind in (2, 3):
            data = self._string(kind, number)
            return data if kind == 2 else data.decode("utf-8", "replace")
        if kind == 4:
            return [self.item(depth + 1) for _ in self._times(number)]
        if kind == 5:
            pairs = [(self.item(depth + 1), self.item(depth + 1)) for _ in self._times(number)]
            return {key: value for key, value in pairs if isinstance(key, str)}
        if number is None:
            raise NotCbor
        if kind == 6:
            return self.item(depth + 1)
        return number if kind == 0 else -1 - number

    def _number(self, info: int) -> int | None:
        """The number in the head of an item; None where its length is left open."""
        if info < 24:
            return info
        if info < 28:
            return int.from_bytes(self._take(1 << (info - 24)), "big")
        if info == _INDEFINITE:
            return None
        raise NotCbor

    def _string(self, kind: int, length: int | None) -> bytes:
        if length is not None:
            return self._take(length)
        parts = []
        for _ in self._times(None):
            # Each part is a string of the same kind, of a length that is given.
            self._items_left -= 1
            first = self._take(1)[0]
            size = self._number(first & 31)
            if first >> 5 != kind or size is None or self._items_left < 0:
                raise NotCbor
            parts.append(self._take(size))
        return b"".join(parts)

    def _times(self, count: int | None) -> Iterator[None]:
        """As often as there are items: so many, or until the break."""
        if count is not None:
            if count > self._items_left:
                raise NotCbor
            yield from (None for _ in range(count))
            return
        while self._data[self._position : self._position + 1] != bytes([_BREAK]):
            yield
        self._position += 1

    def _take(self, size: int) -> bytes:
        taken = self._data[self._position : self._position + size]
        if len(taken) < size:
            raise NotCbor
        self._position += size
        return taken
