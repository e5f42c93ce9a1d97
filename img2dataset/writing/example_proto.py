"""TFRecord files of ``tf.train.Example``, encoded by hand.

In: features as Python values. Out: the bytes of a record. Called by the tfrecord writer.

The message is three small levels of protobuf, and its schema has not changed since 2015
(tensorflow/core/example/feature.proto):

    Example  { Features features = 1; }
    Features { map<string, Feature> feature = 1; }
    Feature  { oneof { BytesList = 1, FloatList = 2, Int64List = 3 } }   each { repeated value = 1; }

The framing of a record (tensorflow.org/tutorials/load_data/tfrecord): length as 8 bytes little endian,
its masked crc32c, the data, its masked crc32c.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import Any

from img2dataset.writing.json_text import value_text

_INT64_MASK = (1 << 64) - 1


def framed_record(data: bytes, crc32c: Callable[[bytes], int]) -> bytes:
    """The record as it stands in the file; ``crc32c`` is the checksum function (Castagnoli)."""
    length = struct.pack("<Q", len(data))
    return b"".join(
        (
            length,
            struct.pack("<I", masked(crc32c(length))),
            data,
            struct.pack("<I", masked(crc32c(data))),
        )
    )


def example(entries: Iterable[bytes]) -> bytes:
    """A ``tf.train.Example`` of the map entries, which are from ``feature_entry``."""
    return _delimited(1, b"".join(entries))


def entry_name(name: str) -> bytes:
    """The first half of a map entry: the feature's name. Made once a column."""
    return _delimited(1, name.encode())


def feature_entry(name: bytes, feature: bytes) -> bytes:
    """A map entry; ``name`` is from ``entry_name``, ``feature`` from one of the functions below."""
    return _delimited(1, name + _delimited(2, feature))


def bytes_feature(value: bytes | memoryview) -> bytes:
    """A feature of one byte string."""
    return _delimited(1, _delimited(1, value))


def feature_of(value: Any) -> bytes:
    """The feature of a metadata value.

    Whole numbers and booleans are int64, floats float, everything else bytes: text as UTF-8, objects
    as JSON, None as no bytes. A list is a list of these, of one kind; None within it makes it bytes. An
    empty list has no kind, so that it can be read as any.
    """
    if value is None:
        return bytes_feature(b"")
    if isinstance(value, str):
        return bytes_feature(value.encode())
    if isinstance(value, int):
        return _int64_feature((value,))
    if isinstance(value, float):
        return _float_feature((value,))
    if isinstance(value, list):
        return _list_feature(value)
    return bytes_feature(_as_bytes(value))


def _list_feature(values: list[Any]) -> bytes:
    if not values:
        return b""
    kinds = set(map(type, values))
    if kinds <= {int, bool}:
        return _int64_feature(values)
    if kinds <= {int, bool, float}:
        return _float_feature(values)
    return _delimited(1, b"".join(_delimited(1, _as_bytes(value)) for value in values))


def _as_bytes(value: Any) -> bytes:
    if value is None:
        return b""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    return value_text(value, "\n").encode("ascii")


def _int64_feature(values: Iterable[int]) -> bytes:
    # Negative numbers take their two's complement of 64 bits, so always ten bytes.
    packed = b"".join(_varint(value & _INT64_MASK) for value in values)
    return _delimited(3, _delimited(1, packed))


def _float_feature(values: Iterable[float]) -> bytes:
    packed = b"".join(_float32(value) for value in values)
    return _delimited(2, _delimited(1, packed))


def _float32(value: float) -> bytes:
    try:
        return struct.pack("<f", value)
    except OverflowError:  # beyond float32: infinite, as protobuf has it
        return struct.pack("<f", float("inf") if value > 0 else float("-inf"))


def _delimited(field: int, contents: bytes | memoryview) -> bytes:
    """A field of wire type 2: tag, length, contents."""
    return b"".join((b"%c" % (field << 3 | 2), _varint(len(contents)), contents))


def _varint(value: int) -> bytes:
    if value < 0x80:
        return _ONE_BYTE[value]
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


_ONE_BYTE = [bytes([value]) for value in range(0x80)]


def masked(crc: int) -> int:
    """Rotated and shifted, so that a checksum of data that holds checksums stays good."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
