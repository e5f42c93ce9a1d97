"""A file of the tfrecord format: every record's checksums, and every example.

In: a path on the local disk. Out: its samples, compared with the metadata, or ``BrokenFile``. Called by
``checking``. Records and their checksums are read by the writing room's own reader.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from img2dataset.verifying.findings import BrokenFile, Findings
from img2dataset.verifying.samples import FoundSample, SampleComparison
from img2dataset.writing.tfrecord_reading import records

_KEY, _CAPTION = "key", "txt"

_VARINT, _FIXED_64, _DELIMITED, _FIXED_32 = 0, 1, 2, 5
_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = 1, 2, 3


def check_tfrecord(
    path: str,
    columns: list[str],
    crc32c: Callable[[bytes], int],
    comparison: SampleComparison,
    findings: Findings,
) -> None:
    """Compare every sample of a file.

    Args:
        path: of the file.
        columns: of the metadata; the feature that is none of them, nor the caption, is the image.
        crc32c: the checksum function.
        comparison: takes the samples.
        findings: take what is wrong with single examples.

    Raises:
        BrokenFile: a record is damaged or cut.
    """
    with open(path, "rb") as file:
        for number, data in enumerate(_read_records(file, crc32c)):
            try:
                features = read_example(data)
            except (ValueError, LookupError, struct.error):
                findings.add("no tf.train.Example in record", str(number))
                continue
            comparison.add(_sample(features, columns))
    comparison.finish()


def _read_records(file: BinaryIO, crc32c: Callable[[bytes], int]) -> Iterator[bytes]:
    try:
        for _, _, data in records(file, crc32c):
            yield data
    except ValueError as error:
        raise BrokenFile(f"is broken: {error}") from error


def read_example(data: bytes) -> dict[str, Any]:
    """The features of a ``tf.train.Example``: one value, a list of several, or None for an empty list.

    Raises:
        ValueError, LookupError, struct.error: it is none.
    """
    features = {}
    for _, message in _fields(memoryview(data)):
        for _, entry in _fields(message):
            parts = dict(_fields(entry))
            values = _values(parts.get(2, memoryview(b"")))
            features[bytes(parts[1]).decode()] = values[0] if len(values) == 1 else (values or None)
    return features


def _sample(features: dict[str, Any], columns: list[str]) -> FoundSample:
    images = [value for name, value in features.items() if name != _CAPTION and name not in columns]
    image = images[0] if len(images) == 1 and isinstance(images[0], memoryview) else None
    caption = features.get(_CAPTION)
    repeated = {name: _as_text(features.get(name)) for name in columns}
    return FoundSample(
        key=repeated.get(_KEY) or "without a key",
        image_bytes=None if image is None else len(image),
        image=image,
        caption=bytes(caption) if isinstance(caption, memoryview) else None,
        repeated=repeated,
    )


def _as_text(value: Any) -> Any:
    """A byte string as text; None is stored as an empty one."""
    return str(value, "utf-8", "replace") or None if isinstance(value, memoryview) else value


def _values(feature: memoryview) -> list[Any]:
    found: list[Any] = []
    for kind, values in _fields(feature):
        for wire_type, value in _typed_fields(values):
            if kind == _BYTES_LIST:
                found.append(value)
            elif kind == _FLOAT_LIST:
                found += struct.unpack(f"<{len(value) // 4}f", value)
            elif wire_type == _DELIMITED:
                found += _packed_int64s(value)
            else:
                found.append(_signed(value))
    return found


def _packed_int64s(packed: memoryview) -> Iterator[int]:
    position = 0
    while position < len(packed):
        value, position = _varint(packed, position)
        yield _signed(value)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The fields of a message whose fields are all messages or byte strings."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        if tag & 7 != _DELIMITED:
            raise ValueError("a field of another kind")
        length, position = _varint(message, position)
        if position + length > len(message):
            raise ValueError("a field longer than its message")
        yield tag >> 3, message[position : position + length]
        position += length


def _typed_fields(message: memoryview) -> Iterator[tuple[int, Any]]:
    """Wire type and value of each field of a list of values."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        wire_type = tag & 7
        if wire_type == _VARINT:
            value, position = _varint(message, position)
            yield wire_type, value
            continue
        if wire_type == _DELIMITED:
            length, position = _varint(message, position)
        elif wire_type in (_FIXED_32, _FIXED_64):
            length = 4 if wire_type == _FIXED_32 else 8
        else:
            raise ValueError("a field of an unknown kind")
        yield wire_type, message[position : position + length]
        position += length


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
