"""The few parts of protobuf's wire format that a ``tf.train.Example`` needs, written and read.

In: numbers and bytes. Out: fields of a message, and back (protobuf.dev/programming-guides/encoding).
"""

from __future__ import annotations

from collections.abc import Iterator

VARINT, FIXED_64, DELIMITED, FIXED_32 = 0, 1, 2, 5

_ONE_BYTE = [bytes([value]) for value in range(0x80)]


def delimited(number: int, contents: bytes | memoryview) -> bytes:
    """A field of bytes, or of another message: tag, length, contents. ``number`` is below 16."""
    return b"".join((b"%c" % (number << 3 | DELIMITED), varint(len(contents)), contents))


def varint(value: int) -> bytes:
    """A number of seven bits a byte, lowest first."""
    if value < 0x80:
        return _ONE_BYTE[value]
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def fields(message: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """The fields of a message: number, and contents; those of wire type 0 as an integer.

    Raises:
        ValueError: it is no message.
    """
    position, size = 0, len(message)
    while position < size:
        tag, position = read_varint(message, position)
        wire_type = tag & 7
        if wire_type == VARINT:
            value, position = read_varint(message, position)
            yield tag >> 3, value
            continue
        if wire_type == DELIMITED:
            length, position = read_varint(message, position)
        elif wire_type in (FIXED_32, FIXED_64):
            length = 4 if wire_type == FIXED_32 else 8
        else:
            raise ValueError("a field of an unknown kind")
        if position + length > size:
            raise ValueError("a field longer than its message")
        yield tag >> 3, message[position : position + length]
        position += length


def messages(message: memoryview, number: int | None = None) -> Iterator[memoryview]:
    """The fields of bytes or messages of this number, or of every one.

    Raises:
        ValueError: it is no message, or such a field is a number.
    """
    for found, contents in fields(message):
        if number is None or found == number:
            if isinstance(contents, int):
                raise ValueError("a field of another kind")
            yield contents


def read_varint(message: memoryview, position: int) -> tuple[int, int]:
    """A number, and where what follows it begins.

    Raises:
        ValueError: the message ends within it.
    """
    value = shift = 0
    try:
        while True:
            byte = message[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, position
            shift += 7
    except IndexError as error:
        raise ValueError("a number longer than its message") from error
