"""Pixels come in, the bytes of a JPEG, PNG or WebP go out. Called by the processor."""

from __future__ import annotations

import cv2

from img2dataset import failures
from img2dataset.imaging.colour import Pixels
from img2dataset.imaging.failure import ImageFailure

_QUALITY = {
    "jpg": cv2.IMWRITE_JPEG_QUALITY,
    "png": cv2.IMWRITE_PNG_COMPRESSION,
    "webp": cv2.IMWRITE_WEBP_QUALITY,
}
# The largest side each format can say, in pixels.
_LONGEST_SIDE = {"jpg": 65_500, "png": 2**31 - 1, "webp": 16_383}


class Encoder:
    """Encodes to one format at one quality.

    Args:
        encode_format: jpg, png or webp.
        encode_quality: jpg 0 to 100; png compression 0 to 9; webp 0 to 100, above 100 lossless.
    """

    def __init__(self, encode_format: str, encode_quality: int):
        self._format = encode_format
        self._ending = f".{encode_format}"
        self._parameters = [_QUALITY[encode_format], encode_quality]

    def __call__(self, pixels: Pixels) -> memoryview:
        """The file, without a copy of what OpenCV made.

        Raises:
            ImageFailure: the image is larger than the format can say, or the encoder gave up.
        """
        if max(pixels.shape[:2]) > _LONGEST_SIDE[self._format]:
            raise ImageFailure(failures.of_encoding(f"too large for {self._format}"))
        try:
            done, encoded = cv2.imencode(self._ending, pixels, self._parameters)
        except cv2.error:
            done = False
        if not done:
            raise ImageFailure(failures.of_encoding(f"{self._format} failed"))
        return encoded.data.cast("B")
