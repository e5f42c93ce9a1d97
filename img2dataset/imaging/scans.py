"""Leaving whole scans out of a progressive JPEG, by bytes, before it is decoded.

A progressive JPEG refines its pixels scan by scan, and nearly all of its decoding time goes into scans that a
small image does not show: the header and the wanted scans, followed by an end mark, are a valid JPEG of a
little less precision (ITU-T T.81, annex G). Called by the decoder on the fast route.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from img2dataset.imaging.formats.jpeg import END_OF_IMAGE
from img2dataset.imaging.reduction import Shortcuts
from img2dataset.imaging.scan_precision import Frame, empty_scan, read_frame, with_coarser_tables

_SCAN, _END, _QUANTISATION = 0xDA, 0xD9, 0xDB
# Reduced by 4, a block is decoded from its four lowest coefficients, all among the first five.
_LAST_LOW = 5
_LAST = 63


@dataclass(frozen=True, slots=True)
class Scan:
    """One scan: where it and the tables before it begin, its own marker, and which coefficients it brings.

    ``first`` and ``last`` are coefficients in zigzag order. ``low`` is how many low bits of them are missing
    after it, ``high`` how many were before it: 0 in the first scan of a coefficient.
    """

    start: int
    marker: int
    components: bytes
    first: int
    last: int
    high: int
    low: int

    @property
    def refines(self) -> bool:
        """It only adds a bit to coefficients beside the mean of a block."""
        return self.high > 0 and self.first > 0


def find_scans(body: bytes | bytearray, first_scan: int) -> tuple[list[Scan], int]:
    """The scans of a JPEG and where the last one ends, from the marker of the first scan on.

    An unexpected structure gives none: what is not understood is not left out.
    """
    scans: list[Scan] = []
    start = segment_end = first_scan
    in_data = False
    for position in _markers(body, first_scan):
        if position < segment_end:
            continue
        if in_data:
            start = position
        elif position != segment_end:
            break
        marker = body[position + 1]
        if marker == _END:
            return scans, position
        if position + 5 > len(body):
            break
        length = body[position + 2] << 8 | body[position + 3]
        segment_end = position + 2 + length
        in_data = marker == _SCAN
        if in_data:
            count = body[position + 4]
            after = position + 5 + 2 * count
            if length != 6 + 2 * count or after + 3 > len(body):
                break
            components = bytes(body[position + 5 : after : 2])
            first, last, bits = body[after : after + 3]
            if not count or not first <= last <= _LAST:
                break
            scans.append(Scan(start, position, components, first, last, bits >> 4, bits & 15))
    return [], 0


def _markers(body: bytes | bytearray, position: int) -> list[int]:
    """Where markers may be: 0xFF before anything but a stuffed zero and the marks of restarts."""
    values = np.frombuffer(body, np.uint8)
    places = np.flatnonzero(values[position:-1] == 0xFF) + position
    following = values[places + 1]
    found: list[int] = places[(following != 0) & (following & 0xF8 != 0xD0)].tolist()
    return found


def leave_out_scans(body: bytes | bytearray, first_scan: int, shortcuts: Shortcuts) -> bytes | bytearray:
    """The JPEG without the scans that ``shortcuts`` names; ``body`` itself where there is none of them.

    What is left says of itself that it is whole: a decoder takes pains over coefficients that it knows to be
    imprecise (libjpeg smooths their blocks: 7 of 20 ms for 6 megapixels), and they are to be averaged anyway.

    Args:
        body: a whole progressive JPEG.
        first_scan: where the marker of its first scan is.
        shortcuts: what is to be left out.
    """
    scans, end = find_scans(body, first_scan)
    left_out = _left_out(scans, shortcuts)
    if not left_out:
        return body
    kept = [scan for scan in scans if scan not in left_out]
    missing = _missing_bits(kept)
    frame = read_frame(body, first_scan)
    if missing is None or frame is None or not _all_in(frame, scans) or _tables_change(body, scans):
        return b"".join((body[:first_scan], *_parts(body, scans, end, left_out, {}), END_OF_IMAGE))
    header = with_coarser_tables(frame, missing)
    parts = _parts(body, scans, end, left_out, missing)
    luma = scans[0].components[0]
    if shortcuts.without_high_luma and all(low_enough(scan, luma) for scan in kept):
        parts.append(empty_scan(frame, luma, _LAST_LOW + 1, _LAST))
    return b"".join((header, *parts, END_OF_IMAGE))


def _all_in(frame: Frame, scans: list[Scan]) -> bool:
    known = {component for component, _, _ in frame.components}
    return all(known.issuperset(scan.components) for scan in scans)


def low_enough(scan: Scan, luma: int) -> bool:
    """Brings nothing of the luma's high coefficients."""
    return scan.components != bytes([luma]) or scan.last <= _LAST_LOW


def _left_out(scans: list[Scan], shortcuts: Shortcuts) -> set[Scan]:
    if len(scans) < 2:
        return set()
    luma = scans[0].components[:1]
    refining = [scan for scan in scans if scan.refines]
    left_out: set[Scan] = set()
    if shortcuts.without_refinements:
        left_out.update(refining)
    elif shortcuts.without_last_luma_refinement:
        left_out.update([scan for scan in refining if scan.components == luma][-1:])
    if shortcuts.without_high_luma:
        left_out.update(scan for scan in scans if scan.first > _LAST_LOW and scan.components == luma)
    return left_out


def _missing_bits(kept: list[Scan]) -> dict[int, list[int]] | None:
    """For each component and coefficient, the low bits that no kept scan brings.

    None where a scan's coefficients miss different numbers of bits: its mark has one number for all. Or
    where a later scan brings less than an earlier one did.
    """
    missing: dict[int, list[int]] = {component: [0] * 64 for scan in kept for component in scan.components}
    for scan in kept:
        for component in scan.components:
            missing[component][scan.first : scan.last + 1] = [scan.low] * (scan.last + 1 - scan.first)
    for scan in kept:
        bits = missing[scan.components[0]][scan.first]
        alike = [bits] * (scan.last + 1 - scan.first)
        if any(missing[component][scan.first : scan.last + 1] != alike for component in scan.components):
            return None
        if scan.low < bits or 0 < scan.high < bits:
            return None
    return missing


def _parts(
    body: bytes | bytearray,
    scans: list[Scan],
    end: int,
    left_out: set[Scan],
    missing: dict[int, list[int]],
) -> list[bytes | memoryview]:
    """The kept scans, with marks that do not count the bits missing from all of them, and every table."""
    view = memoryview(body)
    ends = [scan.start for scan in scans[1:]] + [end]
    parts: list[bytes | memoryview] = []
    for scan, scan_end in zip(scans, ends, strict=True):
        if scan in left_out:
            # A table before a scan is needed by the scans after it too.
            parts.append(view[scan.start : scan.marker])
            continue
        bits = missing[scan.components[0]][scan.first] if missing else 0
        if not bits:
            parts.append(view[scan.start : scan_end])
            continue
        mark = scan.marker + 7 + 2 * len(scan.components)
        high = scan.high - bits if scan.high else 0
        parts += [view[scan.start : mark], bytes([high << 4 | scan.low - bits]), view[mark + 1 : scan_end]]
    return parts


def _tables_change(body: bytes | bytearray, scans: list[Scan]) -> bool:
    """Quantisation tables stand between the scans."""
    for scan in scans[1:]:
        position = scan.start
        while position < scan.marker:
            if body[position + 1] == _QUANTISATION:
                return True
            position += 2 + (body[position + 2] << 8 | body[position + 3])
    return False
