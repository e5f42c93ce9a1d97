"""EXIF orientation in pixels, sizes and boxes, held against Pillow's."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageOps

from img2dataset.imaging.orientation import upright, upright_box, upright_size
from tests.imaging.odd_files import GREY, RGB, process, psnr, saved, stored, with_orientation

orientations = pytest.mark.parametrize("orientation", range(1, 9))


def seen(orientation: int) -> np.ndarray:
    image = Image.fromarray(RGB)
    image.getexif()[0x0112] = orientation
    return np.asarray(ImageOps.exif_transpose(image))


@orientations
def test_pixels_are_turned_as_they_are_meant_to_be_seen(orientation):
    assert np.array_equal(upright(RGB, orientation), seen(orientation))


@orientations
def test_a_box_is_turned_with_the_pixels_under_it(orientation):
    pixels = np.zeros((60, 100), np.uint8)
    pixels[6:24, 50:90] = 255
    left, top, right, bottom = upright_box((0.5, 0.1, 0.9, 0.4), orientation)
    turned = upright(pixels, orientation)
    height, width = turned.shape
    rows, columns = np.nonzero(turned)
    assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == pytest.approx(
        (left * width, top * height, right * width, bottom * height)
    )


@orientations
@pytest.mark.parametrize("image_format", ["PNG", "WEBP", "JPEG", "TIFF", "AVIF"])
def test_images_of_every_format_with_orientation_are_stored_upright(orientation, image_format):
    options = {
        "WEBP": {"lossless": True},
        "JPEG": {"quality": 98, "subsampling": 0},
        "AVIF": {"quality": 100, "subsampling": "4:4:4"},
    }.get(image_format, {})
    body = saved(RGB, image_format, exif=with_orientation(orientation), **options)
    assert psnr(stored(body), seen(orientation)) > 40


@orientations
def test_sizes_are_those_of_the_upright_image(orientation):
    body = saved(RGB, "JPEG", exif=with_orientation(orientation))
    made = process(body, image_size=48, resize_mode="keep_ratio_largest")
    width, height = upright_size((97, 61), orientation)
    assert (made.original_width, made.original_height) == (width, height)
    assert (made.width, made.height) == ((48, 30) if width > height else (30, 48))


@orientations
def test_turning_before_or_after_the_resize_is_the_same_to_a_viewer(orientation):
    body = saved(RGB, "PNG", exif=with_orientation(orientation))
    for mode in ("border", "center_crop", "keep_ratio"):
        made = stored(body, resize_mode=mode, image_size=40)
        assert psnr(made, stored(saved(seen(orientation), "PNG"), resize_mode=mode, image_size=40)) > 50


def test_without_apply_orientation_pixels_and_sizes_stay_as_stored():
    body = saved(RGB, "PNG", exif=with_orientation(6))
    assert np.array_equal(stored(body, apply_orientation=False), RGB)
    made = process(body, resize_mode="no", apply_orientation=False)
    assert (made.original_width, made.original_height) == (97, 61)


def test_the_aspect_of_filters_and_grey_images_are_turned_too():
    body = saved(GREY, "JPEG", quality=98, exif=with_orientation(8))
    made = stored(body)
    assert made.shape == (97, 61)
    assert psnr(made, np.rot90(GREY)) > 40


@pytest.mark.parametrize("value", [0, 9, 99, 65535])
def test_an_orientation_that_does_not_exist_turns_nothing(value):
    assert np.array_equal(stored(saved(RGB, "PNG", exif=with_orientation(value))), RGB)


def test_exif_after_the_pixels_of_a_png_counts_as_well():
    body = saved(RGB, "PNG", exif=with_orientation(6))
    start = body.index(b"eXIf") - 4
    length = 12 + int.from_bytes(body[start : start + 4], "big")
    moved = body[:start] + body[start + length : -12] + body[start : start + length] + body[-12:]
    assert np.array_equal(stored(moved), np.rot90(RGB, -1))
