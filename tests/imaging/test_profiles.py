"""Embedded colour profiles converted to sRGB when that is asked for."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.imaging.odd_files import ALPHA, GREY, RGB, on_white, process, psnr, saved, stored, with_alpha

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def swapped_profile() -> bytes:
    """sRGB with red and blue exchanged: nobody can take one for the other."""
    profile = bytearray(SRGB)
    tags = {bytes(profile[at : at + 4]): at for at in range(132, 132 + 12 * profile[131], 12)}
    red, blue = tags[b"rXYZ"], tags[b"bXYZ"]
    profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
    # Its description must not begin with sRGB.
    return bytes(profile).replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))


SWAPPED = swapped_profile()


@pytest.mark.parametrize(
    ("image_format", "options"),
    [("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("JPEG", {"quality": 98, "subsampling": 0})],
)
def test_an_embedded_profile_is_converted_when_asked_for(image_format, options):
    body = saved(RGB, image_format, icc_profile=SWAPPED, **options)
    assert psnr(stored(body, convert_to_srgb=True), RGB[:, :, ::-1]) > 38
    assert psnr(stored(body), RGB) > 38


def test_alpha_is_kept_and_composed_after_the_conversion():
    body = saved(with_alpha(RGB), "PNG", icc_profile=SWAPPED)
    assert psnr(stored(body, convert_to_srgb=True), on_white(RGB[:, :, ::-1], ALPHA)) > 45


def test_palettes_are_converted_as_the_colours_they_stand_for():
    image = Image.fromarray(RGB).quantize(64)
    body = saved(image, "PNG", icc_profile=SWAPPED)
    assert psnr(stored(body, convert_to_srgb=True), np.asarray(image.convert("RGB"))[:, :, ::-1]) > 45


@pytest.mark.parametrize("profile", [SRGB, b"no profile", SWAPPED[:200]], ids=["sRGB", "junk", "cut"])
def test_srgb_itself_and_broken_profiles_change_no_pixel(profile):
    assert np.array_equal(stored(saved(RGB, "PNG", icc_profile=profile), convert_to_srgb=True), RGB)


def test_a_profile_for_another_kind_of_colour_is_passed_over():
    assert np.array_equal(stored(saved(GREY, "PNG", icc_profile=SWAPPED), convert_to_srgb=True), GREY)


def test_a_converted_image_is_not_kept_as_it_came():
    body = saved(RGB, "PNG", icc_profile=SWAPPED)
    settings = {"resize_mode": "no", "skip_reencode": True, "encode_format": "png"}
    assert process(body, **settings).image is body
    assert process(body, convert_to_srgb=True, **settings).image is not body
