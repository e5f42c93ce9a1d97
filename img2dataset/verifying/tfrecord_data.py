"""A file of the tfrecord format: every record's checksums, and every example.

In: a path on the local disk. Out: its samples, compared with the metadata, or ``BrokenFile``. Called by
``checking``. The framing is the writing room's: a record is right if framing its data gives its bytes again.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from typing import Any

from img2dataset.verifying.findings import BrokenFile, Findings
from img2dataset.verifying.samples import FoundSample, SampleComparison
from img2dataset.writing.example_proto import framed_record

_LENGTH = struct.Struct("<Q")
_BEFORE_DATA = _LENGTH.size + 4
_AFTER_DATA = 4
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
    for number, data in enumerate(read_records(path, crc32c)):
        try:
            features = read_example(data)
        except (ValueError, LookupError, struct.error):
            findings.add("no tf.train.Example in record", str(number))
            continue
        comparison.add(_sample(features, columns))
    comparison.finish()


def read_records(path: str, crc32c: Callable[[bytes], int]) -> Iterator[bytes]:
    """The data of every record.

    Raises:
        BrokenFile: a checksum is wrong, or the file ends within a record.
    """
    size = os.path.getsize(path)
    position = 0
    with open(path, "rb") as file:
        while position < size:
            head = file.read(_BEFORE_DATA)
            length = _LENGTH.unpack_from(head)[0] if len(head) == _BEFORE_DATA else size
            end = position + _BEFORE_DATA + length + _AFTER_DATA
            if end > size:
                raise BrokenFile(f"is cut or damaged at byte {position:,}: the record there is not whole")
            rest = file.read(length + _AFTER_DATA)
            data = rest[:length]
            if framed_record(data, crc32c) != head + rest:
                raise BrokenFile(f"is damaged: the record at byte {position:,} has another checksum")
            yield data
            position = end


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
