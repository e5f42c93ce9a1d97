"""Images, looked at one by one: do they decode, to the size that the metadata say?

In: an image's bytes and its row of the metadata. Out: findings. Called for every format.

Images that were stored as they were downloaded (``disable_all_reencoding``) need not be images at all: their
size is null in the metadata, and what can be checked of them is their hash.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from dataclasses import dataclass
from typing import Any, TypeAlias

from img2dataset.formats.findings import Findings
from img2dataset.verifying.metadata import HASHES, ShardRows

Contents: TypeAlias = "bytes | bytearray | memoryview"

# OpenCV reads these whole or not at all; others are decoded as they were when they were downloaded.
_OPENCV_FORMATS = ("JPEG", "MPO", "PNG", "WEBP")
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
            fault = self._fault(image, size, hashes)
            if fault is not None:
                self._findings.add(fault, key)

    def _fault(self, image: Contents, size: tuple[Any, Any], hashes: dict[str, Any]) -> str | None:
        header = _read_header(image)
        if not header.may_have(size):
            # Not decoded: it may claim any number of pixels.
            return f"image of {header.size_text} pixels where the metadata say {_text(size)}"
        decoded_size = _decode(image, header)
        if decoded_size is None:
            # One that was as bad when it was downloaded, and was kept on purpose, is no fault.
            was_kept = header.size is not None and self._originals is not False and bool(hashes)
            return None if was_kept and _has_hash(image, hashes) else "image that does not decode"
        if not header.is_size(decoded_size, size):
            return f"image of {_text(decoded_size)} pixels where the metadata say {_text(size)}"
        return None


@dataclass(frozen=True, slots=True)
class _Header:
    """What an image says of itself; ``is_turned``: a reader that heeds its orientation swaps the sides."""

    image_format: str | None = None
    size: tuple[int, int] | None = None
    is_turned: bool = False
    is_a_bomb: bool = False

    @property
    def size_text(self) -> str:
        return f"more than {_bomb_pixels():,}" if self.size is None else _text(self.size)

    def may_have(self, size: tuple[Any, Any]) -> bool:
        """Whether nothing said here speaks against this size."""
        if self.is_a_bomb:
            return bool(size[0] * size[1] > _bomb_pixels())
        return self.size is None or self.is_size(self.size, size)

    def is_size(self, found: tuple[int, int], recorded: tuple[Any, Any]) -> bool:
        return found == recorded or (self.is_turned and found == recorded[::-1])


def _bomb_pixels() -> int:
    """The pixels beyond which Pillow says no more than that there are more."""
    from PIL import Image

    return 2 * (Image.MAX_IMAGE_PIXELS or 0)


def _read_header(image: Contents) -> _Header:
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a large image is told by its size
        try:
            with Image.open(io.BytesIO(image)) as opened:
                is_turned = opened.getexif().get(_ORIENTATION_TAG) in _TURNED_ORIENTATIONS
                return _Header(opened.format, opened.size, is_turned)
        except Image.DecompressionBombError:
            return _Header(is_a_bomb=True)
        except Exception:  # Pillow raises whatever its plugins do: OpenCV decides
            return _Header()


def _decode(image: Contents, header: _Header) -> tuple[int, int] | None:
    """Width and height of the whole image; None if it cannot be decoded, or only in part."""
    from img2dataset.imaging.decode import decode
    from img2dataset.imaging.failure import ImageFailure
    from img2dataset.imaging.header import read_header
    from img2dataset.imaging.opencv import decode_with_opencv

    if bytes(image[:3]) == _JPEG_START and not _has_jpeg_end(image):
        return None  # OpenCV 4 fills what is missing of a cut JPEG with grey
    try:
        pixels = decode_with_opencv(image) if header.image_format in _OPENCV_FORMATS else None
        if pixels is None and header.image_format not in _OPENCV_FORMATS:
            body = bytes(image)
            pixels = decode(body, read_header(body), convert_to_srgb=False).pixels
    except ImageFailure:  # libjpeg's complaints of damage too, in whose place it gives grey
        return None
    return None if pixels is None else (pixels.shape[1], pixels.shape[0])


def _has_jpeg_end(image: Contents) -> bool:
    return _JPEG_END in bytes(image[-1024:]) or _JPEG_END in bytes(image)


def _value(rows: ShardRows, column: str, row: int) -> Any:
    values = rows.values.get(column)
    return None if values is None else values[row]


def _has_hash(image: Contents, hashes: dict[str, Any]) -> bool:
    """Whether the bytes have the recorded hashes; where none was recorded nothing speaks against them."""
    return all(hashlib.new(name, image).hexdigest() == value for name, value in hashes.items())


def _text(size: tuple[Any, Any]) -> str:
    return f"{size[0]}×{size[1]}"
