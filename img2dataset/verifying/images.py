"""Images, looked at one by one: do they decode, to the size that the metadata say?

In: an image's bytes and its row of the metadata. Out: findings. Called for every format.

Images that were stored as they were downloaded (``disable_all_reencoding``) need not be images at all: their
size is null in the metadata, and what can be checked of them is their hash.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from typing import Any, TypeAlias

from img2dataset.verifying.findings import Findings
from img2dataset.verifying.metadata import HASHES, ShardRows

Contents: TypeAlias = "bytes | bytearray | memoryview"

# OpenCV reads these whole or not at all; what it cannot read of others, Pillow may.
_OWN_FORMATS = {"JPEG", "PNG", "WEBP"}
_JPEG_START = b"\xff\xd8\xff"
_JPEG_END = b"\xff\xd9"
_ORIENTATION_TAG = 0x0112
_TURNED_ORIENTATIONS = (5, 6, 7, 8)


class ImageCheck:
    """Looks at the images of one shard.

    Args:
        originals: True where every image is stored as it was downloaded, False where none is, None if some
            may be.
        findings: take what is wrong.

    Attributes:
        count: images looked at.
    """

    def __init__(self, originals: bool | None, findings: Findings) -> None:
        self._originals = originals
        self._findings = findings
        self.count = 0

    def look_at(self, image: Contents, rows: ShardRows, row: int, key: str) -> None:
        """Check one image against its row."""
        self.count += 1
        size = (_value(rows, "width", row), _value(rows, "height", row))
        hashes = {name: value for name in HASHES if (value := _value(rows, name, row))}
        if (self._originals or None in size) and not _has_hash(image, hashes):
            self._findings.add("bytes that have another hash than the metadata say", key)
        elif None not in size:
            fault = image_fault(image, size)
            if fault is not None and not self._is_faulty_original(image, hashes):
                self._findings.add(fault, key)

    def _is_faulty_original(self, image: Contents, hashes: dict[str, Any]) -> bool:
        """Whether the image is as bad as it was downloaded, and was kept so on purpose."""
        return self._originals is not False and bool(hashes) and _has_hash(image, hashes)


def image_fault(image: Contents, size: tuple[Any, Any]) -> str | None:
    """What is wrong with an image that should have this width and height in pixels; None if nothing is."""
    image_format, header_size, turned = _header(image)
    if header_size is not None and not _is_size(header_size, size, turned):
        # Not decoded: it may claim any number of pixels.
        return f"image of {_text(header_size)} pixels where the metadata say {_text(size)}"
    decoded_size = _decode(image)
    if decoded_size is None and image_format is not None and image_format not in _OWN_FORMATS:
        decoded_size = _decode_with_pillow(image)
    if decoded_size is None:
        return "image that does not decode"
    if not _is_size(decoded_size, size, turned):
        return f"image of {_text(decoded_size)} pixels where the metadata say {_text(size)}"
    return None


def _header(image: Contents) -> tuple[str | None, tuple[int, int] | None, bool]:
    """Format, size, and whether a reader that heeds orientation swaps the sides; without decoding."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a bomb is told by its size
        try:
            with Image.open(io.BytesIO(image)) as opened:
                turned = opened.getexif().get(_ORIENTATION_TAG) in _TURNED_ORIENTATIONS
                return opened.format, opened.size, turned
        except Exception:  # Pillow raises whatever its plugins do: OpenCV decides
            return None, None, False


def _decode(image: Contents) -> tuple[int, int] | None:
    """Width and height, decoded whole by OpenCV; None if it cannot."""
    import cv2
    import numpy as np

    if bytes(image[:3]) == _JPEG_START and not _has_jpeg_end(image):
        return None  # OpenCV 4 fills what is missing of a cut JPEG with grey
    try:
        pixels = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    return None if pixels is None else (pixels.shape[1], pixels.shape[0])


def _has_jpeg_end(image: Contents) -> bool:
    return _JPEG_END in bytes(image[-1024:]) or _JPEG_END in bytes(image)


def _decode_with_pillow(image: Contents) -> tuple[int, int] | None:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(image)) as opened:
            opened.load()
            return opened.width, opened.height
    except Exception:
        return None


def _value(rows: ShardRows, column: str, row: int) -> Any:
    values = rows.values.get(column)
    return None if values is None else values[row]


def _has_hash(image: Contents, hashes: dict[str, Any]) -> bool:
    """Whether the bytes have the recorded hashes; where none was recorded nothing speaks against them."""
    return all(hashlib.new(name, image).hexdigest() == value for name, value in hashes.items())


def _is_size(found: tuple[int, int], recorded: tuple[Any, Any], turned: bool) -> bool:
    return found == recorded or (turned and found == recorded[::-1])


def _text(size: tuple[Any, Any]) -> str:
    return f"{size[0]}×{size[1]}"
