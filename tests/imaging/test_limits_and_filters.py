"""What is refused from the header, before a pixel is decoded."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tests.imaging.odd_files import (
    RGB,
    failure,
    gif,
    ico,
    png,
    png_chunk,
    process,
    saved,
    stored,
    tiff,
    with_orientation,
)
from tests.own_peak import takes_at_most


def png_of(width: int, height: int) -> bytes:
    """Says its size, holds ten bytes."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(bytes(10))) + png_chunk(b"IEND", b"")
    )


def gif_frame_of(width: int, height: int) -> bytes:
    return b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x4c\x01\0"


BITMAP_OF_30000 = struct.pack("<IiiHHIIiiII", 40, 30000, 60000, 1, 32, 0, 0, 0, 0, 0, 0)
JPEG_FRAME = b"\xff\xc0\0\x11\x08" + struct.pack(">HH", 65500, 65500) + b"\3\1\x11\0\2\x11\0\3\x11\0"
BOMBS = {
    "png": png_of(50_000, 50_000),
    "largest png": png_of(2**31 - 1, 2**31 - 1),
    "gif canvas": gif(65535, 65535, gif_frame_of(1, 1)),
    "gif frame": gif(1, 1, gif_frame_of(65535, 65535)),
    "icon with png": ico(png_of(30_000, 30_000)),
    "second image of an icon": ico(png_of(16, 16), png_of(30_000, 30_000)),
    "icon with bitmap": ico(BITMAP_OF_30000),
    "bmp": b"BM" + bytes(12) + struct.pack("<IiiHHIIiiII", 40, 60000, -60000, 1, 24, 0, 0, 0, 0, 0, 0),
    "tiff": tiff([(256, 4, 1, 60000), (257, 4, 1, 60000), (258, 3, 1, 8), (273, 4, 1, 8), (279, 4, 1, 9)]),
    "webp": b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\x3f\0\xff\x3f\0" + bytes(10),
    "jpeg": b"\xff\xd8" + JPEG_FRAME + b"\xff\xda\0\x0c\3\1\0\2\0\3\0\0\x3f\0" + bytes(99) + b"\xff\xd9",
    "jpeg 2000": b"\xff\x4f\xff\x51"
    + struct.pack(">HHIIIIIIIIH", 47, 0, 60000, 60000, *[0] * 6, 3)
    + b"\7\1\1" * 3,
    "ppm": b"P6 60000 60000 255\n",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_from_its_header(name):
    with takes_at_most(megabytes=100):
        assert failure(BOMBS[name]) == "too large: pixels"


def test_the_limit_of_pixels_is_an_option():
    body = saved(RGB, "PNG")
    assert failure(body, max_decoded_pixels=97 * 61 - 1) == "too large: pixels"
    assert process(body, max_decoded_pixels=97 * 61, image_size=32).width == 32


@pytest.mark.parametrize("mode", ["keep_ratio", "center_crop"])
def test_an_image_that_only_the_resize_makes_huge_is_refused_as_well(mode):
    body = saved(Image.new("L", (1, 20_000)), "PNG")
    assert failure(body, resize_mode=mode, image_size=256) == "too large: pixels"


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("size", [(65_000, 51), (51, 65_000), (1_000_000, 1), (1, 1_000_000)])
def test_a_thin_image_takes_no_more_memory_than_it_has_pixels(size, exact):
    body = saved(Image.new("RGB", size, (10, 20, 30)), "PNG")
    with takes_at_most(megabytes=100):
        made = process(body, image_size=16, resize_mode="keep_ratio_largest", exact_resize=exact)
    assert (made.width, made.height) == ((16, 1) if size[0] > size[1] else (1, 16))


def test_a_thousand_empty_scans_of_a_large_jpeg_are_refused():
    body = saved(Image.new("L", (4000, 4000)), "JPEG", progressive=True)
    scans = b"\xff\xda\0\x08\1\1\0\1\x3f\0" * 1000
    assert failure(body[:-2] + scans + b"\xff\xd9") == "too large: pixels"


@pytest.mark.parametrize("name", [b"zTXt", b"iCCP"])
def test_a_chunk_that_inflates_to_gigabytes_is_not_inflated(name):
    bomb = png_chunk(name, b"k\0\0" + zlib.compress(bytes(200_000_000), 9))
    rows = [bytes(row) for row in RGB.reshape(61, -1)]
    body = png(rows, 97, 8, 2, extra=bomb)
    with takes_at_most(megabytes=100):
        assert np.array_equal(stored(body), RGB)


def test_a_tiff_of_sixty_thousand_tags_is_corrupt():
    tags = [(256, 4, 1, 8), (257, 4, 1, 8)] + [(tag, 5, 900, 8) for tag in range(400, 60_400)]
    assert failure(tiff(tags)) == "decode: corrupt"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min_image_size": 62}, "image too small"),
        ({"max_image_area": 97 * 61 - 1}, "image area too large"),
        ({"max_aspect_ratio": 1.59}, "aspect ratio too large"),
        ({"min_image_size": 62, "max_image_area": 1, "max_aspect_ratio": 1}, "image too small"),
        ({"max_image_area": 1, "max_aspect_ratio": 1}, "image area too large"),
    ],
)
def test_filters_refuse_with_the_messages_of_the_contract_in_its_order(settings, message):
    assert failure(saved(RGB, "PNG"), **settings) == message
    assert failure(saved(np.ascontiguousarray(np.rot90(RGB)), "PNG"), **settings) == message


@pytest.mark.parametrize(
    "settings", [{"min_image_size": 61}, {"max_image_area": 97 * 61}, {"max_aspect_ratio": 97 / 61}]
)
def test_filters_let_the_limit_itself_pass(settings):
    assert process(saved(RGB, "PNG"), **settings).original_width == 97


def test_filters_decide_before_decoding():
    body = saved(RGB, "PNG", exif=with_orientation(6))
    assert failure(body[:200], min_image_size=100) == "image too small"


def test_filters_are_on_the_original_not_on_what_is_stored():
    assert process(saved(RGB, "PNG"), min_image_size=50, image_size=16).width == 16


def test_a_failure_leaves_the_metadata_as_1_47_0_does():
    from img2dataset.imaging import ImageFailure, ImageProcessor
    from img2dataset.options import ImageOptions

    with pytest.raises(ImageFailure) as caught:
        ImageProcessor(ImageOptions(min_image_size=1000, exact_resize=True))(saved(RGB, "PNG"))
    assert (caught.value.width, caught.value.height) == (None, None)
    assert str(caught.value) == caught.value.failure == "image too small"
