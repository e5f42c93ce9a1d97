"""Rows of objects in one block of memory, each as it was: what lists of dictionaries and JSON become.

Python counts who refers to an object in the object itself, so that a forked worker that only reads a list of
dictionaries soon has a copy of all of them. In a block of bytes nothing changes. Called by ``lists``.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from typing import Any

# Of such values a row is copied exactly; a row that holds others, such as pictures, is left where it is.
_PLAIN = (type(None), bool, int, float, str, bytes)


class PackedRows:
    """Rows by number; see ``RowList``.

    Args:
        rows: of plain values, lists and dictionaries.
    """

    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        import numpy as np

        packed = bytearray()
        ends = [0]
        names: dict[str, None] = {}
        for row in rows:
            names.update(dict.fromkeys(row))
            packed += pickle.dumps(dict(row), protocol=5)
            ends.append(len(packed))
        self.columns: tuple[str, ...] = tuple(names)
        self._packed = memoryview(bytes(packed))
        self._ends = np.array(ends, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def row(self, index: int) -> dict[str, Any]:
        """The row as it was: with the values of its own, of their own types, and no others."""
        row: dict[str, Any] = pickle.loads(self._packed[self._ends[index] : self._ends[index + 1]])
        return row

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_packed": bytes(self._packed)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state | {"_packed": memoryview(state["_packed"])})


def is_plain(value: Any) -> bool:
    """Whether a value is made of nothing but numbers, texts, bytes, lists, tuples and dictionaries."""
    if isinstance(value, (list, tuple)):
        return all(map(is_plain, value))
    if type(value) is dict:
        return all(isinstance(name, str) and is_plain(each) for name, each in value.items())
    return type(value) in _PLAIN
