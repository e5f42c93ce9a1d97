"""The column ``consent`` of the metadata: what was said of taking each image for training. Pure.

A JSON list of one object a signal, in the order in which they were seen; null where nothing was said. Each
has ``signal`` (its kind), ``where`` it stood, its ``value``, what it ``says`` (``no``, ``yes``,
``conditions``, ``unknown``), whether it is ``honoured`` by the run's options, and the time at which it was
``seen`` (ISO 8601, UTC).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone

from img2dataset.formats.dataset import CONSENT_COLUMN
from img2dataset.types import SAYS, ConsentSignal, Says

# Of a value, characters that are kept: servers may send megabytes.
LONGEST_VALUE = 200


def position_in(names: Sequence[str]) -> int | None:
    """Where the column stands among the columns of metadata, in their order; None if it is not there.

    The columns of the input come first, and ``url`` is the last of them: one of the same name before it is of
    the list, and says whatever its author likes.
    """
    for position in reversed(range(len(names))):
        if names[position] == CONSENT_COLUMN and "url" in names[:position]:
            return position
    return None


def to_text(signals: Iterable[ConsentSignal]) -> str | None:
    """The cell of a row with these signals."""
    listed = [
        {
            "signal": each.signal,
            "where": each.where,
            "value": shortened(each.value),
            "says": each.says,
            "honoured": each.is_honoured,
            "seen": datetime.fromtimestamp(int(each.seen_at), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        for each in signals
    ]
    return json.dumps(listed, ensure_ascii=False) if listed else None


def of_text(text: str | None) -> list[ConsentSignal]:
    """The signals of a cell.

    Raises:
        ValueError: it is none that ``to_text`` writes.
    """
    if text is None:
        return []
    try:
        return [_signal(**fields) for fields in json.loads(text)]
    except (TypeError, AttributeError, KeyError, RecursionError) as error:
        raise ValueError(f"no list of signals: {text[:LONGEST_VALUE]!r}") from error


def _signal(signal: str, where: str, value: str, says: Says, honoured: bool, seen: str) -> ConsentSignal:
    if says not in SAYS:
        raise ValueError(f"a signal says {says!r}")
    if not all(isinstance(each, str) for each in (signal, where, value)) or not isinstance(honoured, bool):
        raise ValueError("a signal has a field of another type")
    moment = datetime.strptime(seen, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc).timestamp()
    return ConsentSignal(signal, where, value, says, honoured, moment)


def shortened(value: str) -> str:
    """``value`` as it is kept: on one line, no surrogates, no longer than ``LONGEST_VALUE``."""
    clean = value.encode("utf-8", "replace").decode("utf-8")
    line = "".join(each if each.isprintable() else " " for each in clean[: LONGEST_VALUE + 1]).strip()
    return line if len(line) <= LONGEST_VALUE else line[: LONGEST_VALUE - 1] + "…"
