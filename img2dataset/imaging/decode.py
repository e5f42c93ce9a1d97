"""An image file and its header come in, 8-bit grey or BGR pixels go out. Called by the processor.

OpenCV first: it is the fastest and what img2dataset 1.47.0 used. Pillow where OpenCV cannot or is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from img2dataset.failures import CORRUPT, TRUNCATED
from img2dataset.imaging.bmp_pixels import decode_bmp
from img2dataset.imaging.colour import Pixels, on_white, outside_of_frame_white, to_eight_bits
from img2dataset.imaging.failure import ImageFailure
from img2dataset.imaging.formats.header import EndsEarly, Header, Malformed
from img2dataset.imaging.formats.jpeg import END_OF_IMAGE
from img2dataset.imaging.formats.png import read_png, without_ancillary
from img2dataset.imaging.opencv import decode_with_opencv, refuse_damaged_jpeg
from img2dataset.imaging.pillow import decode_with_pillow, open_with_pillow
from img2dataset.imaging.png_pixels import decode_png
from img2dataset.imaging.pnm_pixels import decode_pnm
from img2dataset.imaging.tiff import decode_tiff

# Any bits that are no continuation of a scan that is whole; long enough to fill a few blocks.
_NOT_THE_REST = b"\x5a\xa5\x3c\xc3" * 16


@dataclass(frozen=True, slots=True)
class Decoded:
    """Pixels of shape (height, width) or (height, width, 3), uint8, BGR, as stored.

    ``recoloured`` says that the file shows other colours to a reader that is plainer than this one:
    transparency was composed on white, ink or a colour profile converted.
    """

    pixels: Pixels
    recoloured: bool


_REDUCED = {
    (1, False): cv2.IMREAD_COLOR,
    (2, False): cv2.IMREAD_REDUCED_COLOR_2,
    (4, False): cv2.IMREAD_REDUCED_COLOR_4,
    (8, False): cv2.IMREAD_REDUCED_COLOR_8,
    (1, True): cv2.IMREAD_GRAYSCALE,
    (2, True): cv2.IMREAD_REDUCED_GRAYSCALE_2,
    (4, True): cv2.IMREAD_REDUCED_GRAYSCALE_4,
    (8, True): cv2.IMREAD_REDUCED_GRAYSCALE_8,
}


def decode(body: bytes | bytearray, header: Header, convert_to_srgb: bool, reduction: int = 0) -> Decoded:
    """Decode the image, the first frame of an animation; EXIF orientation is not applied.

    ``reduction``: 0, or for a plain 8-bit JPEG by how much its sides may be reduced (1, 2, 4 or 8).

    Raises:
        ImageFailure: truncated, corrupt, or samples without a range (floats).
    """
    return _decode(body, header, convert_to_srgb, reduction)


def _decode(body: bytes | bytearray, header: Header, convert_to_srgb: bool, reduction: int) -> Decoded:
    if header.payload is not None and header.extension == "ico":
        whole = header.complete
        body = body[slice(*header.payload)]
        header = _payload_header(body)
        header.complete &= whole
    recoloured = header.four_inks
    if header.extension == "tiff":
        pixels, recoloured = decode_tiff(body)
        if convert_to_srgb and header.profile:
            pixels, recoloured = decode_with_pillow(open_with_pillow(body, "tiff"), to_srgb=True), True
    elif header.extension == "bmp":
        pixels = decode_bmp(body)
    elif header.extension == "ppm":
        pixels = decode_pnm(body, header)
    elif not header.complete:
        if header.extension != "jpg":
            raise ImageFailure(TRUNCATED)
        pixels = _decode_without_end_mark(body, header)
    elif convert_to_srgb and header.profile and header.bits == 8:
        pixels = _decode_by_pillow(body, header, to_srgb=True)
        recoloured = True
    elif header.pillow:
        pixels = _decode_by_pillow(body, header)
    elif reduction:
        pixels = _decode_reduced(body, header, reduction)
    else:
        found = decode_png(body) if header.extension == "png" else None
        pixels = _decode_by_opencv(body, header) if found is None else found
        if header.transparent_grey is not None and pixels.ndim == 2:
            pixels[pixels == header.transparent_grey] = np.iinfo(pixels.dtype).max
    pixels = to_eight_bits(pixels, header.bits if header.extension == "jp2" else 16)
    if pixels.ndim == 3 and pixels.shape[2] == 4 and header.opaque:
        pixels = np.ascontiguousarray(pixels[:, :, :3])
    elif pixels.ndim == 3 and pixels.shape[2] == 4:
        pixels, recoloured = on_white(pixels), True
    if header.frame is not None:
        pixels = outside_of_frame_white(pixels, header.frame)
    return Decoded(pixels, recoloured)


def _payload_header(body: bytes | bytearray) -> Header:
    try:
        return read_png(body)
    except EndsEarly:
        raise ImageFailure(TRUNCATED) from None
    except Malformed:
        raise ImageFailure(CORRUPT) from None


def _decode_by_opencv(body: bytes | bytearray, header: Header) -> Pixels:
    if header.extension == "png":
        # Texts are inflated by a decoder, each to a thousand times its size at worst: 455 KB took 2.8 s.
        body = without_ancillary(body)
    pixels = decode_with_opencv(body)
    if pixels is None:
        return _decode_by_pillow(body, header)
    return pixels


def _decode_reduced(body: bytes | bytearray, header: Header, reduction: int) -> Pixels:
    """Decode a JPEG of one or three components with no more work than its use needs."""
    flags = _REDUCED[reduction, header.grey] | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = decode_with_opencv(body, flags)
    return _decode_by_pillow(body, header) if pixels is None else pixels


def _decode_by_pillow(body: bytes | bytearray, header: Header, to_srgb: bool = False) -> Pixels:
    if header.extension == "jpg" and header.complete:
        refuse_damaged_jpeg(body)
    image = open_with_pillow(body, header.extension)
    invert_inks = header.four_inks and not header.ink_inverted and not to_srgb
    return decode_with_pillow(image, invert_inks=invert_inks, to_srgb=to_srgb)


def _decode_without_end_mark(body: bytes | bytearray, header: Header) -> Pixels:
    """Decode a JPEG whose end mark is missing, if all of its pixels are there.

    No decoder says so, but two decodes do: followed by other bits than the right ones, a scan that is
    whole gives the same pixels, one that is not gives others. Scans that can end in several places
    (progressive, with restart marks) are taken for cut. Zeros at the end are a download's, not a scan's.
    """
    if not header.sequential:
        raise ImageFailure(TRUNCATED)
    scan = bytes(body).rstrip(b"\0")
    if scan.endswith(b"\xff"):
        scan += b"\0"
    try:
        # Pillow, because it keeps libjpeg's warnings from the terminal.
        pixels, other = (
            _decode_by_pillow(scan + rest + END_OF_IMAGE, header) for rest in (b"", _NOT_THE_REST)
        )
    except ImageFailure as failure:
        raise ImageFailure(TRUNCATED if failure.failure == CORRUPT else failure.failure) from None
    if not np.array_equal(pixels, other):
        raise ImageFailure(TRUNCATED)
    return pixels
