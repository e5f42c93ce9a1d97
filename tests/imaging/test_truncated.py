"""A file that was cut fails; one that only lacks its end mark, with every pixel there, does not."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from img2dataset.imaging import ImageFailure
from tests.imaging.odd_files import (
    RGB,
    failure,
    gif,
    gif_frame,
    ico,
    jpeg_with_segment,
    saved,
    stored,
    with_alpha,
    with_orientation,
)
from tests.pictures import photograph, photograph_pixels

INDEXES = (np.add.outer(np.arange(40), np.arange(30)) % 4).astype(np.uint8)

WHOLE = {
    "baseline jpeg": lambda: saved(RGB, "JPEG", quality=90),
    "progressive jpeg": lambda: saved(RGB, "JPEG", quality=90, progressive=True),
    "jpeg with restart marks": lambda: saved(RGB, "JPEG", quality=90, restart_marker_rows=1),
    "jpeg with exif": lambda: saved(RGB, "JPEG", quality=90, exif=with_orientation(6)),
    "cmyk jpeg": lambda: saved(Image.fromarray(RGB).convert("CMYK"), "JPEG", quality=90),
    "png": lambda: saved(RGB, "PNG"),
    "webp": lambda: saved(RGB, "WEBP"),
    "lossless webp": lambda: saved(RGB, "WEBP", lossless=True),
    "gif": lambda: gif(30, 40, gif_frame(0, 0, INDEXES)),
    "bmp": lambda: saved(RGB, "BMP"),
    "tiff": lambda: saved(RGB, "TIFF"),
    "lzw tiff": lambda: saved(RGB, "TIFF", compression="tiff_lzw"),
    "alpha tiff": lambda: saved(with_alpha(RGB), "TIFF"),
    "avif": lambda: saved(RGB, "AVIF"),
    "jpeg 2000": lambda: saved(RGB, "JPEG2000"),
    "ppm": lambda: saved(RGB, "PPM"),
    "icon": lambda: ico(saved(RGB, "PNG")),
}


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("share", [0.3, 0.5, 0.75, 0.9])
def test_a_file_cut_in_its_pixels_is_truncated(name, share):
    body = WHOLE[name]()
    stored(body)
    assert failure(body[: int(len(body) * share)]) == "decode: truncated"


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("length", [1, 3, 12, 20, 30, 40])
def test_a_file_cut_in_its_first_bytes_fails(name, length):
    assert failure(WHOLE[name]()[:length]).startswith("decode: ")


@pytest.mark.parametrize("name", [name for name in WHOLE if "jpeg" in name and "2000" not in name])
def test_a_jpeg_filled_up_with_zeros_is_truncated(name):
    body = WHOLE[name]()
    half = len(body) // 2
    assert failure(body[:half] + bytes(half)) == "decode: truncated"


@pytest.mark.parametrize("cut", [2, 3, 4, 8, 50, 200])
def test_a_jpeg_cut_in_its_last_bytes_is_never_stored_with_other_pixels(cut):
    body = photograph(320, 240, 1)
    try:
        made = stored(body[:-cut])
    except ImageFailure as reason:
        made = reason.failure
    assert isinstance(made, str) or np.array_equal(made, stored(body))
    assert cut <= 4 or made == "decode: truncated"


@pytest.mark.parametrize("image_mode", ["RGB", "L"])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("tail", [b"", bytes(100)], ids=["nothing", "zeros"])
def test_a_jpeg_that_lacks_only_its_end_mark_is_whole(image_mode, seed, tail):
    body = saved(Image.fromarray(photograph_pixels(97, 61, seed)).convert(image_mode), "JPEG", quality=90)
    assert np.array_equal(stored(body[:-2] + tail), stored(body))


@pytest.mark.parametrize("seed", range(10))
def test_a_jpeg_that_lacks_one_row_of_blocks_and_its_end_mark_is_truncated(seed):
    pixels = photograph_pixels(64, 48, seed)
    whole = saved(pixels, "JPEG", quality=90, subsampling=0)
    shorter = saved(pixels[:40], "JPEG", quality=90, subsampling=0)
    # The scan of 40 rows under the header of 48.
    assert shorter[: shorter.index(b"\xff\xda") - 20] != whole
    height = whole.index(b"\xff\xc0") + 5
    short_of_a_row = shorter[:height] + (48).to_bytes(2, "big") + shorter[height + 2 : -2]
    assert failure(short_of_a_row) == "decode: truncated"


@pytest.mark.parametrize("progressive", [False, True])
def test_bytes_after_the_end_of_a_jpeg_do_not_matter(progressive):
    body = saved(RGB, "JPEG", quality=90, progressive=progressive)
    for tail in (bytes(5000), b"\xff\xd8\xff\xe1 a film of a telephone", body[: len(body) // 2]):
        assert np.array_equal(stored(body + tail), stored(body))


def test_the_end_mark_of_a_thumbnail_is_not_that_of_the_image():
    thumbnail = saved(RGB[:16, :16], "JPEG")
    body = jpeg_with_segment(saved(RGB, "JPEG", quality=90), 0xEC, thumbnail)
    stored(body)
    assert failure(body[: len(body) * 2 // 3]) == "decode: truncated"


def test_bytes_after_the_end_of_other_files_do_not_matter():
    for name in ("png", "webp", "gif", "bmp"):
        body = WHOLE[name]()
        assert np.array_equal(stored(body + bytes(1000)), stored(body))


def test_a_gif_without_its_trailer_is_whole_but_one_cut_in_a_later_frame_is_not():
    frame = gif_frame(0, 0, INDEXES)
    body = gif(30, 40, frame, frame)
    assert np.array_equal(stored(body[:-1]), stored(body))
    assert failure(body[: -len(frame) // 2]) == "decode: truncated"


@pytest.mark.parametrize("place", [0.4, 0.7])
def test_a_png_with_a_wrong_bit_is_corrupt(place):
    body = bytearray(saved(RGB, "PNG"))
    body[int(len(body) * place)] ^= 0x10
    assert failure(bytes(body)) == "decode: corrupt"


def test_a_jpeg_whose_header_is_nonsense_is_corrupt():
    assert failure(b"\xff\xd8\xff\xd9") == "decode: corrupt"
    assert failure(b"\xff\xd8\xff\xe0\0\1" + bytes(50)) == "decode: corrupt"


def test_a_jpeg_of_one_image_with_several_scans_and_no_end_mark_counts_as_truncated():
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, "JPEG", progressive=True)
    assert failure(file.getvalue()[:-2]) == "decode: truncated"


def test_what_opencv_reads_and_this_room_stores_is_the_same():
    body = photograph(300, 200, 5)
    assert np.array_equal(
        stored(body), cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    )
