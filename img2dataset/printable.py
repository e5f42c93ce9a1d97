"""Text from strangers → the same text, safe to print. Lists, folders and answers are written by anybody.

Escape sequences can colour, move or retitle a terminal, and hide or forge lines of a log. Used by the errors
and by whatever prints or logs.
"""

from __future__ import annotations

import logging
import re

from img2dataset.shown_names import without_secrets

# Control characters, those of C1 too, and what turns the direction of text; lone surrogates cannot be printed
# at all. Line ends and tabs are left.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """The text with every such character written as an escape, such as ``\\x1b``."""
    return _UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def _escape(record: logging.LogRecord) -> bool:
    record.msg, record.args = without_secrets(printable(record.getMessage())), ()
    return True


# Whoever uses this package from Python has handlers of their own.
logging.getLogger("img2dataset").addFilter(_escape)


class PrintableFormatter(logging.Formatter):
    """Formats log records for a terminal or a file."""

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(printable(super().format(record)))
