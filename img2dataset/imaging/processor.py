"""The way of one image: bytes in, ``ProcessedImage`` out, or ``ImageFailure``.

Header, filters, decode, scale, upright, blur, crop and pad, encode: each in a file of its own. Called by
the worker for every download, and by the training-side stream.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import cv2

from img2dataset.failures import AREA_TOO_LARGE, ASPECT_RATIO_TOO_LARGE, TOO_MANY_PIXELS, TOO_SMALL
from img2dataset.imaging.blur import blur_boxes, blur_boxes_as_before, checked_boxes
from img2dataset.imaging.colour import Pixels
from img2dataset.imaging.decode import decode
from img2dataset.imaging.encode import Encoder
from img2dataset.imaging.failure import ImageFailure
from img2dataset.imaging.formats.header import Header
from img2dataset.imaging.formats.jpeg import most_scans
from img2dataset.imaging.geometry import Plan, plan_resize
from img2dataset.imaging.header import image_format, read_header
from img2dataset.imaging.memory import (
    LARGE_BYTES,
    NEVER_LARGE_PIXELS,
    decoding_bytes,
    jpeg_bytes_a_pixel,
    most_bytes,
)
from img2dataset.imaging.orientation import upright, upright_box, upright_size
from img2dataset.imaging.reduction import jpeg_shortcuts, usual_reduction
from img2dataset.imaging.resize import INTERPOLATIONS, crop_and_pad, reduce_in_steps, scale
from img2dataset.imaging.shrinking import can_shrink, shrink_jpeg
from img2dataset.options import ImageOptions
from img2dataset.types import ProcessedImage

# Each scan of a JPEG passes over all of its pixels, were it empty. Ten scans are usual, and 20 of the
# largest image that is decoded come to this; a thousand empty ones of it would take minutes.
_MOST_SCANNED_PIXELS = 4_000_000_000
# OpenCV's level of logging at which nothing is said.
_SILENT = 0


def _silence_opencv() -> None:
    """Its way to be told so has moved: up to version 4.12 it is a function, since 4.13 a module."""
    set_level = getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel
    set_level(_SILENT)


class ImageProcessor:
    """Makes images as the settings say. Without state: one a process, from any thread.

    OpenCV's own threads, its log and Pillow's warnings are turned off in this process: an image is too
    small to share out, a run has a process for each core, and what is wrong with an image is in its failure.
    """

    def __init__(
        self,
        settings: ImageOptions,
        encode: Callable[[Pixels], Any] | None = None,
        in_turn: Callable[[], AbstractContextManager[None]] | None = None,
    ):
        """Set up for ``settings``.

        Args:
            settings: what is to be made of each image.
            encode: makes of the finished pixels, of shape (height, width) or (height, width, 3), uint8, BGR,
                what is handed out as ``image``. None: a file as the settings say.
            in_turn: makes what is held while an image that takes much memory is worked on.
        """
        # 0 runs every loop in the calling thread and builds no pool.
        cv2.setNumThreads(0)
        _silence_opencv()
        # Once and for all: catching them around each image would disturb those of other threads.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        self._settings = settings
        self._encode = encode or Encoder(settings.encode_format, settings.encode_quality)
        self._most_bytes = most_bytes(settings.max_decoded_pixels)
        self._in_turn = in_turn or nullcontext
        self._upscale = INTERPOLATIONS[settings.upscale_interpolation]
        self._downscale = INTERPOLATIONS[settings.downscale_interpolation]
        # Who names another interpolation wants that one.
        self._fast = not settings.exact_resize and settings.downscale_interpolation == "area"

    def __call__(self, body: bytes | bytearray, boxes: object = None) -> ProcessedImage:
        """Process one image.

        Args:
            body: the file as it was downloaded; not changed.
            boxes: regions to blur, [x_min, y_min, x_max, y_max] in 0-1 of the image as it is stored, before
                its EXIF orientation; they are turned with it. None or empty: nothing is blurred.

        Returns:
            The image as what ``encode`` made (a memoryview of a file), or ``body`` itself where it is kept.

        Raises:
            ImageFailure: refused by a filter or a limit, not decodable, or not encodable.
        """
        settings = self._settings
        if settings.disable_all_reencoding:
            return self._as_it_came(body)
        to_blur = checked_boxes(boxes) if boxes is not None else []
        header = read_header(body)
        orientation = header.orientation if settings.apply_orientation else 1
        self._refuse(*upright_size((header.width, header.height), orientation))
        if header.width * header.height <= NEVER_LARGE_PIXELS:
            return self._made(body, header, orientation, to_blur)
        shrunk = can_shrink() and self._plan_of_shrinking(header, orientation) is not None
        needed = decoding_bytes(body, header, shrunk)
        if needed > self._most_bytes:
            raise ImageFailure(TOO_MANY_PIXELS)
        with self._in_turn() if needed > LARGE_BYTES else nullcontext():
            return self._made(body, header, orientation, to_blur)

    def _made(
        self,
        body: bytes | bytearray,
        header: Header,
        orientation: int,
        to_blur: Sequence[Sequence[float]],
    ) -> ProcessedImage:
        """What becomes of an image that no filter and no limit refused."""
        settings = self._settings
        size, recoloured = (header.width, header.height), False
        plan = self._plan_of_shrinking(header, orientation)
        pixels = None
        if plan is not None:
            target = upright_size(plan.scaled, orientation)
            pixels = shrink_jpeg(body, header, target, jpeg_shortcuts(size, target))
        if pixels is None:
            if (
                header.extension == "jpg"
                and size[0] * size[1] * most_scans(body, header) > _MOST_SCANNED_PIXELS
            ):
                raise ImageFailure(TOO_MANY_PIXELS)
            reduction = 0 if plan is None else usual_reduction(size, upright_size(plan.scaled, orientation))
            if header.extension == "jpg":
                self._refuse_usual_jpeg(header, reduction)
            decoded = decode(body, header, settings.convert_to_srgb, reduction)
            pixels, recoloured = decoded.pixels, decoded.recoloured
            if not reduction:
                size = (pixels.shape[1], pixels.shape[0])
        original = upright_size(size, orientation)
        if plan is None:
            plan = self._plan(*original)
        kept = (
            settings.skip_reencode
            and plan.untouched
            and header.extension == settings.encode_format
            and orientation == 1
            and not to_blur
            and not recoloured
        )
        if kept:
            return self._stored(body, header, body, original, original)

        # Scaled before it is turned and blurred: both then cost what the small image costs.
        scaled = upright_size(plan.scaled, orientation)
        if plan.shrinks and self._fast:
            pixels = reduce_in_steps(pixels, scaled)
        else:
            pixels = scale(pixels, scaled, self._downscale if plan.shrinks else self._upscale)
        if orientation != 1:
            pixels = upright(pixels, orientation)
        if to_blur:
            blur = blur_boxes_as_before if settings.exact_resize else blur_boxes
            pixels = blur(pixels, [upright_box(box, orientation) for box in to_blur])
        pixels = crop_and_pad(pixels, plan)
        stored = pixels.shape[1], pixels.shape[0]
        return self._stored(self._encode(pixels), header, body, stored, original)

    def _refuse_usual_jpeg(self, header: Header, reduction: int) -> None:
        """Of a JPEG that the project's own decoder did not take, libjpeg may keep too much."""
        if header.width * header.height * jpeg_bytes_a_pixel(header, reduction) > self._most_bytes:
            raise ImageFailure(TOO_MANY_PIXELS)

    def _plan_of_shrinking(self, header: Header, orientation: int) -> Plan | None:
        """The plan for a plain JPEG that the fast route shrinks; None: all of it is decoded."""
        if not self._fast or header.extension != "jpg" or header.bits != 8 or header.four_inks:
            return None
        if not header.complete or (header.profile and self._settings.convert_to_srgb):
            return None
        plan = self._plan(*upright_size((header.width, header.height), orientation))
        return plan if plan.shrinks else None

    def _refuse(self, width: int, height: int) -> None:
        settings = self._settings
        if width * height > settings.max_decoded_pixels:
            raise ImageFailure(TOO_MANY_PIXELS)
        if min(width, height) < settings.min_image_size:
            raise ImageFailure(TOO_SMALL)
        if width * height > settings.max_image_area:
            raise ImageFailure(AREA_TOO_LARGE)
        if max(width, height) / min(width, height) > settings.max_aspect_ratio:
            raise ImageFailure(ASPECT_RATIO_TOO_LARGE)

    def _plan(self, width: int, height: int) -> Plan:
        settings = self._settings
        plan = plan_resize(
            width, height, settings.image_size, settings.resize_mode, settings.resize_only_if_bigger
        )
        # 1 x 20000 pixels, shortest side to 256, would be 1.3 gigapixels.
        if plan.scaled[0] * plan.scaled[1] > settings.max_decoded_pixels:
            raise ImageFailure(TOO_MANY_PIXELS)
        return plan

    def _stored(
        self,
        image: Any,
        header: Header,
        body: bytes | bytearray,
        size: tuple[int, int],
        original: tuple[int, int],
    ) -> ProcessedImage:
        return ProcessedImage(
            image=image,
            extension=self._settings.encode_format,
            width=size[0],
            height=size[1],
            original_width=original[0],
            original_height=original[1],
            exif=self._exif(body, header),
        )

    def _exif(self, body: bytes | bytearray, header: Header) -> str | None:
        if not self._settings.extract_exif:
            return None
        if header.exif is None:
            return "{}"
        from img2dataset.imaging.exif import exif_json

        return exif_json(body, header)

    def _as_it_came(self, body: bytes | bytearray) -> ProcessedImage:
        """The body unchanged and unchecked; its header is read for the EXIF and the true size only."""
        settings = self._settings
        extension: str = settings.encode_format
        stored: tuple[int | None, int | None] = (None, None)
        original = stored
        header: Header | None = None
        if settings.extract_exif or settings.store_true_extension:
            try:
                header = read_header(body)
            except ImageFailure:
                header = None
        if settings.store_true_extension:
            extension = image_format(body) or extension
            if header is not None:
                size = header.width, header.height
                stored = size
                original = upright_size(size, header.orientation if settings.apply_orientation else 1)
        exif = "{}" if settings.extract_exif else None
        if header is not None:
            exif = self._exif(body, header)
        return ProcessedImage(body, extension, *stored, *original, exif)
