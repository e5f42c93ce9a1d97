"""GIF: the canvas, the bounds of the first frame, and whether the blocks reach their end (GIF89a)."""

from __future__ import annotations

import struct

from img2dataset.imaging.formats.header import EndsEarly, Header, Malformed

_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B


def read_gif(body: bytes | bytearray) -> Header:
    """The header of a GIF, grown like Pillow does where the first frame is larger than the canvas.

    All blocks are stepped over: 0.1 ms for each 500 KB. A file cut between blocks has every frame it
    began, and many writers leave the trailer out, so it counts as complete.

    Pillow decodes GIFs: OpenCV reads all frames to give the first, and none if one is at fault.

    Raises:
        EndsEarly: before the first frame's bounds.
        Malformed: a block of no known kind before the first frame.
    """
    width = height = 0
    frame: tuple[int, int, int, int] | None = None
    complete = True
    try:
        width, height, flags = struct.unpack_from("<HHB", body, 6)
        position = 13 + _colour_table(flags)
        while position < len(body):
            kind = body[position]
            if kind == _EXTENSION:
                position = _after_blocks(body, position + 2)
            elif kind == _IMAGE:
                *bounds, flags = struct.unpack_from("<HHHHB", body, position + 1)
                frame = frame or (bounds[0], bounds[1], bounds[2], bounds[3])
                position = _after_blocks(body, position + 11 + _colour_table(flags))
            elif kind == _TRAILER or frame:
                # Junk after a whole frame is passed over, as decoders do.
                break
            else:
                raise Malformed("block")
    except (IndexError, struct.error):
        complete = False
    if frame is None:
        raise EndsEarly
    left, top, frame_width, frame_height = frame
    return Header(
        extension="gif",
        width=max(width, left + frame_width),
        height=max(height, top + frame_height),
        complete=complete,
        pillow=True,
        frame=frame,
    )


def _colour_table(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _after_blocks(body: bytes | bytearray, position: int) -> int:
    """The position after a run of sub-blocks; IndexError where the file ends first."""
    while length := body[position]:
        position += length + 1
    return position + 1
