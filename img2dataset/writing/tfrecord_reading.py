"""Where the samples of a finished tfrecord file stand.

In: an open tfrecord file and the keys that are wanted. Out: the stretches of the file that are their records,
so that they can be copied as they are. Called by the tfrecord writer.

One record at a time is in memory. Its checksums are those of ``example_proto``; the feature ``key`` says
whose it is.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Collection, Iterator
from typing import BinaryIO

from img2dataset.writing.example_proto import masked

_LENGTH_BYTES = 12  # the length itself and its checksum
_CHECKSUM_BYTES = 4
_DELIMITED = 2


def record_stretches(
    file: BinaryIO, keys: Collection[str], crc32c: Callable[[bytes], int]
) -> list[tuple[int, int]]:
    """The stretches of a tfrecord file that hold these samples, in its order, neighbours as one.

    Args:
        file: open for reading, at its beginning.
        keys: of the wanted samples.
        crc32c: the checksum function (Castagnoli).

    Raises:
        ValueError: the file is not whole, or does not hold each of these samples once.
    """
    stretches: list[tuple[int, int]] = []
    missing = set(keys)
    for start, end, data in records(file, crc32c):
        key = example_key(data)
        if key not in keys:
            continue
        if key not in missing:
            raise ValueError(f"it holds {key} twice")
        missing.discard(key)
        if stretches and stretches[-1][1] == start:
            stretches[-1] = (stretches[-1][0], end)
        else:
            stretches.append((start, end))
    if missing:
        raise ValueError(f"the sample {min(missing)} is missing")
    return stretches


def records(file: BinaryIO, crc32c: Callable[[bytes], int]) -> Iterator[tuple[int, int, bytes]]:
    """Each record: where it begins and ends in the file, and its data.

    Raises:
        ValueError: the file is cut short, or a checksum is wrong.
    """
    file_size = os.fstat(file.fileno()).st_size
    start = 0
    while start < file_size:
        framed_length = file.read(_LENGTH_BYTES)
        if len(framed_length) < _LENGTH_BYTES:
            raise ValueError(f"it ends at byte {file_size}, in the middle of a record")
        length, checksum = struct.unpack("<QI", framed_length)
        if masked(crc32c(framed_length[:8])) != checksum:
            raise ValueError(f"the length of the record at byte {start} is broken")
        end = start + _LENGTH_BYTES + length + _CHECKSUM_BYTES
        if end > file_size:  # looked at before the read: memory is taken for as much as is asked for
            raise ValueError(f"it ends at byte {file_size}, in the middle of a record")
        data = file.read(length)
        (checksum,) = struct.unpack("<I", file.read(_CHECKSUM_BYTES))
        if masked(crc32c(data)) != checksum:
            raise ValueError(f"the record at byte {start} is broken")
        yield start, end, data
        start = end


def example_key(data: bytes) -> str:
    """The value of the feature ``key`` of a ``tf.train.Example``.

    Raises:
        ValueError: it has none, or is no such message.
    """
    try:
        for _, features_start, features_end in _fields(data, 0, len(data)):
            for _, entry_start, entry_end in _fields(data, features_start, features_end):
                halves = {number: (a, b) for number, a, b in _fields(data, entry_start, entry_end)}
                name_start, name_end = halves[1]
                if data[name_start:name_end] == b"key":
                    return _single_string(data, *halves[2])
    except (IndexError, KeyError) as error:
        raise ValueError("a record is no tf.train.Example") from error
    raise ValueError("a record has no feature named key")


def _single_string(data: bytes, start: int, end: int) -> str:
    """The one value of a feature of bytes."""
    for _, list_start, list_end in _fields(data, start, end):
        for _, value_start, value_end in _fields(data, list_start, list_end):
            return data[value_start:value_end].decode()
    raise KeyError("no value")


def _fields(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The fields of a message, all of wire type 2 here: number, and where its contents begin and end."""
    while start < end:
        tag = data[start]
        length, contents = _varint(data, start + 1)
        if tag & 7 != _DELIMITED or contents + length > end:
            raise IndexError(start)
        yield tag >> 3, contents, contents + length
        start = contents + length


def _varint(data: bytes, start: int) -> tuple[int, int]:
    """A number of seven bits a byte, lowest first, and where what follows begins."""
    value = shift = 0
    while True:
        byte = data[start]
        value |= (byte & 0x7F) << shift
        start += 1
        if byte < 0x80:
            return value, start
        shift += 7
