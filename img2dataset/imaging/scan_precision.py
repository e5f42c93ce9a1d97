"""Making a progressive JPEG that lost bits of its coefficients whole again: coarser steps, no bits missing.

A coefficient of which the lowest n bits were left out, times its step of quantisation, is the same number as
one with no bit left out, times a step 2^n times as large. Called by ``scans.py`` (ITU-T T.81, annexes B, G).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Steps = npt.NDArray[np.uint32]

_PROGRESSIVE, _QUANTISATION = 0xC2, 0xDB
# One code, of one bit: the end of 16384 blocks, and 14 bits of how many more. All of them are zeros.
_END_OF_BLOCKS_TABLE = b"\xff\xc4\x00\x14\x10\x01" + bytes(15) + b"\xe0"
_BLOCKS_OF_A_RUN, _BITS_OF_A_RUN = 16384, 15
_NO_RESTARTS = b"\xff\xdd\x00\x04\x00\x00"
_LARGEST_STEP = 65535


@dataclass(frozen=True, slots=True)
class Frame:
    """A progressive JPEG's header: its segments without the tables of quantisation, and what they say.

    ``frame_at`` is where, in ``segments``, the frame's segment begins. ``components`` are identifier,
    horizontal and vertical sampling of each; ``steps`` the quantisation of each, in zigzag order.
    """

    segments: bytes
    frame_at: int
    width: int
    height: int
    components: list[tuple[int, int, int]]
    steps: list[Steps]


def read_frame(body: bytes | bytearray, first_scan: int) -> Frame | None:
    """The header of a progressive JPEG with 8 bits a sample; None for another one, or an unusual one."""
    tables: dict[int, Steps] = {}
    kept = [bytes(body[:2])]
    kept_length, frame_at, position = 2, 0, 2
    while position < first_scan:
        if body[position] != 0xFF:
            return None
        marker = body[position + 1]
        end = position + 2 + (body[position + 2] << 8 | body[position + 3])
        if end > first_scan:
            return None
        segment = bytes(body[position:end])
        position = end
        if marker == _QUANTISATION:
            if not _read_tables(segment, tables):
                return None
            continue
        if marker == _PROGRESSIVE:
            if frame_at or len(segment) < 10 or segment[4] != 8 or len(segment) != 10 + 3 * segment[9]:
                return None
            frame_at = kept_length
        kept.append(segment)
        kept_length += len(segment)
    if not frame_at:
        return None
    segments = b"".join(kept)
    height, width = (int.from_bytes(segments[frame_at + n : frame_at + n + 2], "big") for n in (5, 7))
    fields = range(frame_at + 10, frame_at + 10 + 3 * segments[frame_at + 9], 3)
    components = [(segments[n], segments[n + 1] >> 4, segments[n + 1] & 15) for n in fields]
    numbers = [segments[n + 2] for n in fields]
    if not all(number in tables for number in numbers) or len(components) > 4:
        return None
    if not all(1 <= side <= 4 for component in components for side in component[1:]):
        return None
    return Frame(segments, frame_at, width, height, components, [tables[number] for number in numbers])


def _read_tables(segment: bytes, tables: dict[int, Steps]) -> bool:
    """Read the tables of one segment into ``tables``, by number; False if it is malformed."""
    position = 4
    while position < len(segment):
        type_of_step = ">u2" if segment[position] >> 4 else ">u1"
        end = position + 1 + 64 * np.dtype(type_of_step).itemsize
        if end > len(segment):
            return False
        steps = np.frombuffer(segment[position + 1 : end], type_of_step)
        tables[segment[position] & 15] = steps.astype(np.uint32)
        position = end
    return True


def with_coarser_tables(frame: Frame, missing: dict[int, list[int]]) -> bytes:
    """The header with a table of its own for each component, coarser by the bits that are missing.

    Args:
        frame: the header as it is.
        missing: for each component's identifier, the missing low bits of its 64 coefficients.
    """
    segments = bytearray(frame.segments)
    tables = []
    for number, ((component, _, _), steps) in enumerate(zip(frame.components, frame.steps, strict=True)):
        segments[frame.frame_at + 12 + 3 * number] = number
        coarser = np.minimum(steps << np.array(missing.get(component, 0), np.uint32), _LARGEST_STEP)
        tables += [b"\xff\xdb\x00\x83", bytes([0x10 | number]), coarser.astype(">u2").tobytes()]
    return bytes(segments) + b"".join(tables)


def empty_scan(frame: Frame, component: int, first: int, last: int) -> bytes:
    """A scan which says that all of a component's coefficients from ``first`` to ``last`` are zero.

    It changes the table of Huffman codes 0 and the restarts, so no other scan may follow.
    """
    across, down = next(each[1:] for each in frame.components if each[0] == component)
    most_across = max(each[1] for each in frame.components)
    most_down = max(each[2] for each in frame.components)
    columns = -(-frame.width * across // (8 * most_across))
    rows = -(-frame.height * down // (8 * most_down))
    runs = -(-columns * rows // _BLOCKS_OF_A_RUN)
    start = b"\xff\xda\x00\x08\x01" + bytes([component, 0, first, last, 0])
    return _NO_RESTARTS + _END_OF_BLOCKS_TABLE + start + bytes(-(-runs * _BITS_OF_A_RUN // 8))
