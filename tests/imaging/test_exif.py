"""EXIF as the JSON that img2dataset 1.47.0 writes; the expected values were read off its output."""

from __future__ import annotations

import json
import logging
import struct

import pytest
from PIL import Image

from img2dataset.imaging.exif import exif_json
from img2dataset.imaging.header import read_header
from tests.imaging.odd_files import RGB, jpeg_with_segment, process, saved, tiff


def camera() -> Image.Exif:
    exif = Image.Exif()
    exif[0x010E] = 'quoted "words" \\ and a backslash'
    exif[0x0112] = 6
    exif[0x011A] = 300.5
    exif[0x011B] = 72
    exif[0x0132] = "2021:05:06 07:08:09"
    shot = exif.get_ifd(0x8769)
    shot[0x920A] = 50.0
    shot[0x8827] = 100
    shot[0x9207] = 5
    shot[0x9209] = 16
    shot[0x9214] = (100, 200, 30, 40)
    shot[0x927C] = b"MAKERNOTE" * 5
    shot[0xA001] = 1
    shot[0xA003] = 4000
    place = exif.get_ifd(0x8825)
    place[1] = "S"
    place[2] = (33.0, 52.0, 7.32)
    place[29] = "2021:05:06"
    return exif


EXPECTED = {
    "Image ImageDescription": 'quoted "words" \\ and a backslash',
    "Image Orientation": "Rotated 90 CW",
    "Image XResolution": "601/2",
    "Image YResolution": "72",
    "Image DateTime": "2021:05:06 07:08:09",
    "GPS GPSLatitudeRef": "S",
    "GPS GPSLatitude": "[33, 52, 183/25]",
    "GPS GPSDate": "2021:05:06",
    "EXIF FocalLength": "(50.0,)",
    "EXIF ISOSpeedRatings": "100",
    "EXIF MeteringMode": "Pattern",
    "EXIF Flash": "Flash did not fire, compulsory flash mode",
    "EXIF SubjectArea": "[100, 200, 30, 40]",
    "EXIF ColorSpace": "sRGB",
    "EXIF ExifImageLength": "4000",
}


def exif_of(body: bytes, **settings: object) -> str | None:
    return process(body, image_size=32, **settings).exif


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
def test_tags_are_named_and_written_as_1_47_0_did(image_format):
    tags = json.loads(exif_of(saved(RGB, image_format, exif=camera())))
    assert {name: tags[name] for name in EXPECTED} == EXPECTED
    assert not any("MakerNote" in name or "Thumbnail" in name for name in tags)


def test_avif_keeps_its_tags_but_says_its_orientation_elsewhere():
    tags = json.loads(exif_of(saved(RGB, "AVIF", exif=camera())))
    assert tags["EXIF Flash"] == EXPECTED["EXIF Flash"]


def test_tiffs_are_exif_by_themselves():
    tags = json.loads(exif_of(saved(RGB, "TIFF")))
    assert tags["Image ImageWidth"] == "97"
    assert tags["Image BitsPerSample"] == "[8, 8, 8]"


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF"])
def test_no_exif_is_an_empty_object(image_format):
    assert exif_of(saved(RGB, image_format)) == "{}"


def test_not_asked_for_is_none():
    assert exif_of(saved(RGB, "JPEG", exif=camera()), extract_exif=False) is None


@pytest.mark.parametrize(
    "settings", [{"disable_all_reencoding": True}, {"skip_reencode": True, "resize_mode": "no"}]
)
def test_kept_originals_have_theirs_too(settings):
    tags = json.loads(process(saved(RGB, "JPEG", exif=camera()), **settings).exif)
    assert tags["Image DateTime"] == "2021:05:06 07:08:09"


def test_exif_after_another_segment_of_its_kind_is_found():
    body = jpeg_with_segment(saved(RGB, "JPEG", exif=camera()), 0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>")
    assert json.loads(exif_of(body))["Image Orientation"] == "Rotated 90 CW"


@pytest.mark.parametrize("start", [b"XX*\0\x08\0\0\0", b"", b"I"])
def test_a_block_in_no_byte_order_is_null_as_with_1_47_0(start):
    assert exif_of(jpeg_with_segment(saved(RGB, "JPEG"), 0xE1, b"Exif\0\0" + start)) is None


def hostile_block(tags: int, kind: int, count: int, value: int) -> bytes:
    entries = b"".join(struct.pack("<HHII", 1 + tag, kind, count, value) for tag in range(tags))
    return b"II*\0" + struct.pack("<IH", 8, tags) + entries + b"\0\0\0\0"


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(hostile_block(5000, 5, 900, 8), id="each tag names the same values"),
        pytest.param(hostile_block(5000, 2, 60_000, 8), id="each tag names the same text"),
        pytest.param(hostile_block(1, 7, 0xFFFFFFFF, 8), id="four gigabytes"),
        pytest.param(
            b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHII", 0x8769, 4, 1, 8) + b"\x08\0\0\0", id="a loop"
        ),
        pytest.param(b"MM\0*\xff\xff\xff\xff", id="a directory outside"),
        pytest.param(b"MM\0*\0\0\0\x08\xff\xff", id="a directory cut off"),
    ],
)
def test_hostile_blocks_cost_the_row_nothing_but_its_exif(block, capfd):
    body = jpeg_with_segment(saved(RGB, "JPEG"), 0xE1, b"Exif\0\0" + block[:65_000])
    made = process(body, image_size=32)
    assert made.width == 32
    assert made.exif is None or isinstance(json.loads(made.exif), dict)
    assert capfd.readouterr() == ("", "")


def test_a_tiff_of_a_thousand_tags_of_a_thousand_values_is_given_up():
    sizes = [(256, 4, 1, 8), (257, 4, 1, 8), (258, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, 8), (279, 4, 1, 64)]
    body = tiff(sizes + [(tag, 5, 900, 8) for tag in range(400, 1300)])
    assert exif_json(body, read_header(body)) is None


def test_nothing_is_logged(caplog):
    with caplog.at_level(logging.DEBUG):
        exif_of(saved(RGB, "JPEG", exif=camera()))
        exif_of(jpeg_with_segment(saved(RGB, "JPEG"), 0xE1, b"Exif\0\0" + hostile_block(300, 99, 5, 1)))
    assert [record for record in caplog.records if "exif" in record.name] == []
