"""Bytes of an image file in; out come its upright RGB pixels at a wanted size, or a picture as it is.

Called by the training side, which finishes images itself; a download's go through ``processor``.
Where a size is wanted, with a download's shortcuts: large JPEGs are decoded at a reduced size, progressive
ones without the scans that a small picture does not show, with no Pillow picture in between (0.4 ms of 4).
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
from PIL import Image

from img2dataset.failures import TOO_MANY_PIXELS
from img2dataset.imaging.colour import Pixels
from img2dataset.imaging.decode import decode
from img2dataset.imaging.failure import ImageFailure
from img2dataset.imaging.formats.header import Header
from img2dataset.imaging.header import read_header
from img2dataset.imaging.orientation import upright, upright_size
from img2dataset.imaging.pillow import ORIENTATION_TAG, loaded, open_with_pillow, upright_picture
from img2dataset.imaging.reduction import jpeg_shortcuts, usual_reduction
from img2dataset.imaging.resize import reduce_in_steps, scale
from img2dataset.imaging.shrinking import shrink_jpeg

Size = tuple[int, int]  # width, height, in pixels


def size_of(body: bytes | bytearray) -> Size:
    """Width and height of the upright image, from its header alone.

    Raises:
        ImageFailure: it is no image, or cut or damaged in its header.
    """
    header = read_header(body)
    return upright_size((header.width, header.height), header.orientation)


def decode_as_it_is(
    body: bytes | bytearray, max_pixels: int, if_transparent: bool = False
) -> Image.Image | None:
    """A whole image in Pillow's mode for what its file has, transparency and depth included; upright.

    For who wants these: for colours alone, ``decode_at_size`` knows formats better than Pillow.

    Args:
        body: the bytes of a file.
        max_pixels: refused from the header, before decoding.
        if_transparent: None is returned, before decoding, for an image that has no transparency.

    Raises:
        ImageFailure: it is no image, cut short, damaged or too large.
    """
    header = _header_within(body, max_pixels)
    image = open_with_pillow(body, header.extension)
    if if_transparent and not (image.has_transparency_data and not header.opaque):
        return None
    image = loaded(image)
    turn = header.orientation
    if image.format == "TIFF":  # Pillow has turned it, and keeps what there is left to turn
        turn = image.getexif().get(ORIENTATION_TAG, 1)
    return upright_picture(image, turn)


def decode_at_size(body: bytes | bytearray, scaled_size: Callable[[Size], Size], max_pixels: int) -> Pixels:
    """The pixels of an image, scaled.

    Args:
        body, max_pixels: as of ``decode_as_it_is``.
        scaled_size: says, given (width, height) in pixels of the upright image, what it is scaled to.

    Returns:
        An array of shape (height, width, 3), uint8, RGB, transparent pixels laid on white.

    Raises:
        ImageFailure: it is no image, cut short, damaged or too large.
    """
    header = _header_within(body, max_pixels)
    turn = header.orientation
    size = header.width, header.height
    scaled = upright_size(scaled_size(upright_size(size, turn)), turn)
    plain = header.extension == "jpg" and header.bits == 8 and header.complete and not header.four_inks
    shrinks = plain and scaled[0] <= size[0] and scaled[1] <= size[1]
    # Where nothing is reduced, OpenCV is faster, and exact.
    is_reduced = shrinks and scaled != size
    pixels = shrink_jpeg(body, header, scaled, jpeg_shortcuts(size, scaled)) if is_reduced else None
    if pixels is None:
        reduction = usual_reduction(size, scaled) if shrinks else 0
        pixels = decode(body, header, convert_to_srgb=False, reduction=reduction).pixels
        if not shrinks:  # what the header says of other formats is less reliable
            size = pixels.shape[1], pixels.shape[0]
            scaled = upright_size(scaled_size(upright_size(size, turn)), turn)
    # Scaled before it is turned and its colours are put in order: both then cost what the small image costs.
    return rgb_array(upright(resized(pixels, scaled), turn))


def resized(pixels: Pixels, size: Size) -> Pixels:
    """Pixels of shape (height, width) or (height, width, 3), uint8, at another size: reduced as a download
    reduces, or enlarged.
    """
    horizontal, vertical = pixels.shape[1] / size[0], pixels.shape[0] / size[1]
    if min(horizontal, vertical) < 1:
        return scale(pixels, size, cv2.INTER_LANCZOS4)
    if max(horizontal, vertical) >= 2 * min(horizontal, vertical):
        return scale(pixels, size, cv2.INTER_AREA)  # halvings would begin by enlarging one of the sides
    return reduce_in_steps(pixels, size)


def rgb_array(pixels: Pixels) -> Pixels:
    """OpenCV's pixels, BGR or grey, as RGB of their own."""
    rgb: Pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB if pixels.ndim == 2 else cv2.COLOR_BGR2RGB)
    return rgb


def _header_within(body: bytes | bytearray, max_pixels: int) -> Header:
    header = read_header(body)
    if header.width * header.height > max_pixels:
        raise ImageFailure(TOO_MANY_PIXELS, header.width, header.height)
    return header
