"""``data:`` URLs."""

from __future__ import annotations

import base64

import pytest

from img2dataset.fetching.urls import UrlRefused, decode_data_url

BYTES = bytes(range(256))


@pytest.mark.parametrize(
    ("url", "body"),
    [
        (f"data:image/png;base64,{base64.b64encode(BYTES).decode()}", BYTES),
        (f"data:image/png;base64,{base64.b64encode(BYTES).decode().rstrip('=')}", BYTES),
        (f"data:;base64,{base64.urlsafe_b64encode(BYTES).decode()}", BYTES),
        ("data:image/png;BASE64,YW Jj\nZA%3D%3D", b"abcd"),
        ("data:,a%20b", b"a b"),
        ("data:text/plain;charset=utf-8,%C3%A9,é", "é,é".encode()),
        ("DATA:,abc", b"abc"),
    ],
)
def test_base64_and_percent_encoding_are_undone(url: str, body: bytes) -> None:
    assert decode_data_url(url, 1000) == body


@pytest.mark.parametrize(
    ("url", "failure"),
    [
        ("data:image/png;base64", "invalid url: data"),
        ("data:;base64,YWJj*", "invalid url: data"),
        ("data:;base64,YWJjZ", "invalid url: data"),
        ("data:,", "empty body"),
        ("data:;base64,", "empty body"),
        ("data:," + "a" * 1001, "too large: body"),
        ("data:;base64," + base64.b64encode(bytes(1001)).decode(), "too large: body"),
        ("data:," + "%00" * 5000, "too large: body"),
    ],
)
def test_what_is_malformed_empty_or_too_large_is_refused(url: str, failure: str) -> None:
    with pytest.raises(UrlRefused) as refused:
        decode_data_url(url, 1000)
    assert str(refused.value) == failure
