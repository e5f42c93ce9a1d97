"""``tf.train.Example`` messages, encoded and decoded by hand, without TensorFlow.

In: features as Python values. Out: the bytes of a message; and back. Used by the format tfrecord.

The message is three small levels of protobuf, and its schema has not changed since 2015
(tensorflow/core/example/feature.proto):

    Example  { Features features = 1; }
    Features { map<string, Feature> feature = 1; }
    Feature  { oneof { BytesList = 1, FloatList = 2, Int64List = 3 } }   each { repeated value = 1; }
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Any

from img2dataset.formats.json_text import json_text
from img2dataset.formats.protobuf import delimited, fields, messages, read_varint, varint

_INT64_MASK = (1 << 64) - 1
_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = 1, 2, 3


def example(entries: Iterable[bytes]) -> bytes:
    """A ``tf.train.Example`` of the map entries, which are from ``feature_entry``."""
    return delimited(1, b"".join(entries))


def entry_name(name: str) -> bytes:
    """The first half of a map entry: the feature's name. Made once a column."""
    return delimited(1, name.encode())


def feature_entry(name: bytes, feature: bytes) -> bytes:
    """A map entry; ``name`` is from ``entry_name``, ``feature`` from one of the functions below."""
    return delimited(1, name + delimited(2, feature))


def bytes_feature(value: bytes | memoryview) -> bytes:
    """A feature of one byte string."""
    return delimited(1, delimited(1, value))


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
    return delimited(1, b"".join(delimited(1, _as_bytes(value)) for value in values))


def _as_bytes(value: Any) -> bytes:
    if value is None:
        return b""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    return json_text(value).encode("ascii")


def _int64_feature(values: Iterable[int]) -> bytes:
    # Negative numbers take their two's complement of 64 bits, so always ten bytes.
    packed = b"".join(varint(value & _INT64_MASK) for value in values)
    return delimited(3, delimited(1, packed))


def _float_feature(values: Iterable[float]) -> bytes:
    packed = b"".join(_float32(value) for value in values)
    return delimited(2, delimited(1, packed))


def _float32(value: float) -> bytes:
    try:
        return struct.pack("<f", value)
    except OverflowError:  # beyond float32: infinite, as protobuf has it
        return struct.pack("<f", float("inf") if value > 0 else float("-inf"))


def feature(data: bytes | memoryview, name: bytes) -> Any:
    """One feature of an example: as in ``read_example``; None if it has none of this name.

    Raises:
        ValueError: the data are no example.
    """
    for found, contents in _features(data):
        if found == name:
            return _value(contents)
    return None


def read_example(data: bytes | memoryview) -> dict[str, Any]:
    """The features of an example: one value, a list of several, or None for an empty list.

    Values are integers, floats, or memoryviews of bytes.

    Raises:
        ValueError: it is none.
    """
    return {str(name, "utf-8"): _value(contents) for name, contents in _features(data)}


def _features(data: bytes | memoryview) -> Iterator[tuple[memoryview, memoryview]]:
    """The name of each feature, and its message."""
    for features in messages(memoryview(data), 1):
        for entry in messages(features, 1):
            name = next(messages(entry, 1), None)
            if name is None:
                raise ValueError("a feature without a name")
            yield name, next(messages(entry, 2), memoryview(b""))


def _value(contents: memoryview) -> Any:
    found: list[Any] = []
    for kind, values in fields(contents):
        if isinstance(values, int):
            raise ValueError("a feature that is no list")
        for _, value in fields(values):
            if isinstance(value, int):
                found.append(_signed(value))
            elif kind == _FLOAT_LIST:
                if len(value) % 4:
                    raise ValueError("a list of floats that ends within one")
                found += struct.unpack(f"<{len(value) // 4}f", value)
            elif kind == _INT64_LIST:
                found += _packed_integers(value)
            else:
                found.append(value)
    return found[0] if len(found) == 1 else (found or None)


def _packed_integers(packed: memoryview) -> Iterator[int]:
    position = 0
    while position < len(packed):
        value, position = read_varint(packed, position)
        yield _signed(value)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value
