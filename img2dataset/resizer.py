"""``Resizer``, where 1.47.0 had it: the bytes of one image go in, those of the resized one come out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import IO

from img2dataset.blurrer import BoundingBoxBlurrer
from img2dataset.errors import OptionError

__all__ = ["Resizer"]

Resized = tuple[bytes | None, int | None, int | None, int | None, int | None, str | None]


class Resizer:
    """Filters, resizes and encodes images one at a time, with the pixels of ``exact_resize``.

    Args:
        image_size, resize_mode, resize_only_if_bigger, upscale_interpolation, downscale_interpolation,
            encode_quality, encode_format, skip_reencode, disable_all_reencoding, min_image_size,
            max_image_area, max_aspect_ratio: as the options of these names.
        blurrer: a ``BoundingBoxBlurrer``, where boxes are to be blurred.

    Raises:
        OptionError: a value is not one that its option takes. It is a ``ValueError``.
    """

    def __init__(
        self,
        image_size: int,
        resize_mode: str,
        resize_only_if_bigger: bool,
        upscale_interpolation: str = "lanczos",
        downscale_interpolation: str = "area",
        encode_quality: int = 95,
        encode_format: str = "jpg",
        skip_reencode: bool = False,
        disable_all_reencoding: bool = False,
        min_image_size: int = 0,
        max_image_area: float = math.inf,
        max_aspect_ratio: float = math.inf,
        blurrer: BoundingBoxBlurrer | None = None,
    ) -> None:
        from img2dataset.imaging import ImageProcessor
        from img2dataset.options import resolve

        if blurrer is not None and not isinstance(blurrer, BoundingBoxBlurrer):
            raise OptionError(f"blurrer is {blurrer!r}; it takes a BoundingBoxBlurrer or None")
        self.options = resolve(
            {
                "url_list": [],
                "image_size": image_size,
                "resize_mode": resize_mode,
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
                "extract_exif": False,
            }
        )
        self.blurrer = blurrer
        self._process = ImageProcessor(self.options)

    def __call__(
        self, img_stream: IO[bytes], blurring_bbox_list: Sequence[Sequence[float]] | None = None
    ) -> Resized:
        """Resize one image.

        Args:
            img_stream: the file as it was downloaded, read from its beginning.
            blurring_bbox_list: boxes to blur, [x_min, y_min, x_max, y_max] in 0-1 of the image.

        Returns:
            The encoded image, its width and height, the original's width and height, None; or five times None
            and the reason why there is no image. With ``disable_all_reencoding`` all sizes are None.
        """
        from img2dataset.imaging import ImageFailure

        if blurring_bbox_list is not None and self.blurrer is None:
            return None, None, None, None, None, "blurrer not defined"
        img_stream.seek(0)
        try:
            image = self._process(img_stream.read(), blurring_bbox_list)
        except ImageFailure as failure:
            return None, None, None, None, None, failure.failure
        sizes = image.width, image.height, image.original_width, image.original_height
        return bytes(image.image), *sizes, None
