"""With ``images``: every image decodes, has its recorded size, and originals have their hash."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import re
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from img2dataset.manifest import MANIFEST_NAME
from img2dataset.types import Sample
from img2dataset.working.output_folder import OutputFolder
from tests.pictures import photograph
from tests.verifying.datasets import check
from tests.verifying.manifests import manifest_text
from tests.working.shards import input_table, settings_for, success, write_shard

WITH_IMAGES = ("files", "webdataset", "parquet", "tfrecord")
WIDTH, HEIGHT = 96, 64


def make(folder: Path, output_format: str, images: list[bytes], **recorded: Any) -> None:
    """One shard of these images; the metadata say 96×64 and the true hash, unless told otherwise."""
    settings = settings_for(folder, output_format)
    table = input_table(len(images))
    samples: list[Sample] = []
    for row, image in enumerate(images):
        said = {"width": WIDTH, "height": HEIGHT, "sha256": hashlib.sha256(image).hexdigest()} | recorded
        samples.append(dataclasses.replace(success(settings, table, row, **said), image=image))
    write_shard(settings, table, samples)
    OutputFolder(settings).remove_own_temporaries()


def picture(image_format: str = "JPEG", width: int = WIDTH, height: int = HEIGHT, **options: Any) -> bytes:
    return photograph(width, height, seed=3, image_format=image_format, **options)


def reasons(folder: Path, **changes: Any) -> str:
    report = check(folder, images=True, **changes)
    assert len(report.bad) == report.exit_status == 1
    return report.bad[0].line()


@pytest.mark.parametrize("output_format", WITH_IMAGES)
def test_an_image_of_another_size_is_found(tmp_path: Path, output_format: str) -> None:
    make(tmp_path, output_format, [picture(), picture(width=97)])
    assert check(tmp_path).exit_status == 0  # nobody has looked
    assert reasons(tmp_path) == "00000: image of 97×64 pixels where the metadata say 96×64: 000001"


DAMAGE = {"a bogus segment": b"\xff\xe5\0\2", "an end mark": b"\xff\xd9", "wrong codes": b"\xff\0" * 40}


def damaged(name: str) -> bytes:
    body = picture()
    place = body.index(b"\xff\xda") + 200
    return body[:place] + DAMAGE[name] + body[place + len(DAMAGE[name]) :]


@pytest.mark.parametrize("name", DAMAGE)
def test_a_jpeg_whose_data_libjpeg_complains_about_is_found(tmp_path: Path, name: str, capfd: Any) -> None:
    make(tmp_path, "webdataset", [picture(), damaged(name)], sha256=None)
    assert reasons(tmp_path) == "00000: image that does not decode: 000001"
    assert "Corrupt JPEG" not in capfd.readouterr().err


@pytest.mark.parametrize("output_format", WITH_IMAGES)
def test_bytes_that_are_no_image_are_found(tmp_path: Path, output_format: str) -> None:
    make(tmp_path, output_format, [picture(), b"<html>"], sha256=None)
    assert reasons(tmp_path) == "00000: image that does not decode: 000001"


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
def test_an_image_cut_anywhere_is_found(tmp_path: Path, image_format: str) -> None:
    whole = picture(image_format)
    cut = [whole[: len(whole) * part // 8] for part in range(1, 8)] + [whole[:-2]]
    make(tmp_path, "parquet", [whole, *cut], sha256=None)
    assert "image that does not decode: 000001, 000002, 000003 and 5 more" in reasons(tmp_path)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
def test_every_format_and_kind_of_pixel_is_an_image(tmp_path: Path, image_format: str) -> None:
    kinds = ["RGB", "L"] + {"JPEG": ["CMYK"], "PNG": ["RGBA", "LA", "P", "1"], "WEBP": ["RGBA"]}[image_format]
    images = []
    for kind in kinds:
        encoded = io.BytesIO()
        Image.new(kind, (WIDTH, HEIGHT)).save(encoded, image_format)
        images.append(encoded.getvalue())
    make(tmp_path, "webdataset", images)
    report = check(tmp_path, images=True)
    assert (report.exit_status, report.images) == (0, len(kinds)), report.lines()


@pytest.mark.parametrize("image_format", ["GIF", "BMP", "TIFF"])
def test_originals_of_other_formats_are_images(tmp_path: Path, image_format: str) -> None:
    make(tmp_path, "webdataset", [picture(image_format)], sha256=None)
    assert check(tmp_path, images=True).exit_status == 0
    make(tmp_path, "webdataset", [picture(image_format)[:200]], sha256=None)
    assert "image that does not decode" in reasons(tmp_path)


def test_a_cut_image_that_was_downloaded_so_is_no_fault(tmp_path: Path) -> None:
    """It was kept on purpose (skip_reencode), and has the hash that was taken when it came."""
    make(tmp_path, "webdataset", [picture()[:-200]])
    assert check(tmp_path, images=True).exit_status == 0


def test_a_cut_image_is_a_fault_where_the_record_says_that_all_were_encoded_anew(tmp_path: Path) -> None:
    make(tmp_path, "webdataset", [picture()[:-200]])
    text = manifest_text([1], output_format="webdataset", skip_reencode=False, disable_all_reencoding=False)
    (tmp_path / MANIFEST_NAME).write_text(text)
    assert "image that does not decode" in reasons(tmp_path)


@pytest.mark.parametrize("output_format", WITH_IMAGES)
def test_an_original_without_a_size_that_has_changed_is_found(tmp_path: Path, output_format: str) -> None:
    make(tmp_path, output_format, [b"downloaded", picture()], width=None, height=None, sha256="0" * 64)
    assert "another hash than the metadata say: 000000, 000001" in reasons(tmp_path)


def test_an_original_with_a_size_that_has_changed_is_found_by_the_record(tmp_path: Path) -> None:
    make(tmp_path, "webdataset", [picture()], sha256="0" * 64)
    assert check(tmp_path, images=True).exit_status == 0  # an encoded image has another hash
    text = manifest_text([1], output_format="webdataset", disable_all_reencoding=True)
    (tmp_path / MANIFEST_NAME).write_text(text)
    assert "another hash than the metadata say: 000000" in reasons(tmp_path)


def test_an_original_that_is_turned_by_its_exif_may_be_recorded_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    make(tmp_path, "webdataset", [picture(width=HEIGHT, height=WIDTH, exif=exif.tobytes())])
    assert check(tmp_path, images=True).exit_status == 0
    make(tmp_path, "webdataset", [picture(width=HEIGHT, height=WIDTH)])
    assert "image of 64×96 pixels" in reasons(tmp_path)


def test_a_bomb_is_told_by_its_header(tmp_path: Path) -> None:
    """900 million pixels would take 2.7 GB to decode."""
    bomb = bytearray(picture("PNG"))
    bomb[16:24] = (30_000).to_bytes(4, "big") * 2
    bomb[29:33] = zlib.crc32(bomb[12:29]).to_bytes(4, "big")
    make(tmp_path, "webdataset", [bytes(bomb)])
    assert re.search(r"image of more than [\d,]+ pixels where the metadata say 96×64", reasons(tmp_path))
