"""Values as JSON: the text of KEY.json, and of nested values in a tfrecord. In: Python values. Out: text."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any


def json_text(value: Any) -> str:
    """A value as ``json.dumps(value, indent=4)`` has it.

    A float that is not finite becomes null: NaN and Infinity are no JSON, and most readers refuse them.

    Raises:
        TypeError: JSON has nothing for a value of this type.
    """
    try:
        return json.dumps(value, indent=4, allow_nan=False)
    except ValueError:
        return json.dumps(_without_infinite(value), indent=4)


def _without_infinite(value: Any) -> Any:
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, (list, tuple)):
        return [_without_infinite(item) for item in value]
    if isinstance(value, dict):
        return {name: _without_infinite(item) for name, item in value.items()}
    return value
