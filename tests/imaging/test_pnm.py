"""PBM, PGM and PPM: every kind, plain and raw, with every kind of largest value, and comments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.imaging.odd_files import RGB, failure, stored

Pixels = np.ndarray[Any, Any]

PICTURE = RGB[:21, :33]
BIT, GREY, COLOUR = 1, 2, 3


def pnm(kind: int, raw: bool, largest: int, comments: bool = False) -> tuple[bytes, Pixels]:
    """A file, and the pixels it stands for."""
    scaled = np.round(PICTURE / 255 * largest).astype(np.uint32)
    values = scaled if kind == COLOUR else scaled[:, :, 1]
    expected = np.floor(values * 255 / largest + 0.5)
    if kind == BIT:
        values = (PICTURE[:, :, 1] > 128).astype(np.uint32)
        expected = 255 * (1 - values)
    numbers = [b"33", b"21"] + ([] if kind == BIT else [str(largest).encode()])
    between = b" # a comment, 7\n\t" if comments else b"\n"
    head = b"P" + str(kind + 3 * raw).encode() + between + between.join(numbers) + b"\n"
    if not raw:
        words = [str(value).encode() for value in values.reshape(-1).tolist()]
        if kind == BIT:
            return head + b"".join(words), expected
        middle = len(words) // 2
        more = b"\n# another, 8 9\n" if comments else b" "
        return head + b" ".join(words[:middle]) + more + b"  ".join(words[middle:]) + b"\n", expected
    if kind == BIT:
        return head + np.packbits(values.astype(np.uint8), axis=1).tobytes(), expected
    return head + values.astype(np.uint8 if largest < 256 else ">u2").tobytes(), expected


@pytest.mark.parametrize("comments", [False, True])
@pytest.mark.parametrize("largest", [1, 2, 3, 15, 100, 127, 254, 255, 256, 1000, 4095, 32767, 65534, 65535])
@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("kind", [BIT, GREY, COLOUR])
def test_every_kind_with_every_largest_value(kind: int, raw: bool, largest: int, comments: bool) -> None:
    body, expected = pnm(kind, raw, largest, comments)
    made = stored(body)
    assert np.array_equal(made, expected)
    assert failure(body[: len(body) * 2 // 3]) == "decode: truncated"
    assert np.array_equal(stored(body + b"\nP6 what follows"), expected)


def test_values_above_the_largest_are_white() -> None:
    assert stored(b"P5 2 1 100\n\x64\xff").tolist() == [[255, 255]]
    assert stored(b"P2 3 1 100 50 100 700").tolist() == [[128, 255, 255]]


def test_pixels_that_look_like_space_or_comments_are_pixels() -> None:
    assert stored(b"P5 3 1 255\n#\n ").tolist() == [[35, 10, 32]]


@pytest.mark.parametrize(
    "body",
    [b"P5 2 1 0\n\0\0", b"P5 2 1 65536\n\0\0\0\0", b"P5 x 1 255\n", b"P2 2 1 9 1 x", b"P2 1 1 255 99999"],
)
def test_what_is_no_number_or_out_of_range_is_corrupt(body: bytes) -> None:
    assert failure(body) == "decode: corrupt"


@pytest.mark.parametrize("body", [b"P5", b"P5 2", b"P5 2 1 25", b"P5 2 1 255", b"P2 2 1 255 3", b"P1 2 1 1"])
def test_what_ends_early_is_truncated(body: bytes) -> None:
    assert failure(body) in ("decode: truncated", "decode: not an image")


@pytest.mark.parametrize("number", ["65536", "65537", "131071", "9" * 30, "9" * 5000])
def test_a_number_of_any_length_is_out_of_range_and_no_other(number: str) -> None:
    assert failure(f"P2 2 1 65535 7 {number}\n".encode()) == "decode: corrupt"


def test_zeros_before_a_number_do_not_count() -> None:
    pixels = stored(f"P2 3 1 255 {'0' * 5000} {'0' * 5000}9 00255\n".encode())
    assert pixels.tolist() == [[0, 9, 255]]
