"""The pictures that were decoded last, by their sources; each worker of a dataset has its own."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any


class PictureMemory:
    """Keeps up to ``size`` pictures, those used last; with a size of 0 none."""

    def __init__(self, size: int):
        self._size = size
        self._pictures: OrderedDict[Any, Any] = OrderedDict()

    def get(self, source: Any) -> Any | None:
        """The picture of a source, which is then the one used last; None if it is not kept."""
        if not self._size:
            return None
        key = _key(source)
        if key in self._pictures:
            self._pictures.move_to_end(key)
        return self._pictures.get(key)

    def keep(self, source: Any, picture: Any) -> None:
        """Keep a picture, in place of the one that was not used for longest."""
        if not self._size:
            return
        self._pictures[_key(source)] = picture
        while len(self._pictures) > self._size:
            self._pictures.popitem(last=False)


def _key(source: Any) -> Any:
    if isinstance(source, Mapping):
        source = source.get("bytes") or source.get("path")
    return source if isinstance(source, (str, bytes)) else str(source)
