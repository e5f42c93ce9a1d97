"""PBM, PGM and PPM, plain and raw (Netpbm's pages of each): magic number, sizes, largest value, comments."""

from __future__ import annotations

import re

from img2dataset.imaging.formats.header import EndsEarly, Header, Malformed

# Comments may stand wherever space may.
_NUMBER = re.compile(rb"(?:\s|#[^\r\n]*[\r\n])+(\d{1,9})(?=[\s#])")
BIT, GREY, COLOUR = 1, 2, 3


def read_pnm(body: bytes | bytearray) -> Header:
    """The header.

    Raises:
        EndsEarly: within the header.
        Malformed: something else than a number, or a largest value outside of 1 to 65535.
    """
    kind = body[1] - ord("0")
    numbers, position = [], 2
    for _ in range(2 if kind % 3 == BIT else 3):
        found = _NUMBER.match(body, position)
        if found is None:
            raise EndsEarly if not body[position:].strip(b" \t\r\n0123456789") else Malformed("no number")
        numbers.append(int(found[1]))
        position = found.end()
    width, height, largest = (*numbers, 1)[:3]
    if not 1 <= largest <= 65535:
        raise Malformed("largest value")
    # Exactly one character: the pixels of a raw file may begin with a byte that looks like another space.
    return Header("ppm", width, height, bits=8 if largest < 256 else 16, payload=(position + 1, largest))
