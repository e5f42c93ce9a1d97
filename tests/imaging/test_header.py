"""The header: the size that Pillow says, for every format, and never anything but an answer or a failure."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from img2dataset.imaging import ImageFailure, ImageProcessor
from img2dataset.imaging.header import image_format, read_header
from img2dataset.options import ImageOptions
from tests.imaging.odd_files import GREY, RGB, gif, gif_frame, ico, saved, with_orientation
from tests.imaging.test_bmp import MASKS, RLE4, bmp, run_lengths, with_palette
from tests.imaging.tiff_files import DEFLATE, GROUP_4, PACKBITS, fax, tiff_file
from tests.pictures import photograph_pixels

SIZES = [(1, 1), (97, 61), (300, 1), (16, 257)]
FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "JPEG2000", "AVIF", "PPM"]
SEEDS = [
    saved(RGB[:20, :30], image_format, **options)
    for image_format, options in [
        ("JPEG", {"exif": with_orientation(6)}),
        ("JPEG", {"progressive": True}),
        ("PNG", {"exif": with_orientation(3)}),
        ("WEBP", {"exif": with_orientation(8)}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("JPEG2000", {}),
        ("AVIF", {}),
        ("BMP", {}),
        ("PPM", {}),
    ]
] + [
    gif(97, 61, gif_frame(0, 0, GREY[:5, :5] % 4)),
    ico(saved(RGB[:20, :30], "PNG")),
    saved(Image.fromarray(RGB[:32, :32]), "ICO", bitmap_format="bmp"),
]

INDEXES, COLOURS, _ = with_palette(4)
SEEDS += [
    tiff_file(RGB[:20, :30], 8, 2, compression=DEFLATE, planar=2, rows_a_strip=7),
    tiff_file(RGB[:20, :30], 12, 2, compression=PACKBITS, tile=(16, 16), order=">", big=True),
    tiff_file(GREY[:20, :30, None], 8, 3, fields={320: (3, [9] * 768)}),
    tiff_file(GREY[:20, :30, None] & 1, 1, 0, compression=GROUP_4, data=[fax(GREY[:20, :30] & 1, "group4")]),
    bmp([b""] * 21, 33, 4, compression=RLE4, palette=COLOURS, data=run_lengths(INDEXES, 4, 3, True)),
    bmp([b"\1\2\3\4" * 9] * 5, 9, 32, header=56, compression=MASKS, masks=(0x7F, 0xF000, 0x1FF0000, 1 << 31)),
    b"P3 # a comment\n2 2 77\n" + b"1 2 3 " * 4,
    b"P4 9 2\n\1\2\3\4",
]


@pytest.mark.parametrize("image_format", FORMATS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("make_body", [bytes, bytearray])
def test_the_size_is_the_one_pillow_says(image_format, size, make_body):
    body = saved(photograph_pixels(*size), image_format)
    header = read_header(make_body(body))
    assert (header.width, header.height) == Image.open(io.BytesIO(body)).size == size
    assert header.complete


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("orientation", range(2, 9))
def test_orientation_is_read_where_the_format_keeps_it(image_format, orientation):
    assert (
        read_header(saved(RGB, image_format, exif=with_orientation(orientation))).orientation == orientation
    )


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_tiff_is_turned_by_its_decoder_so_its_size_is_upright(orientation):
    header = read_header(saved(RGB, "TIFF", tiffinfo={0x0112: orientation}))
    assert header.orientation == 1
    assert (header.width, header.height) == ((97, 61) if orientation < 5 else (61, 97))


def test_big_endian_exif_is_read():
    body = saved(RGB, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x08\0\0\0\0\0\0")
    assert read_header(body).orientation == 8


@pytest.mark.parametrize("profile", [None, b"any bytes"])
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_colour_profile_is_noticed(image_format, profile):
    options = {} if profile is None else {"icc_profile": profile}
    assert read_header(saved(RGB, image_format, **options)).profile is (profile is not None)


def test_fill_bytes_and_junk_between_the_segments_of_a_jpeg_are_passed_over():
    body = saved(RGB, "JPEG")
    for between in (b"\xff\xff\xff", b"\0\0\0", b"\xff\x01"):
        assert read_header(body[:20] + between + body[20:]).width == 97


@pytest.mark.parametrize("body", SEEDS)
def test_the_format_does_not_depend_on_a_name(body):
    assert image_format(body) in ("jpg", "png", "webp", "tiff", "jp2", "avif", "bmp", "ppm", "gif", "ico")


PROCESSORS = [
    ImageProcessor(ImageOptions(image_size=16, max_decoded_pixels=100_000, exact_resize=True)),
    ImageProcessor(ImageOptions(image_size=5, exact_resize=False, max_decoded_pixels=100_000)),
    ImageProcessor(
        ImageOptions(
            resize_mode="no",
            skip_reencode=True,
            encode_format="png",
            encode_quality=0,
            convert_to_srgb=True,
            max_decoded_pixels=100_000,
            exact_resize=True,
        )
    ),
    ImageProcessor(ImageOptions(disable_all_reencoding=True, store_true_extension=True)),
]


# pytest undoes the filter of warnings that a processor sets.
@pytest.mark.filterwarnings("ignore:.*:UserWarning:PIL")
@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6),
    st.integers(0, 2000),
    st.booleans(),
)
def test_damaged_files_give_an_image_or_a_failure_and_nothing_else(seed, changes, length, cut):
    body = bytearray(seed)
    for place, value in changes:
        body[place % len(body)] = value
    body = body[:length] if cut else body
    for processor in PROCESSORS:
        made = outcome(processor, body)
        if isinstance(made, str):
            assert made.split(":")[0] in ("decode", "too large", "encode")
        else:
            assert made.image is body or len(made.image) > 0


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(
        [
            b"",
            b"\xff\xd8\xff",
            b"\x89PNG\r\n\x1a\n",
            b"RIFF\0\0\0\0WEBP",
            b"GIF89a",
            b"BM",
            b"II*\0",
            b"MM\0*",
            b"\0\0\1\0",
            b"\xff\x4f\xff\x51",
            b"\0\0\0\x20ftypavif",
            b"P6 ",
        ]
    ),
    st.binary(max_size=300),
)
def test_junk_behind_a_signature_gives_a_failure_and_nothing_else(signature, junk):
    header = outcome(read_header, signature + junk)
    if isinstance(header, str):
        assert header.startswith("decode: ")
    else:
        assert header.width > 0
        assert header.height > 0


def outcome(function: Callable[[bytes], Any], body: bytes | bytearray) -> Any:
    """What the function gives, or the message of its failure; any other exception is the test's."""
    try:
        return function(body)
    except ImageFailure as failure:
        return failure.failure
