"""An LMDB database in, rows by number out. Called by ``open_list``.

Three ways in which such databases are made are understood: a value that is a JSON object is a row (its image
a source string); keys with endings (``0001.jpg``, ``0001.txt``, ``0001.json``) make one row for each stem; a
value that is an image is a row of its own. Values are never unpickled.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

from img2dataset.errors import InputError, one_line
from img2dataset.training.data.lmdb_environments import environment_of

logger = logging.getLogger("img2dataset")

_CAPTION_ENDINGS = ("txt", "caption")


class LmdbRows:
    """Rows of an LMDB database; opened anew, read-only, in each process."""

    def __init__(self, path: Path):
        self._path = path
        self._has_warned = False
        self._environment: Any = None
        self._process_id = 0
        self._keys: list[tuple[bytes, ...]] = self._grouped_keys()
        if not self._keys:
            raise InputError(f"the LMDB database {str(path)!r} is empty")
        names = dict.fromkeys(name for index in range(min(len(self), 32)) for name in self.row(index))
        if not names:
            raise InputError(f"none of the first rows of the LMDB database {str(path)!r} has values")
        self.columns: tuple[str, ...] = tuple(names)

    def __len__(self) -> int:
        return len(self._keys)

    def row(self, index: int) -> dict[str, Any]:
        row: dict[str, Any] = {}
        with self._opened().begin(buffers=False) as transaction:
            for key in self._keys[index]:
                value = transaction.get(key)
                if value is None:
                    raise InputError(f"the LMDB database {str(self._path)!r} has lost the key {key!r}")
                try:
                    row |= _part_of_row(key, value)
                except (ValueError, RecursionError) as error:
                    self._tell(key, error)
        return row

    def _tell(self, key: bytes, error: Exception) -> None:
        """As in files, a row that is none keeps its number, and fails when its image is loaded."""
        if not self._has_warned:
            self._has_warned = True
            logger.warning(
                "the value of the key %r of the LMDB database %r is no JSON object, and is left out: %s (said"
                " once)",
                key,
                str(self._path),
                one_line(error),
            )

    def _grouped_keys(self) -> list[tuple[bytes, ...]]:
        groups: dict[bytes, list[bytes]] = {}
        with self._opened().begin() as transaction:
            for key in transaction.cursor().iternext(keys=True, values=False):
                if not key.startswith(b"__"):  # counts and the like: __len__, __keys__
                    groups.setdefault(_stem(key), []).append(key)
        return [tuple(keys) for keys in groups.values()]

    def _opened(self) -> Any:
        if self._process_id != os.getpid():
            self._environment = environment_of(self._path)
            self._process_id = os.getpid()
        return self._environment

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_environment": None, "_process_id": 0}


def _stem(key: bytes) -> bytes:
    folder, slash, name = key.rpartition(b"/")
    return folder + slash + name.partition(b".")[0]


def _part_of_row(key: bytes, value: bytes) -> dict[str, Any]:
    """Raises: ValueError, RecursionError: it should be a JSON object, and is none."""
    ending = key.rpartition(b"/")[2].partition(b".")[2].decode("ascii", "replace").lower()
    if ending in _CAPTION_ENDINGS:
        return {"caption": value.decode("utf-8", "replace").strip()}
    if ending == "json" or value[:1] == b"{":
        document = json.loads(value)
        if isinstance(document, dict):
            return document
        raise ValueError(f"it is a {type(document).__name__}")
    return {"image": value}
