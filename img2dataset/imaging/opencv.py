"""OpenCV's decoders, held to what they say: the bytes of a file come in, pixels go out. Called by decode.

libjpeg prints that data is damaged or missing, and OpenCV hands out the grey that stands in its place. Here
that is a failure.
"""

from __future__ import annotations

import re

import cv2
import numpy as np

from img2dataset.failures import CORRUPT, TRUNCATED, Failure
from img2dataset.imaging.colour import Pixels
from img2dataset.imaging.decoder_messages import captured_messages
from img2dataset.imaging.failure import ImageFailure

# Of libjpeg's warnings those after which pixels are missing or wrong; bytes too many between two segments, or
# an odd mark of Adobe's, leave every pixel as it is.
_MISSING = re.compile(rb"Premature end of JPEG file")
_DAMAGED = re.compile(rb"premature end of data segment|bad Huffman code|bad arithmetic code|instead of RST")


def damage_told(messages: list[bytes]) -> Failure | None:
    """The failure that a decoder's messages amount to; None: every pixel is there."""
    if not messages:
        return None
    text = b"".join(messages)
    if _DAMAGED.search(text):
        return CORRUPT
    return TRUNCATED if _MISSING.search(text) else None


def decode_with_opencv(
    body: bytes | bytearray | memoryview, flags: int = cv2.IMREAD_UNCHANGED
) -> Pixels | None:
    """The pixels; unchanged: alpha and depth are kept, and orientation left to this room.

    Returns:
        None for what OpenCV does not decode.

    Raises:
        ImageFailure: libjpeg said that data is damaged or missing.
    """
    with captured_messages() as messages:
        try:
            pixels: Pixels | None = cv2.imdecode(np.frombuffer(body, np.uint8), flags)
        except cv2.error:
            pixels = None
    damage = damage_told(messages)
    if damage is not None:
        raise ImageFailure(damage)
    return pixels


def refuse_damaged_jpeg(body: bytes | bytearray) -> None:
    """For a JPEG that another decoder takes, which keeps to itself what libjpeg says.

    Raises:
        ImageFailure: data is damaged or missing.
    """
    decode_with_opencv(body, cv2.IMREAD_REDUCED_GRAYSCALE_8)
