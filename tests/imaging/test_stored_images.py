"""What is stored: formats and qualities, kept originals, and the plain OpenCV chain pixel for pixel.

In exact mode the bytes are those of img2dataset 1.47.0, which this chain of OpenCV calls reproduces;
8,728 images were held against the real program byte by byte.
"""

from __future__ import annotations

import pickle
import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from img2dataset.imaging import ImageProcessor
from img2dataset.imaging.geometry import plan_resize
from img2dataset.options import ImageOptions
from tests.imaging.odd_files import (
    GREY,
    RGB,
    decoded,
    failure,
    jpeg_without,
    process,
    psnr,
    saved,
    stored,
    with_alpha,
    with_orientation,
)
from tests.pictures import photograph, photograph_pixels

MODES = ["no", "border", "keep_ratio", "keep_ratio_largest", "center_crop"]
INTERPOLATIONS = {
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "bilinear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "bicubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
    "lanczos": cv2.INTER_LANCZOS4,
    "lanczos4": cv2.INTER_LANCZOS4,
}
JPEG = saved(RGB, "JPEG", quality=90)


def plain_chain(pixels: np.ndarray, mode: str, size: int, only_if_bigger: bool) -> np.ndarray:
    """Decode, resize, crop, pad with nothing but OpenCV and slices; BGR in, BGR out."""
    height, width = pixels.shape[:2]
    deciding = max(width, height) if mode in ("border", "keep_ratio_largest") else min(width, height)
    if mode == "no" or (only_if_bigger and deciding <= size):
        return pixels
    scaled = max(1, round(width * (size / deciding))), max(1, round(height * (size / deciding)))
    method = cv2.INTER_AREA if deciding > size else cv2.INTER_LANCZOS4
    if scaled != (width, height):
        pixels = cv2.resize(pixels, scaled, interpolation=method)
    if mode == "center_crop":
        top, left = (scaled[1] - size) // 2, (scaled[0] - size) // 2
        pixels = pixels[top : top + size, left : left + size]
    if mode == "border":
        canvas = np.full((size, size, *pixels.shape[2:]), 255, np.uint8)
        top, left = (size - scaled[1]) // 2, (size - scaled[0]) // 2
        canvas[top : top + scaled[1], left : left + scaled[0]] = pixels
        pixels = canvas
    return pixels


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("only_if_bigger", [False, True])
@pytest.mark.parametrize(
    "size", [(1, 1), (1, 40), (40, 1), (48, 48), (47, 49), (49, 48), (48, 20), (131, 77), (77, 131)]
)
def test_exact_pixels_are_those_of_plain_opencv(mode, only_if_bigger, size):
    pixels = photograph_pixels(*size, 2)
    made = stored(saved(pixels, "PNG"), resize_mode=mode, image_size=48, resize_only_if_bigger=only_if_bigger)
    expected = plain_chain(np.ascontiguousarray(pixels[:, :, ::-1]), mode, 48, only_if_bigger)
    assert np.array_equal(made, expected[:, :, ::-1])


@pytest.mark.parametrize(
    ("encode_format", "quality", "parameter"),
    [
        ("jpg", 0, cv2.IMWRITE_JPEG_QUALITY),
        ("jpg", 95, cv2.IMWRITE_JPEG_QUALITY),
        ("jpg", 100, cv2.IMWRITE_JPEG_QUALITY),
        ("png", 0, cv2.IMWRITE_PNG_COMPRESSION),
        ("png", 9, cv2.IMWRITE_PNG_COMPRESSION),
        ("webp", 5, cv2.IMWRITE_WEBP_QUALITY),
        ("webp", 100, cv2.IMWRITE_WEBP_QUALITY),
        ("webp", 101, cv2.IMWRITE_WEBP_QUALITY),
    ],
)
@pytest.mark.parametrize("body", [JPEG, saved(GREY, "PNG")], ids=["colour", "grey"])
def test_stored_bytes_are_opencvs_at_the_quality_asked_for(encode_format, quality, parameter, body):
    made = process(body, image_size=48, encode_format=encode_format, encode_quality=quality)
    source = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_UNCHANGED)
    expected = cv2.imencode(
        f".{encode_format}", plain_chain(source, "border", 48, False), [parameter, quality]
    )[1]
    assert bytes(made.image) == expected.tobytes()
    assert made.extension == encode_format
    assert Image.open(__import__("io").BytesIO(made.image)).size == (made.width, made.height) == (48, 48)


def test_webp_above_100_is_lossless():
    assert np.array_equal(stored(saved(RGB, "PNG"), encode_format="webp", encode_quality=101), RGB)
    assert psnr(stored(saved(RGB, "PNG"), encode_format="webp", encode_quality=100), RGB) < 99


@pytest.mark.parametrize("direction", ["downscale_interpolation", "upscale_interpolation"])
@pytest.mark.parametrize("name", INTERPOLATIONS)
def test_each_direction_has_its_own_interpolation(direction, name):
    size = (40, 25) if direction.startswith("down") else (200, 126)
    made = stored(
        saved(RGB, "PNG"), image_size=max(size), resize_mode="keep_ratio_largest", **{direction: name}
    )
    assert np.array_equal(made, cv2.resize(RGB, size, interpolation=INTERPOLATIONS[name]))


@pytest.mark.parametrize("side", [65_501, 16_384])
def test_an_image_larger_than_the_format_can_say_fails_by_name(side):
    encode_format = "jpg" if side > 65_500 else "webp"
    body = saved(Image.new("L", (side, 1)), "PNG")
    assert (
        failure(body, resize_mode="no", encode_format=encode_format)
        == f"encode: too large for {encode_format}"
    )


# Kept originals


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("only_if_bigger", [False, True])
@pytest.mark.parametrize("side", [47, 48, 49])
def test_skip_reencode_keeps_what_the_mode_leaves_alone(mode, only_if_bigger, side):
    body = photograph(side, side, 1)
    made = process(
        body, image_size=48, resize_mode=mode, resize_only_if_bigger=only_if_bigger, skip_reencode=True
    )
    # As 1.47.0: an image that happens to have the right size is not left alone, it is resized to itself.
    kept = mode == "no" or (only_if_bigger and side <= 48)
    assert (made.image == body) is kept
    assert (made.image is body) is kept
    assert plan_resize(side, side, 48, mode, only_if_bigger).untouched is kept


@pytest.mark.parametrize(
    ("encode_format", "body"),
    [
        ("jpg", JPEG),
        ("png", saved(RGB, "PNG")),
        ("webp", saved(RGB, "WEBP")),
        ("jpg", jpeg_without(JPEG, 0xE0)),
    ],
    ids=["jpg", "png", "webp", "jpg without JFIF"],
)
def test_skip_reencode_keeps_every_format_that_is_the_one_stored(encode_format, body):
    made = process(body, resize_mode="no", skip_reencode=True, encode_format=encode_format)
    assert made.image is body
    assert (made.width, made.height, made.original_width, made.original_height) == (97, 61, 97, 61)
    assert (made.extension, made.exif) == (encode_format, "{}")


@pytest.mark.parametrize(
    ("body", "settings"),
    [
        pytest.param(saved(RGB, "PNG"), {"encode_format": "jpg"}, id="another format"),
        pytest.param(saved(RGB, "JPEG", exif=with_orientation(6)), {}, id="an orientation to apply"),
        pytest.param(saved(with_alpha(RGB), "PNG"), {"encode_format": "png"}, id="alpha"),
        pytest.param(saved(Image.fromarray(RGB).convert("CMYK"), "JPEG"), {}, id="ink"),
        pytest.param(JPEG, {"boxes": [[0.1, 0.1, 0.5, 0.5]]}, id="a region to blur"),
        pytest.param(JPEG, {"skip_reencode": False}, id="not asked for"),
    ],
)
def test_skip_reencode_does_not_keep_what_needs_a_change(body, settings):
    settings = {"resize_mode": "no", "skip_reencode": True, **settings}
    assert bytes(process(body, settings.pop("boxes", None), **settings).image) != body


def test_skip_reencode_keeps_an_oriented_image_that_is_not_to_be_turned():
    body = saved(RGB, "JPEG", exif=with_orientation(6))
    made = process(body, resize_mode="no", skip_reencode=True, apply_orientation=False)
    assert made.image is body
    assert (made.width, made.height) == (97, 61)


def test_skip_reencode_still_refuses_what_does_not_decode():
    assert failure(JPEG[: len(JPEG) // 2], resize_mode="no", skip_reencode=True) == "decode: truncated"


@pytest.mark.parametrize("body", [b"", b"<html>", JPEG, JPEG[:300], saved(RGB, "PNG")])
def test_disable_all_reencoding_keeps_everything_unchecked(body):
    made = process(body, disable_all_reencoding=True, min_image_size=5000)
    assert made.image is body
    assert (made.extension, made.exif) == ("jpg", "{}")
    assert (made.width, made.height, made.original_width, made.original_height) == (None, None, None, None)


@pytest.mark.parametrize(
    ("image_format", "extension"),
    [
        ("JPEG", "jpg"),
        ("PNG", "png"),
        ("WEBP", "webp"),
        ("GIF", "gif"),
        ("BMP", "bmp"),
        ("TIFF", "tiff"),
        ("AVIF", "avif"),
        ("JPEG2000", "jp2"),
        ("PPM", "ppm"),
    ],
)
def test_store_true_extension_says_what_an_original_is(image_format, extension):
    body = saved(RGB, image_format)
    made = process(body, disable_all_reencoding=True, store_true_extension=True)
    assert made.image is body
    assert made.extension == extension
    assert (made.width, made.height, made.original_width, made.original_height) == (97, 61, 97, 61)


def test_store_true_extension_of_an_oriented_original_gives_the_stored_and_the_upright_size():
    body = saved(RGB, "JPEG", exif=with_orientation(6))
    made = process(body, disable_all_reencoding=True, store_true_extension=True)
    assert (made.width, made.height, made.original_width, made.original_height) == (97, 61, 61, 97)


def test_store_true_extension_of_what_is_no_image_falls_back_to_the_contract():
    made = process(b"<html>", disable_all_reencoding=True, store_true_extension=True)
    assert (made.image, made.extension, made.width, made.original_width) == (b"<html>", "jpg", None, None)


# The room itself


def test_a_bytearray_is_processed_like_bytes_and_left_as_it_was():
    body = bytearray(JPEG)
    assert bytes(process(body, image_size=40).image) == bytes(process(JPEG, image_size=40).image)
    assert body == JPEG


def test_the_buffer_handed_out_outlives_the_processor():
    made = process(JPEG, image_size=40)
    assert isinstance(made.image, memoryview)
    assert decoded(made.image).shape == (40, 40, 3)


def test_settings_travel_to_other_processes():
    settings = ImageOptions(image_size=77, encode_format="webp", encode_quality=3, exact_resize=True)
    assert pickle.loads(pickle.dumps(settings)) == settings


def test_importing_the_room_and_its_settings_does_not_import_opencv():
    script = (
        "import sys; from img2dataset.imaging import ImageFailure;"
        "from img2dataset.options import ImageOptions; ImageOptions();"
        "sys.exit(bool({'cv2', 'numpy', 'PIL', 'exifread'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_processor_turns_opencvs_own_threads_off():
    cv2.setNumThreads(2)
    ImageProcessor(ImageOptions(exact_resize=True))
    assert cv2.getNumThreads() == 1


def test_failures_are_not_printed(capfd):
    for body in (JPEG[:900], saved(RGB, "TIFF")[:3000], saved(RGB, "AVIF")[:500], b"junk"):
        failure(body)
    assert capfd.readouterr() == ("", "")
