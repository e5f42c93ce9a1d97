"""How a program and its workers log: ``--log_level`` and ``--log_format``, on standard error.

As usual, nothing is changed: whoever calls this package from Python has handlers of their own. Asked for
otherwise, the logger of this package gets a handler. Called by the api and by worker processes.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import time
from collections.abc import Mapping
from typing import Any, get_args

from img2dataset.options.logs import LogFormat, LogLevel, LogSettings
from img2dataset.printable import PrintableFormatter, printable
from img2dataset.shown_names import without_secrets

TEXT_FORMAT = "%(levelname)s: %(message)s"

# Whether lines that are no log records are JSON too.
_as_json = False


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON: time in Unix seconds, level, logger, message, traceback if any."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": without_secrets(printable(record.getMessage())),
        }
        if record.exc_info:
            fields["traceback"] = without_secrets(printable(self.formatException(record.exc_info)))
        return json.dumps(fields)


# Python 3.10 cannot subscript it, as the types want.
class _OwnHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """To tell it from handlers of others."""


def set_up_logging(settings: LogSettings) -> None:
    """Log as the settings say, from now on."""
    global _as_json
    _as_json = settings.format == "json"
    logger = logging.getLogger("img2dataset")
    for handler in [each for each in logger.handlers if isinstance(each, _OwnHandler)]:
        logger.removeHandler(handler)
        logger.propagate = True
        logger.setLevel(logging.NOTSET)
    if settings == LogSettings():
        return
    formatter = JsonFormatter() if settings.format == "json" else PrintableFormatter(TEXT_FORMAT)
    handler = _OwnHandler(sys.stderr)
    handler.setFormatter(formatter)
    logger.addHandler(handler)
    # What the root's handlers would say of the same records stands here already.
    logger.propagate = False
    logger.setLevel(settings.level.upper())
    for root_handler in logging.getLogger().handlers:
        if isinstance(root_handler.formatter, (PrintableFormatter, JsonFormatter)):
            root_handler.setFormatter(formatter)


def set_up_as_given(given: Mapping[str, Any]) -> None:
    """The same for options that have not been checked: what is said while they are, is said as they ask."""
    level, form = given.get("log_level", "warning"), given.get("log_format", "text")
    if level in get_args(LogLevel) and form in get_args(LogFormat):
        set_up_logging(LogSettings(level, form))


def lines_are_json() -> bool:
    """Whether each line on standard error is an object."""
    return _as_json


def notice(event: str, text: str, **fields: Any) -> None:
    """Say on standard error what is no log record: a line for people, or an object with the same in it.

    Args:
        event: what happened, in a word.
        text: the same for people.
        fields: what programs may want to know of it.
    """
    shown = printable(text)
    line = json_line(event, message=shown, **fields) if _as_json else f"img2dataset: {shown}"
    with contextlib.suppress(OSError, ValueError):  # whoever reads may have gone
        print(line, file=sys.stderr, flush=True)


def json_line(event: str, **fields: Any) -> str:
    """A line of JSON for something that is no log record, such as the progress of a run."""
    return json.dumps({"time": round(time.time(), 3), "event": event, **fields})
