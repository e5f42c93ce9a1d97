"""``Resizer`` under the name that scripts for img2dataset 1.47.0 import; pixels as 1.47.0 made them."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any, BinaryIO

from img2dataset.blurrer import BoundingBoxBlurrer
from img2dataset.errors import OptionError
from img2dataset.imaging import ImageFailure, ImageProcessor
from img2dataset.options import resolve
from img2dataset.settings import image_settings


class ResizeMode(Enum):
    """What ``resize_mode`` can be."""

    no = 0
    keep_ratio = 1
    center_crop = 2
    border = 3
    keep_ratio_largest = 4


Resized = tuple[bytes | None, int | None, int | None, int | None, int | None, str | None]


class Resizer:
    """Resizes and encodes one image after another; from any thread.

    Args:
        image_size: side in pixels that ``resize_mode`` aims at.
        resize_mode: a name of ``ResizeMode``, or one of its members.
        resize_only_if_bigger: leave images alone that are not larger.
        upscale_interpolation, downscale_interpolation: nearest, linear, cubic, area, lanczos and so on.
        encode_quality: jpg 0–100, png 0–9, webp 0–100 and above for lossless.
        encode_format: jpg, png or webp.
        skip_reencode: keep the bytes of an image that needs no change.
        disable_all_reencoding: keep all bytes as they came.
        min_image_size, max_image_area, max_aspect_ratio: filters on the original, in pixels.
        blurrer: a ``BoundingBoxBlurrer`` where regions are to be blurred.

    Raises:
        OptionError: a value is wrong; it is a ValueError.
    """

    def __init__(
        self,
        image_size: int,
        resize_mode: str | ResizeMode,
        resize_only_if_bigger: bool,
        upscale_interpolation: str = "lanczos",
        downscale_interpolation: str = "area",
        encode_quality: int = 95,
        encode_format: str = "jpg",
        skip_reencode: bool = False,
        disable_all_reencoding: bool = False,
        min_image_size: int = 0,
        max_image_area: float = float("inf"),
        max_aspect_ratio: float = float("inf"),
        blurrer: BoundingBoxBlurrer | None = None,
    ):
        if blurrer is not None and not isinstance(blurrer, BoundingBoxBlurrer):
            raise OptionError(f"blurrer is {blurrer!r}; it takes a BoundingBoxBlurrer or None")
        self._blurs = blurrer is not None
        options = resolve(
            {
                "url_list": "none",
                "image_size": image_size,
                "resize_mode": resize_mode.name if isinstance(resize_mode, ResizeMode) else resize_mode,
                "resize_only_if_bigger": resize_only_if_bigger,
                "upscale_interpolation": upscale_interpolation,
                "downscale_interpolation": downscale_interpolation,
                "encode_quality": encode_quality,
                "encode_format": encode_format,
                "skip_reencode": skip_reencode,
                "disable_all_reencoding": disable_all_reencoding,
                "min_image_size": min_image_size,
                "max_image_area": max_image_area,
                "max_aspect_ratio": max_aspect_ratio,
                "exact_resize": True,
                "apply_orientation": False,
                "extract_exif": False,
            }
        )
        self._process = ImageProcessor(image_settings(options))

    def __call__(
        self, img_stream: BinaryIO, blurring_bbox_list: Sequence[Sequence[float]] | None = None
    ) -> Resized:
        """Resize one image.

        Args:
            img_stream: its file, read from the beginning.
            blurring_bbox_list: regions to blur, where the resizer has a blurrer.

        Returns:
            The encoded image, its width and height, those of the original, and None; or five times None and
            why there is no image. Sizes are None where nothing is decoded.
        """
        img_stream.seek(0)
        body: Any = img_stream.read()
        try:
            made = self._process(body, blurring_bbox_list if self._blurs else None)
        except ImageFailure as failure:
            return None, None, None, None, None, failure.message
        sizes = made.width, made.height, made.original_width, made.original_height
        return bytes(made.image), *sizes, None
