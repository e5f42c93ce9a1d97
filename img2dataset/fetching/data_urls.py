"""``data:`` URLs (RFC 2397): the body is in the list itself. Called by the fetcher; a pure function."""

from __future__ import annotations

import binascii
import re
from urllib.parse import unquote_to_bytes

from img2dataset import failures
from img2dataset.fetching.urls import UrlRefused

_IGNORED = re.compile(rb"[\s=]+")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]*")


def decode_data_url(url: str, max_body_bytes: int) -> bytes:
    """The bytes that ``url`` carries, percent-encoded or base64 (URL-safe and unpadded too).

    Raises:
        UrlRefused: it is malformed, carries nothing, or more than ``max_body_bytes``.
    """
    # Three characters a byte at most; checked before anything is copied.
    if len(url) > 3 * max_body_bytes + 1000:
        raise UrlRefused(failures.TOO_LARGE_BODY)
    description, comma, data = url[len("data:") :].partition(",")
    if not comma:
        raise UrlRefused(failures.URL_DATA)
    try:
        body = unquote_to_bytes(data)
    except UnicodeEncodeError:
        raise UrlRefused(failures.URL_NOT_UNICODE) from None
    if description.replace(" ", "").lower().endswith(";base64"):
        body = _decode_base64(body)
    if len(body) > max_body_bytes:
        raise UrlRefused(failures.TOO_LARGE_BODY)
    if not body:
        raise UrlRefused(failures.EMPTY_BODY)
    return body


def _decode_base64(text: bytes) -> bytes:
    text = _IGNORED.sub(b"", text).replace(b"-", b"+").replace(b"_", b"/")
    if not _BASE64.fullmatch(text) or len(text) % 4 == 1:
        raise UrlRefused(failures.URL_DATA)
    return binascii.a2b_base64(text + b"=" * (-len(text) % 4))
