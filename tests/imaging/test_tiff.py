"""Every field of a TIFF that a decoder may overlook, each value against pixels known before."""

from __future__ import annotations

import io
import itertools
import shutil
import subprocess
import zlib
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.imaging.odd_files import ALPHA, RGB, failure, on_white, psnr, saved, stored
from tests.imaging.tiff_files import (
    CCITT_1D,
    DEFLATE,
    GROUP_3,
    GROUP_4,
    JPEG,
    LZW,
    NONE,
    OLD_DEFLATE,
    PACKBITS,
    fax,
    lzw,
    packed,
    tiff_file,
)

Samples = np.ndarray[Any, Any]

HEIGHT, WIDTH = 37, 53
PICTURE = RGB[:HEIGHT, :WIDTH]
GREY = PICTURE[:, :, 1]
FAX_BITS = np.asarray(Image.fromarray(GREY).convert("1")).astype(np.uint8)
TRANSPARENCY = ALPHA[:HEIGHT, :WIDTH]
WHITE_IS_ZERO, BLACK_IS_ZERO, COLOUR, PALETTE, INK, YCBCR, CIELAB = 0, 1, 2, 3, 5, 6, 8
UNSUPPORTED = "decode: unsupported format"


def of_bits(pixels: Samples, bits: int) -> Samples:
    """8-bit levels as numbers of so many bits."""
    return np.round(pixels.astype(float) / 255 * ((1 << bits) - 1)).astype(np.uint32)


def levels(samples: Samples, bits: int) -> Samples:
    return np.floor(samples.astype(float) * 255 / ((1 << bits) - 1) + 0.5).astype(np.uint8)


def photograph(photometric: int, bits: int) -> tuple[Samples, Samples, dict[int, Any]]:
    """Samples, the pixels they stand for, and the fields that say more."""
    largest = (1 << bits) - 1
    if photometric == COLOUR:
        samples = of_bits(PICTURE, bits)
        return samples, levels(samples, bits), {}
    if photometric == PALETTE:
        indexes = of_bits(GREY, bits)
        random = np.random.default_rng(bits)
        colours = random.integers(0, 1 << 16, (3, 1 << bits))
        colours[0, 0] = 65535
        pixels = (colours >> 8).astype(np.uint8).T[indexes]
        return indexes[:, :, None], pixels, {320: (3, colours.reshape(-1).tolist())}
    if photometric == INK:
        inks = of_bits(np.dstack([255 - PICTURE, np.full_like(GREY, 40)]), bits)
        shares = 1 - levels(inks, bits) / 255.0
        return inks, np.floor(255 * shares[:, :, :3] * shares[:, :, 3:]).astype(np.uint8), {}
    samples = of_bits(GREY, bits)
    if photometric == WHITE_IS_ZERO:
        return (largest - samples)[:, :, None], 255 - levels(largest - samples, bits), {}
    return samples[:, :, None], levels(samples, bits), {}


def check(body: bytes, expected: Samples, *, least: float = 99.0, what: Any = "") -> None:
    found = stored(body)
    assert psnr(found, expected) >= least, (what, psnr(found, expected))


@pytest.mark.parametrize("photometric", [WHITE_IS_ZERO, BLACK_IS_ZERO, COLOUR, PALETTE, INK])
@pytest.mark.parametrize("bits", range(1, 17))
def test_every_depth_of_every_kind_of_colour_in_every_order(bits: int, photometric: int) -> None:
    samples, expected, fields = photograph(photometric, bits)
    least = 48.0 if photometric == INK else 99.0
    for planar, tile, order, big in itertools.product((1, 2), (None, (16, 32)), "<>", (False, True)):
        body = tiff_file(
            samples,
            bits,
            photometric,
            planar=planar,
            tile=tile,
            order=order,
            big=big,
            rows_a_strip=10,
            fields=fields,
        )
        check(body, expected, least=least, what=(planar, tile, order, big))


@pytest.mark.parametrize("compression", [NONE, DEFLATE, OLD_DEFLATE, LZW, PACKBITS])
@pytest.mark.parametrize("bits", [1, 4, 8, 12, 16])
def test_every_compression_with_predictors_and_fill_orders(bits: int, compression: int) -> None:
    predictors = (1, 2) if bits in (8, 16) else (1,)
    kinds = [COLOUR, BLACK_IS_ZERO]
    for photometric, predictor, fill_order in itertools.product(kinds, predictors, (1, 2)):
        for planar, tile, rows in ((1, None, 7), (1, (16, 16), 0), (2, None, 1), (2, (32, 16), 0)):
            samples, expected, fields = photograph(photometric, bits)
            body = tiff_file(
                samples,
                bits,
                photometric,
                compression=compression,
                predictor=predictor,
                fill_order=fill_order,
                planar=planar,
                tile=tile,
                rows_a_strip=rows,
                order=">" if predictor == 2 else "<",
                fields=fields,
            )
            check(body, expected, what=(photometric, predictor, fill_order, planar, tile))


@pytest.mark.parametrize("photometric", [WHITE_IS_ZERO, BLACK_IS_ZERO])
@pytest.mark.parametrize(
    ("compression", "name"), [(CCITT_1D, "tiff_ccitt"), (GROUP_3, "group3"), (GROUP_4, "group4")]
)
def test_fax(compression: int, name: str, photometric: int) -> None:
    data = [fax(FAX_BITS[top : top + 10], name) for top in range(0, HEIGHT, 10)]
    expected = (1 - FAX_BITS if photometric == WHITE_IS_ZERO else FAX_BITS) * 255
    for fill_order in (1, 2):
        body = tiff_file(
            FAX_BITS[:, :, None],
            1,
            photometric,
            compression=compression,
            data=data,
            rows_a_strip=10,
            fill_order=fill_order,
        )
        check(body, expected)


EXTRA = {
    "undeclared, of zeros": (None, 0, False, False),
    "undeclared, of full": (None, 1, False, False),
    "said to be unspecified": ([0], 0, False, False),
    "alpha": ([2], None, True, False),
    "associated alpha": ([1], None, True, True),
    "a sample, then alpha": ([0, 2], None, True, False),
}


@pytest.mark.parametrize("bits", [2, 8, 16])
@pytest.mark.parametrize("photometric", [BLACK_IS_ZERO, WHITE_IS_ZERO, COLOUR, INK, PALETTE])
@pytest.mark.parametrize("name", EXTRA)
def test_samples_beyond_the_colours(name: str, photometric: int, bits: int) -> None:
    kinds, fill, transparent, associated = EXTRA[name]
    samples, expected, fields = photograph(photometric, bits)
    largest = (1 << bits) - 1
    alpha = of_bits(TRANSPARENCY, bits)
    if transparent:
        if associated and photometric in (BLACK_IS_ZERO, COLOUR):
            samples = np.round(samples * (alpha[:, :, None] / largest)).astype(np.uint32)
            expected = np.minimum(
                levels(samples, bits).squeeze().astype(float)
                + 255
                - (levels(alpha, bits)[:, :, None] if photometric == COLOUR else levels(alpha, bits)),
                255,
            )
        elif associated:
            pytest.skip("no writer multiplies these")
        else:
            expected = on_white(expected, levels(alpha, bits))
    extra = alpha if fill is None else np.full_like(alpha, fill * largest)
    more = [extra] if kinds is None or len(kinds) == 1 else [np.zeros_like(alpha), extra]
    samples = np.dstack([samples, *more])
    fields = fields | ({} if kinds is None else {338: (3, kinds)})
    for planar in (1, 2):
        body = tiff_file(samples, bits, photometric, planar=planar, fields=fields)
        check(body, expected, least=48.0 if photometric == INK or transparent else 99.0, what=planar)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("bits", [1, 8, 16])
def test_orientation_turns_every_depth(bits: int, orientation: int) -> None:
    samples, expected, _ = photograph(COLOUR, bits)
    turns = {
        1: lambda p: p,
        2: np.fliplr,
        3: lambda p: p[::-1, ::-1],
        4: np.flipud,
        5: lambda p: p.transpose(1, 0, 2),
        6: lambda p: np.rot90(p, -1),
        7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90,
    }
    body = tiff_file(samples, bits, COLOUR, fields={274: (3, [orientation])})
    check(body, turns[orientation](expected))


def jpeg_in_tiff(photometric: int, *, damage: bytes = b"", tile: tuple[int, int] | None = None) -> bytes:
    parts = [PICTURE[top : top + 16] for top in range(0, HEIGHT, 16)]
    if tile:
        padded = np.pad(PICTURE, ((0, -HEIGHT % 16), (0, -WIDTH % 16), (0, 0)), mode="edge")
        parts = [padded[y : y + 16, x : x + 16] for y in range(0, HEIGHT, 16) for x in range(0, WIDTH, 16)]
    data = []
    for part in parts:
        pixels = part[:, :, 1] if photometric < COLOUR else part
        options = {"keep_rgb": True} if photometric == COLOUR else {}
        body = saved(pixels, "JPEG", quality=98, subsampling=0, **options)
        data.append(body)
    if damage:
        at = data[1].index(b"\xff\xda") + 60
        data[1] = data[1][:at] + damage + data[1][at + len(damage) :]
    samples = PICTURE[:, :, :1] if photometric < COLOUR else PICTURE
    return tiff_file(
        samples, 8, photometric, compression=JPEG, data=data, rows_a_strip=16, tile=tile and (16, 16)
    )


@pytest.mark.parametrize("tile", [None, (16, 16)])
@pytest.mark.parametrize("photometric", [WHITE_IS_ZERO, BLACK_IS_ZERO, COLOUR, YCBCR])
def test_jpeg_in_tiff(photometric: int, tile: tuple[int, int] | None) -> None:
    expected = GREY if photometric < COLOUR else PICTURE
    body = jpeg_in_tiff(photometric, tile=tile)
    check(body, 255 - expected if photometric == WHITE_IS_ZERO else expected, least=38.0)
    assert failure(jpeg_in_tiff(photometric, damage=b"\xff\xe5\0\2", tile=tile)) == "decode: corrupt"


@pytest.mark.parametrize("compression", [NONE, DEFLATE, LZW, PACKBITS])
@pytest.mark.parametrize("photometric", [WHITE_IS_ZERO, BLACK_IS_ZERO, COLOUR, PALETTE, INK])
def test_ordinary_files_of_8_bits_give_the_pixels_of_opencv(photometric: int, compression: int) -> None:
    samples, _, fields = photograph(photometric, 8)
    body = tiff_file(samples, 8, photometric, compression=compression, fields=fields, rows_a_strip=10)
    expected = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(stored(body), expected if expected.ndim == 2 else expected[:, :, 2::-1])


def test_jpeg_in_tiff_with_tables_apart_is_what_opencv_makes_of_it() -> None:
    body = saved(RGB, "TIFF", compression="jpeg", quality=90)
    expected = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(stored(body), expected[:, :, ::-1])


def test_ycbcr_without_jpeg() -> None:
    planes = np.asarray(Image.fromarray(PICTURE).convert("YCbCr"))
    check(tiff_file(planes, 8, YCBCR, fields={530: (3, [1, 1])}), PICTURE, least=38.0)


def test_cielab_is_shown_in_its_colours() -> None:
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[255] * 3, [0] * 3, [119] * 3]], np.uint8)
    # D50, as CIE defines it: L* 0 to 100 as 0 to 255, a* and b* as they are, signed.
    lab = [[(54.29, 80.8, 69.9), (87.8, -79.3, 81.0), (29.57, 68.3, -112.0)]]
    lab += [[(100, 0, 0), (0, 0, 0), (50.03, 0, 0)]]
    samples = np.array(
        [[(round(lum * 2.55), round(a) % 256, round(b) % 256) for lum, a, b in row] for row in lab]
    )
    check(tiff_file(samples, 8, CIELAB), colours, least=30.0)


NOT_READ = {
    **{f"compression {number}": ({259: (3, [number])}, 8) for number in (9, 10, 34661, 34712, 34892, 50001)},
    **{f"compression {number}": ({259: (3, [number])}, 8) for number in (50002, 50013, 34676, 34887, 65000)},
    **{f"photometric {number}": ({262: (3, [number])}, 8) for number in (4, 9, 10, 32803, 34892, 32844)},
    "32 bits": ({}, 32),
    "24 bits": ({258: (3, [24] * 3)}, 8),
    "half floats": ({339: (3, [3] * 3)}, 16),
    "floats": ({339: (3, [3] * 3)}, 32),
    "signed": ({339: (3, [2] * 3)}, 8),
    "complex": ({339: (3, [6] * 3)}, 8),
    "samples of several depths": ({258: (3, [5, 6, 5])}, 8),
    "a predictor of floats": ({317: (3, [3])}, 8),
    "a predictor there is none of": ({317: (3, [7])}, 8),
    "other inks": ({262: (3, [5]), 332: (3, [2]), 277: (3, [4]), 258: (3, [8] * 4)}, 8),
}


@pytest.mark.parametrize("name", NOT_READ)
def test_what_is_not_read_is_unsupported(name: str, capfd: Any) -> None:
    fields, bits = NOT_READ[name]
    assert failure(tiff_file(of_bits(PICTURE, min(bits, 16)), bits, COLOUR, fields=fields)) == UNSUPPORTED
    assert capfd.readouterr() == ("", "")


def broken(compression: int) -> bytes:
    """Data damaged in the second of its strips."""
    rows = [packed(PICTURE[top : top + 10], 8, "<") for top in range(0, HEIGHT, 10)]
    if compression in (DEFLATE, OLD_DEFLATE):
        data = [zlib.compress(each) for each in rows]
        data[1] = data[1][:300] + bytes([data[1][300] ^ 0x55]) + data[1][301:]
    elif compression == LZW:
        data = [lzw(each) for each in rows]
        data[1] = data[1][:300] + b"\xff" * 30 + data[1][330:]
    elif compression == PACKBITS:
        data = [b"\x7f" + bytes(128) + b"\x90\x01"] * 4
    else:
        name = {CCITT_1D: "tiff_ccitt", GROUP_3: "group3", GROUP_4: "group4"}[compression]
        data = [fax(FAX_BITS[top : top + 10], name) for top in range(0, HEIGHT, 10)]
        data[1] = data[1][:20] + bytes(8) + data[1][28:]
        return tiff_file(
            FAX_BITS[:, :, None], 1, WHITE_IS_ZERO, compression=compression, data=data, rows_a_strip=10
        )
    return tiff_file(PICTURE, 8, COLOUR, compression=compression, data=data, rows_a_strip=10)


@pytest.mark.parametrize("compression", [CCITT_1D, GROUP_4, LZW, DEFLATE, OLD_DEFLATE, PACKBITS])
def test_damaged_data_is_a_failure_and_never_black_strips(compression: int, capfd: Any) -> None:
    assert failure(broken(compression)) == "decode: corrupt"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("place", [4, 20, 60])
@pytest.mark.parametrize(("compression", "name"), [(GROUP_3, "group3"), (GROUP_4, "group4")])
def test_fax_that_ends_too_early_is_corrupt(compression: int, name: str, place: int) -> None:
    data = [fax(FAX_BITS, name)]
    assert len(data[0]) > 150
    end = b"\0\x10\x01" * (1 if compression == GROUP_4 else 3)
    data[0] = data[0][:place] + end + data[0][place + len(end) :]
    body = tiff_file(FAX_BITS[:, :, None], 1, WHITE_IS_ZERO, compression=compression, data=data)
    assert failure(body) == "decode: corrupt"


@pytest.mark.parametrize("rows", [1, 3, 1000])
@pytest.mark.parametrize(
    ("compression", "name"), [(CCITT_1D, "tiff_ccitt"), (GROUP_3, "group3"), (GROUP_4, "group4")]
)
def test_blank_fax_is_whole(compression: int, name: str, rows: int) -> None:
    for value in (0, 1):
        bits = np.full((1000, 200), value, np.uint8)
        bits[0, 0] = 1
        data = [fax(bits[top : top + rows], name) for top in range(0, 1000, rows)]
        body = tiff_file(
            bits[:, :, None], 1, BLACK_IS_ZERO, compression=compression, data=data, rows_a_strip=rows
        )
        check(body, bits * 255)


@pytest.mark.parametrize("compression", [NONE, LZW, DEFLATE, PACKBITS])
def test_a_file_that_ends_before_its_pixels_is_truncated(compression: int) -> None:
    samples = PICTURE.copy()
    body = bytearray(tiff_file(samples, 8, COLOUR, compression=compression))
    # The directory is moved to the front, as many writers have it: behind it the data, cut.
    with Image.open(io.BytesIO(bytes(body))) as image:
        length = image.tag_v2[279][0]  # type: ignore[attr-defined]
    directory = bytes(body[8 + length :])
    moved = tiff_file(samples, 8, COLOUR, compression=compression, data=[b""])
    assert len(directory) > 100
    fields = {273: (4, [len(moved)]), 279: (4, [length])}
    head = tiff_file(samples, 8, COLOUR, compression=compression, data=[b""], fields=fields)
    assert np.array_equal(stored(head + bytes(body[8 : 8 + length])), PICTURE)
    assert failure(head + bytes(body[8 : 8 + length // 2])) == "decode: truncated"


@pytest.mark.parametrize("compression", [NONE, DEFLATE, LZW])
@pytest.mark.parametrize("lengths", [None, (4, [0]), (4, [1 << 30])])
def test_lengths_of_strips_that_writers_get_wrong_do_not_matter(compression: int, lengths: Any) -> None:
    check(tiff_file(PICTURE, 8, COLOUR, compression=compression, fields={279: lengths}), PICTURE)


@pytest.mark.parametrize(
    "fields",
    [
        {273: (4, [8])},  # one strip of four
        {320: None, 262: (3, [3])},
        {277: (3, [1])},
        {322: (3, [0]), 323: (3, [16])},
        {278: (4, [0])},
    ],
    ids=str,
)
def test_fields_that_contradict_one_another_are_a_failure(fields: Any) -> None:
    assert failure(tiff_file(PICTURE, 8, COLOUR, rows_a_strip=10, fields=fields)).startswith("decode: ")


def test_strips_that_all_lie_in_one_place_cost_no_more_than_the_pixels() -> None:
    data = [zlib.compress(bytes(3_000_000))]
    samples = np.zeros((20_000, 4, 3), np.uint8)
    places = (4, [8] * 20_000)
    fields = {273: places, 278: (4, [1]), 279: (4, [len(data[0])] * 20_000)}
    body = tiff_file(samples, 8, COLOUR, compression=DEFLATE, data=data, fields=fields)
    assert not stored(body).any()


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("photometric", [WHITE_IS_ZERO, BLACK_IS_ZERO, COLOUR, PALETTE, INK])
def test_imagemagick_sees_the_same(photometric: int, bits: int) -> None:
    program = shutil.which("convert-im6.q16") or shutil.which("magick")
    if program is None:
        pytest.skip("ImageMagick is not installed")
    if photometric == PALETTE and bits == 16:
        pytest.skip("ImageMagick scales such palettes by rounding")
    samples, _, fields = photograph(photometric, bits)
    for planar in (1, 2):
        body = tiff_file(samples, bits, photometric, planar=planar, rows_a_strip=10, fields=fields)
        command = [program, "tiff:-", "-colorspace", "sRGB", "-depth", "8", "png:-"]
        made = subprocess.run(command, input=body, stdout=subprocess.PIPE, check=True).stdout
        theirs = np.asarray(Image.open(io.BytesIO(made)).convert("RGB"))
        assert psnr(stored(body), theirs) > 35
