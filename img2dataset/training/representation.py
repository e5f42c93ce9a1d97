"""How the objects of training show themselves at a prompt and in a log: what matters, on one line."""

from __future__ import annotations

from typing import Any

LONGEST = 200


def shown(this: Any, /, *parts: str, **values: Any) -> str:
    """``Name(parts, name=value …)``; values that are None, False or empty are left out."""
    named = [f"{name}={_short(value)}" for name, value in values.items() if _says_something(value)]
    return f"{type(this).__name__}({', '.join([*parts, *named])})"


def shown_source(source: Any) -> str:
    """A list or folder, as it was given: its path, or what it is."""
    return _short(str(source)) if hasattr(source, "__fspath__") or isinstance(source, str) else _kind(source)


def _says_something(value: Any) -> bool:
    if value is None or value is False:
        return False
    return not (isinstance(value, (str, dict, list, tuple)) and len(value) == 0)


def _short(value: Any) -> str:
    if callable(value) and hasattr(value, "__qualname__"):
        return str(value.__qualname__)
    text = repr(value)
    # Objects of this package are as long as they are; of others, such as a table, the kind is enough.
    if len(text) > LONGEST and not type(value).__module__.startswith(__package__ or ""):
        return text[: LONGEST - 1] + "…" if isinstance(value, (str, list, tuple, dict)) else _kind(value)
    return text


def _kind(value: Any) -> str:
    return f"a {type(value).__name__}"
