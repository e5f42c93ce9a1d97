"""What decoding an image takes in memory, from its header: so that none, of whatever kind, takes too much.

Bytes a pixel at the peak, above what the process holds anyway, measured on images of 16 and 196 megapixels
and rounded up. They differ by 30 times: a bound on pixels alone is none on memory.
"""

from __future__ import annotations

import struct

from img2dataset.imaging.formats.header import Header
from img2dataset.imaging.formats.tiff_directory import read_directory
from img2dataset.imaging.native import native_library

# Images of fewer pixels are not estimated: the most expensive take 52 MB.
NEVER_LARGE_PIXELS = 2_000_000
# From here on an image is decoded while no other of this size is, in any process of the run.
LARGE_BYTES = 48_000_000
# What a plain colour PNG or TIFF of 200 megapixels takes. A higher ``max_decoded_pixels`` raises the budget
# in proportion; a lower one does not shrink it, so that images within that limit decode in every format.
_USUAL_BUDGET, _BYTES_A_PIXEL = 640_000_000.0, 3.2
# libjpeg keeps every coefficient of a progressive JPEG while it decodes it.
_OPENCV, _COEFFICIENTS, _SHRUNK_JPEG = 6.2, 6.0, 1.2
_OTHERS = {"gif": 12.0, "avif": 17.0, "ico": 17.0, "ppm": 9.0}
_SAMPLES_DECODED = {0: 1, 2: 3, 3: 4, 4: 4, 6: 4}
_SAMPLES_STORED = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_BANDED_TIFF = (1, 8, 32946)


def most_bytes(max_decoded_pixels: int) -> float:
    """The memory that decoding one image may take."""
    return max(_USUAL_BUDGET, _BYTES_A_PIXEL * max_decoded_pixels)


def decoding_bytes(body: bytes | bytearray, header: Header, shrunk: bool) -> float:
    """The memory that decoding takes at most.

    Args:
        body: the file.
        header: what it says of itself.
        shrunk: a JPEG that the project's own decoder makes small at once.
    """
    pixels = header.width * header.height
    if header.extension == "jpg":
        return pixels * (_SHRUNK_JPEG if shrunk else jpeg_bytes_a_pixel(header, 1))
    return pixels * _bytes_a_pixel(body, header)


def jpeg_bytes_a_pixel(header: Header, reduction: int) -> float:
    """Of libjpeg, by how much it reduces the sides."""
    pixels_alone = _OPENCV / max(1, reduction) ** 2
    return max(pixels_alone, _COEFFICIENTS + pixels_alone / 2) if header.progressive else pixels_alone


def _bytes_a_pixel(body: bytes | bytearray, header: Header) -> float:
    if header.extension == "png":
        return _of_png(body)
    if header.extension == "webp":
        return _OPENCV if body[12:16] == b"VP8 " else 12.0
    if header.extension == "bmp":
        return 3.2 if body[28:29] in (b"\1", b"\4", b"\x08", b"\x18") else 18.0
    if header.extension == "tiff":
        try:
            return _of_tiff(body)
        except struct.error:
            return 12.0  # a field outside of the file, which its decoder refuses
    if header.extension == "jp2":
        return 16.0
    return _OTHERS[header.extension]


def _of_png(body: bytes | bytearray) -> float:
    bits, colours, interlaced = body[24], body[25], body[28]
    stored = _SAMPLES_STORED.get(colours, 4) * bits / 8
    decoded = _SAMPLES_DECODED.get(colours, 4) * (2 if bits == 16 else 1)
    # Plain ones are decoded in bands, into pixels that hold them all, where the library is there.
    plain = bits == 8 and colours in (0, 2, 6) and not interlaced and b"tRNS" not in body[:4096]
    if plain and native_library() is not None:
        return stored + (3.3 if colours == 6 else 0.1)  # alpha is composed into other pixels
    return 2 * decoded + stored + 1


def _of_tiff(body: bytes | bytearray) -> float:
    directory = read_directory(body)
    width, height = directory.first(256, 1), directory.first(257, 1)
    sample_bytes = directory.first(277, 1) * directory.first(258, 1) / 8
    if directory.first(259, 1) in _BANDED_TIFF and directory.first(262, 1) != 6:
        return 3.2
    # A piece is decompressed as a whole, through three copies.
    piece = directory.first(322, width) * min(directory.first(323, directory.first(278, height)), height)
    return 4.0 + 3 * sample_bytes * min(1.0, piece / (width * height))
