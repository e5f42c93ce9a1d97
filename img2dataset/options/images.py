"""The options of what is done to images. Part of ``table.py``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from img2dataset.options.declaring import option

ResizeMode = Literal["no", "border", "keep_ratio", "keep_ratio_largest", "center_crop"]
Interpolation = Literal["nearest", "linear", "bilinear", "cubic", "bicubic", "area", "lanczos", "lanczos4"]
EncodeFormat = Literal["jpg", "png", "webp"]
HashName = Literal["md5", "sha256", "sha512"]

IMAGES = "Images"


@dataclass(frozen=True, kw_only=True)
class ImageOptions:
    """How images are filtered, resized, encoded and described: what ``imaging`` is told."""

    image_size: int = option(
        256, help="target size", unit="pixels", group=IMAGES, minimum=1, maximum=65535, shapes_output=True
    )
    resize_mode: ResizeMode = option(
        "border",
        help="no: as it is; border: longest side, padded to a square; keep_ratio: smallest side;"
        " keep_ratio_largest: longest side; center_crop: smallest side, then the central square",
        group=IMAGES,
        shapes_output=True,
    )
    resize_only_if_bigger: bool = option(
        False, help="leave images that are not larger than image_size", group=IMAGES, shapes_output=True
    )
    upscale_interpolation: Interpolation = option(
        "lanczos",
        help="how small images are enlarged",
        group=IMAGES,
        shapes_output=True,
    )
    downscale_interpolation: Interpolation = option(
        "area", help="how large images are reduced", group=IMAGES, shapes_output=True
    )
    encode_format: EncodeFormat = option(
        "jpg",
        help="format of the stored images",
        group=IMAGES,
        shapes_output=True,
    )
    encode_quality: int = option(
        95,
        help="jpg 0–100; png: compression 0–9; webp 0–100, above 100 lossless",
        group=IMAGES,
        minimum=0,
        shapes_output=True,
        default_text="95 (png: 6)",
    )
    skip_reencode: bool = option(
        False,
        help="keep the original bytes of images that need no change",
        group=IMAGES,
        shapes_output=True,
    )
    disable_all_reencoding: bool = option(
        False, help="store the bytes as they came, unchecked", group=IMAGES, shapes_output=True
    )
    store_true_extension: bool = option(
        False,
        help="store kept originals under their true ending, with their true size",
        group=IMAGES,
        shapes_output=True,
    )
    apply_orientation: bool = option(
        True, help="turn images upright as their EXIF says", group=IMAGES, shapes_output=True
    )
    exact_resize: bool = option(
        False,
        help="resize and blur pixel for pixel as img2dataset 1.47.0 did, more slowly",
        group=IMAGES,
        shapes_output=True,
    )
    convert_to_srgb: bool = option(
        False, help="convert embedded colour profiles to sRGB", group=IMAGES, shapes_output=True
    )
    min_image_size: int = option(
        0,
        help="refuse images whose smallest side is below this",
        unit="pixels",
        group=IMAGES,
        minimum=0,
        shapes_output=True,
    )
    max_image_area: float = option(
        float("inf"),
        help="refuse larger images",
        unit="pixels",
        group=IMAGES,
        above=0,
        endless=True,
        shapes_output=True,
    )
    max_aspect_ratio: float = option(
        float("inf"),
        help="refuse images whose longer side is more times the shorter",
        group=IMAGES,
        minimum=1,
        endless=True,
        shapes_output=True,
    )
    # Above the largest sensors in common use (200 megapixels in telephones, 102 in medium format) and 600 MB
    # as colour, twice that while it is turned: what one process can be asked to hold, and no more.
    max_decoded_pixels: int = option(
        200_000_000,
        help="refuse, unread, images that say they are larger (decompression bombs)",
        unit="pixels",
        group=IMAGES,
        minimum=1,
        shapes_output=True,
    )
    extract_exif: bool = option(
        True, help="keep the original's EXIF in the metadata", group=IMAGES, shapes_output=True
    )
    compute_hash: HashName | None = option(
        "sha256", help="hash of the downloaded bytes", group=IMAGES, shapes_output=True
    )
