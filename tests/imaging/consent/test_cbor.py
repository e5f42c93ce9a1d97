"""The reader of CBOR: examples of RFC 8949, appendix A, and bytes that would take long or much."""

from __future__ import annotations

from typing import Any

import pytest

from img2dataset.imaging.consent.cbor import NotCbor, read_cbor
from tests.imaging.consent.builders import cbor


@pytest.mark.parametrize(
    ("encoded", "value"),
    [
        ("00", 0),
        ("17", 23),
        ("1818", 24),
        ("1903e8", 1000),
        ("1a000f4240", 1_000_000),
        ("1bffffffffffffffff", 2**64 - 1),
        ("20", -1),
        ("3903e7", -1000),
        ("c249010000000000000000", b"\1" + bytes(8)),  # a tag is passed over
        ("f4", False),
        ("f5", True),
        ("f6", None),
        ("f93c00", None),
        ("fb3ff199999999999a", None),
        ("f8ff", None),
        ("4401020304", b"\1\2\3\4"),
        ("6449455446", "IETF"),
        ("62c3bc", "\u00fc"),
        ("61ff", "\ufffd"),
        ("83010203", [1, 2, 3]),
        ("8301820203820405", [1, [2, 3], [4, 5]]),
        ("a26161016162820203", {"a": 1, "b": [2, 3]}),
        ("a201020304", {}),  # keys that are no text
        ("a18001", {}),
        ("5f42010243030405ff", b"\1\2\3\4\5"),
        ("7f657374726561646d696e67ff", "streaming"),
        ("9f018202039f0405ffff", [1, [2, 3], [4, 5]]),
        ("bf6346756ef563416d7421ff", {"Fun": True, "Amt": -2}),
        ("0001", 0),
    ],
)
def test_the_examples_of_the_standard(encoded: str, value: Any) -> None:
    assert read_cbor(bytes.fromhex(encoded)) == value


@pytest.mark.parametrize(
    "encoded",
    [
        "",
        "18",
        "1c",
        "1f",
        "ff",
        "9f",
        "9f00",
        "bf00ff",
        "bf6161ff",
        "a161",
        "62c3",
        "df00",
        "5f6161ff",
        "5f5f4101ffff",
        "81ff",
        "9bffffffffffffffff",
        "bbffffffffffffffff",
        "5bffffffffffffffff00",
    ],
)
def test_what_is_cut_or_malformed_is_no_cbor(encoded: str) -> None:
    with pytest.raises(NotCbor):
        read_cbor(bytes.fromhex(encoded))


@pytest.mark.parametrize(
    "data",
    [
        b"\x81" * 60_000,
        b"\x9f" * 60_000,
        b"\xa1\x61a" * 20_000,
        b"\xc1" * 60_000 + b"\0",
        b"\x9f" + b"\0" * 60_000 + b"\xff",
        b"\x5f" + b"\x40" * 60_000 + b"\xff",
        # Lists of lists, each as long as may be.
        (b"\x99\x03\xe0" * 5) + b"\0" * 60_000,
    ],
)
def test_depth_and_items_are_bounded(data: bytes) -> None:
    with pytest.raises(NotCbor):
        read_cbor(data)


def test_what_the_builders_write_is_read_again() -> None:
    value = {"a": [0, 23, 24, 255, 256, 65_536, 2**32, -1, -500], "b": {"c": b"\0" * 300, "d": "\u00e9" * 30}}
    assert read_cbor(memoryview(cbor(value))) == value
