"""What 1.47.0 and others say of a failed row → the failure of today that it is, for findings alone.

Its messages are those of Python's libraries. Pages and counts show them as they stand in the folder.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Mapping

from img2dataset import failures

_BY_PATTERN: tuple[tuple[str, str], ...] = (
    (r"timed out|The read operation timed out", failures.TIMEOUT_SILENCE),
    (r"\[Errno -2\]|\[Errno -5\]|nodename nor servname", failures.DNS_NOT_FOUND),
    (r"\[Errno -3\]", failures.DNS_TEMPORARY),
    (r"\[Errno 111\]|\[Errno 61\]|Connection refused", failures.CONNECTION_REFUSED),
    (r"\[Errno 104\]|\[Errno 54\]|Connection reset", failures.CONNECTION_RESET),
    (
        r"\[Errno 101\]|\[Errno 113\]|No route to host|Network is unreachable",
        failures.CONNECTION_UNREACHABLE,
    ),
    (r"\[Errno 24\]|\[Errno 99\]", failures.OUT_OF_RESOURCES),
    (r"Tunnel connection failed", failures.CONNECTION_PROXY),
    (r"certificate has expired", failures.TLS_EXPIRED),
    (r"certificate is not yet valid", failures.TLS_NOT_YET_VALID),
    (r"[Hh]ostname mismatch|IP address mismatch", failures.TLS_WRONG_HOST),
    (r"unable to get local issuer certificate", failures.TLS_ISSUER_MISSING),
    (r"self[- ]signed certificate", failures.TLS_UNKNOWN_ISSUER),
    (r"CERTIFICATE_VERIFY_FAILED", failures.TLS_CERTIFICATE),
    (r"\[SSL|EOF occurred in violation of protocol", failures.TLS_HANDSHAKE),
    (r"Remote end closed connection|IncompleteRead", failures.CONNECTION_CLOSED_EARLY),
    (r"Use of image disallowed by X-Robots-Tag", failures.OPT_OUT_ROBOTS_TAG),
    (r"^unknown url type", failures.URL_NO_SCHEME),
    (r"no host given", failures.URL_NO_HOST),
    (r"URL can't contain control characters", failures.URL_CONTROL_CHARACTER),
    (r"^Image decoding error", failures.NOT_AN_IMAGE),
    (r"redirect error that would lead to an infinite loop", failures.REDIRECT_TOO_MANY),
)


def in_todays_words(messages: Mapping[str, int]) -> Counter[str]:
    """Rows by message, with those that are known from elsewhere under the failure that they are."""
    found: Counter[str] = Counter()
    for message, rows in messages.items():
        found[failure_of(message)] += rows
    return found


@functools.lru_cache(4096)
def failure_of(message: str) -> str:
    """The text of today's failure that a message means; itself where it is one, or is not known."""
    if message == "success" or _is_of_today(message):
        return message
    for pattern, failure in _BY_PATTERN:
        if re.search(pattern, message):
            return str(failure)
    if status := re.match(r"HTTP Error (\d{3})\b", message):
        return str(failures.of_status(int(status[1])))
    return message


def _is_of_today(message: str) -> bool:
    try:
        failures.of_text(message)
    except KeyError:
        return False
    return True
