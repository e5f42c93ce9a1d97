"""Dictionaries of Structured Field Values (RFC 9651, 4.2.2): the text of one header line → its members. Pure.

Only what signals ask for is kept of a value: whether it is a token, and which. Strings, numbers, booleans,
dates, bytes and inner lists are read over, so that what follows them is found; parameters too.
"""

from __future__ import annotations

import re

_KEY = re.compile(r"[a-z*][a-z0-9_.*-]*")
_TOKEN = re.compile(r"[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*")
_OTHER_ITEM = re.compile(
    r'"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"'  # a string
    r'|%"(?:[\x20\x21\x23\x24\x26-\x7e]|%[0-9a-f]{2})*"'  # a display string
    r"|:[A-Za-z0-9+/=]*:"  # bytes
    r"|\?[01]"  # a boolean
    r"|@-?[0-9]{1,15}"  # a date
    r"|-?(?:[0-9]{1,12}\.[0-9]{1,3}|[0-9]{1,15}(?!\.))"  # a number
)
_BETWEEN = re.compile(r"[ \t]*,[ \t]*")


def tokens_of(line: str) -> list[tuple[str, str | None]] | None:
    """The members of a dictionary: each key, and its value if that is a token, else None.

    Args:
        line: one line of the field, without the blanks around it.

    Returns:
        The members in their order, a key that is there twice as often; None if ``line`` is no dictionary.
    """
    members: list[tuple[str, str | None]] = []
    position = 0
    while position < len(line):
        key = _KEY.match(line, position)
        if key is None:
            return None
        position = key.end()
        token = None
        if line.startswith("=", position):
            value = _TOKEN.match(line, position + 1)
            token = value[0] if value is not None else None
            end = value.end() if value is not None else _end_of_other(line, position + 1)
            if end is None:
                return None
            position = end
        end = _end_of_parameters(line, position)
        if end is None:
            return None
        members.append((key[0], token))
        if end == len(line):
            return members
        between = _BETWEEN.match(line, end)
        # A comma with nothing behind it is an error, too.
        if between is None or between.end() == len(line):
            return None
        position = between.end()
    return members


def _end_of_other(line: str, start: int) -> int | None:
    """Where a value ends that is no token: another item, or an inner list."""
    if not line.startswith("(", start):
        item = _OTHER_ITEM.match(line, start)
        return item.end() if item is not None else None
    position = start + 1
    while True:
        inner = position
        while line.startswith(" ", inner):
            inner += 1
        if line.startswith(")", inner):
            return inner + 1
        if inner == position and position > start + 1:
            return None
        item = _TOKEN.match(line, inner) or _OTHER_ITEM.match(line, inner)
        end = _end_of_parameters(line, item.end()) if item is not None else None
        if end is None:
            return None
        position = end


def _end_of_parameters(line: str, start: int) -> int | None:
    position = start
    while line.startswith(";", position):
        position += 1
        while line.startswith(" ", position):
            position += 1
        key = _KEY.match(line, position)
        if key is None:
            return None
        position = key.end()
        if line.startswith("=", position):
            value = _TOKEN.match(line, position + 1) or _OTHER_ITEM.match(line, position + 1)
            if value is None:
                return None
            position = value.end()
    return position
