"""The text of KEY.json, equal to ``json.dumps(metadata, indent=4)``, in a third of its time.

In: the names of the metadata columns, once a shard, and their Python values, once a sample. Out: text.
Called by the writers of files, webdataset and (for nested values) tfrecord.

``json.dumps`` leaves its C encoder as soon as it has to indent. The keys of a shard's samples never
change, so they are laid out once, and each sample fills in the values.
"""

from __future__ import annotations

import json.encoder
from collections.abc import Callable, Iterable
from math import isfinite
from typing import Any

quoted: Callable[[str], str] = json.encoder.encode_basestring_ascii


class MetadataLayout:
    """The JSON object of one shard's samples, with places for the values.

    Args:
        names: the metadata columns, in order; at least one.
    """

    def __init__(self, names: Iterable[str]) -> None:
        members = (f"    {quoted(name)}: ".replace("%", "%%") + "%s" for name in names)
        self._layout = "{\n" + ",\n".join(members) + "\n}"

    def text(self, values: Iterable[Any]) -> str:
        """The object with these values, one a column, in column order.

        Raises:
            TypeError: JSON has nothing for a value of this type.
        """
        # The usual values are written from here: a call of value_text for each is half of the time.
        text_of = _SCALARS.get
        return self._layout % tuple([text_of(type(value), value_text)(value) for value in values])


def value_text(value: Any, line_start: str = "\n    ") -> str:
    """One value as JSON, as it stands on a line that begins with ``line_start``.

    A float that is not finite becomes null: NaN and Infinity are no JSON, and most readers refuse them.

    Raises:
        TypeError: JSON has nothing for a value of this type.
    """
    scalar = _SCALARS.get(type(value))
    if scalar is not None:
        return scalar(value)
    inner = line_start + "    "
    if isinstance(value, (list, tuple)):
        if not value:
            return "[]"
        items = [value_text(item, inner) for item in value]
        return f"[{inner}{f',{inner}'.join(items)}{line_start}]"
    if isinstance(value, dict):
        if not value:
            return "{}"
        members = [f"{quoted(name)}: {value_text(item, inner)}" for name, item in value.items()]
        return f"{{{inner}{f',{inner}'.join(members)}{line_start}}}"
    raise TypeError(f"a value of type {type(value).__name__} cannot be written as JSON")


def _float_text(value: float) -> str:
    return float.__repr__(value) if isfinite(value) else "null"


_SCALARS: dict[type, Callable[[Any], str]] = {
    str: quoted,
    int: int.__repr__,
    float: _float_text,
    bool: {True: "true", False: "false"}.__getitem__,
    type(None): {None: "null"}.__getitem__,
}
