"""What the imaging room is told: plain values, picklable, made from the options by the caller."""

from __future__ import annotations

from dataclasses import dataclass

# Above the largest sensors in common use (200 megapixels in telephones, 102 in medium format) and 600 MB
# as colour, twice that while it is turned: what one process can be asked to hold, and no more.
MAX_DECODED_PIXELS = 200_000_000


@dataclass(frozen=True)
class ImageSettings:
    """How images are filtered, resized and stored. The values are trusted: options check them.

    Args:
        image_size: side in pixels that ``resize_mode`` aims at.
        resize_mode: ``no``, ``border``, ``keep_ratio``, ``keep_ratio_largest`` or ``center_crop``.
        resize_only_if_bigger: leave images alone that are not larger than ``image_size``.
        upscale_interpolation: nearest, linear, bilinear, cubic, bicubic, area, lanczos or lanczos4.
        downscale_interpolation: the same names.
        encode_format: ``jpg``, ``png`` or ``webp``.
        encode_quality: jpg 0 to 100; png compression 0 to 9; webp 0 to 100, above 100 lossless.
        skip_reencode: keep the bytes of an image that needs no change and is in ``encode_format``.
        disable_all_reencoding: keep all bytes as they came, undecoded and unchecked.
        min_image_size: refuse originals whose shorter side is below this many pixels.
        max_image_area: refuse originals of more pixels.
        max_aspect_ratio: refuse originals whose longer side is more times the shorter one.
        extract_exif: hand out the original's EXIF as a JSON string.
        apply_orientation: turn images upright as their EXIF says; False leaves them as img2dataset 1.47.0.
        exact_resize: resize with plain OpenCV, and blur, pixel for pixel as img2dataset 1.47.0.
        max_decoded_pixels: refuse, from the header, images of more pixels, and resizes to more pixels.
        convert_to_srgb: convert images with an embedded ICC profile to sRGB.
        store_true_extension: store kept originals under their true ending with their true size.
    """

    image_size: int = 256
    resize_mode: str = "border"
    resize_only_if_bigger: bool = False
    upscale_interpolation: str = "lanczos"
    downscale_interpolation: str = "area"
    encode_format: str = "jpg"
    encode_quality: int = 95
    skip_reencode: bool = False
    disable_all_reencoding: bool = False
    min_image_size: int = 0
    max_image_area: float = float("inf")
    max_aspect_ratio: float = float("inf")
    extract_exif: bool = True
    apply_orientation: bool = True
    exact_resize: bool = True
    max_decoded_pixels: int = MAX_DECODED_PIXELS
    convert_to_srgb: bool = False
    store_true_extension: bool = False
