"""Every option of the contract with 1.47.0, given on the command line, does what it is there for.

Each test fails if its option is ignored. Here: names and defaults, images and
metadata; ``test_contract_runs.py`` has the rest.
"""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from img2dataset.options import option_specs
from tests.pictures import photograph
from tests.program.contract import BODIES, DEFAULTS, SIZES, Maker, column, files, pixels, png, rows_of
from tests.servers import ImageServer


def test_every_option_is_there_with_its_default() -> None:
    specs = option_specs()
    assert {name: specs[name].default for name in DEFAULTS} == DEFAULTS
    assert specs["url_list"].required


def test_by_default_images_are_bordered_to_256_pixels_with_exif_and_sha256(usual: Path) -> None:
    assert column(usual, "width", "height") == [(256, 256)] * 3
    assert column(usual, "key") == ["000000000", "000000001", "000000002"]
    assert column(usual, "sha256") == [hashlib.sha256(body).hexdigest() for body in BODIES]
    names = "url key status error_message width height original_width original_height exif sha256"
    assert list(rows_of(usual)[0]) == names.split()
    assert sorted(path.name for path in (usual / "00000").iterdir())[:2] == [
        "000000000.jpg",
        "000000000.json",
    ]


# Images


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"resize_mode": "no"}, [(400, 300), (300, 420), (120, 90)]),
        ({"image_size": 100}, [(100, 100)] * 3),
        ({"resize_mode": "keep_ratio", "image_size": 150}, [(200, 150), (150, 210), (200, 150)]),
        ({"resize_mode": "keep_ratio_largest", "image_size": 200}, [(200, 150), (143, 200), (200, 150)]),
        ({"resize_mode": "center_crop", "image_size": 64}, [(64, 64)] * 3),
        ({"resize_only_if_bigger": True}, [(256, 256), (256, 256), (120, 90)]),
    ],
    ids=["no", "image_size", "keep_ratio", "keep_ratio_largest", "center_crop", "resize_only_if_bigger"],
)
def test_resize_mode_image_size_and_resize_only_if_bigger_set_the_size(
    make: Maker, options: dict[str, Any], expected: list[tuple[int, int]]
) -> None:
    folder = make(**options)
    assert column(folder, "width", "height") == expected
    assert column(folder, "original_width", "original_height") == list(SIZES)
    assert [Image.open(io.BytesIO(image)).size for image in files(folder)] == expected


def test_border_pads_with_white_and_center_crop_takes_the_middle(make: Maker, usual: Path) -> None:
    wide = pixels(files(usual)[0])
    assert (wide[:30] > 250).all()
    assert (wide[-30:] > 250).all()
    (crop,) = files(make([make.addresses[0]], resize_mode="center_crop", image_size=300, encode_quality=100))
    middle = pixels(BODIES[0])[:, 50:350].astype(int)
    assert abs(pixels(crop).astype(int) - middle).mean() < 3


def test_upscale_and_downscale_interpolation_are_used_each_for_its_own(
    make: Maker, image_server: ImageServer
) -> None:
    # Enlarged black and white, and stripes reduced: nearest alone leaves no grey.
    stripes = np.zeros((512, 512), np.uint8)
    stripes[:, ::3] = 255
    board = np.array([[0, 255], [255, 0]], np.uint8)
    small = image_server.put("/contract/board.png", png(board), "image/png")
    large = image_server.put("/contract/stripes.png", png(stripes), "image/png")

    def has_grey(**options: str) -> list[bool]:
        stored = files(make([small, large], encode_format="png", exact_resize=True, **options), "png")
        return [not np.isin(pixels(image), (0, 255)).all() for image in stored]

    assert has_grey() == [True, True]
    assert has_grey(upscale_interpolation="nearest") == [False, True]
    assert has_grey(downscale_interpolation="nearest") == [True, False]


@pytest.mark.parametrize(
    ("encode_format", "name", "low", "high"),
    [("jpg", "JPEG", 20, 95), ("png", "PNG", 9, 0), ("webp", "WEBP", 20, 101)],
)
def test_encode_format_and_encode_quality_are_those_of_the_stored_images(
    make: Maker, encode_format: str, name: str, low: int, high: int
) -> None:
    coarse, fine = (
        files(make(encode_format=encode_format, encode_quality=quality), encode_format)
        for quality in (low, high)
    )
    assert [Image.open(io.BytesIO(data)).format for data in coarse + fine] == [name] * 6
    assert sum(map(len, fine)) > 1.3 * sum(map(len, coarse))


def test_skip_reencode_keeps_the_bytes_of_images_that_need_no_change(make: Maker) -> None:
    stored = files(make(skip_reencode=True, resize_only_if_bigger=True))
    assert [data == body for data, body in zip(stored, BODIES, strict=True)] == [False, False, True]
    stored = files(make(resize_only_if_bigger=True))
    assert BODIES[2] not in stored


def test_disable_all_reencoding_keeps_all_bytes_unchecked(make: Maker, image_server: ImageServer) -> None:
    text = image_server.put("/contract/text.jpg", b"no image at all")
    folder = make([*make.addresses, text], disable_all_reencoding=True)
    assert files(folder) == [*BODIES, b"no image at all"]
    assert column(folder, "status", "width", "height") == [("success", None, None)] * 4


def test_regions_of_bbox_col_are_blurred_and_nothing_else(make: Maker, tmp_path: Path) -> None:
    boxes = [[[0.6, 0.55, 0.9, 0.9]], [], None]
    rows = [{"url": url, "faces": faces} for url, faces in zip(make.addresses, boxes, strict=True)]
    (tmp_path / "list.jsonl").write_text("\n".join(map(json.dumps, rows)))
    listed = {"url_list": tmp_path / "list.jsonl", "input_format": "jsonl", "resize_mode": "no"}
    plain = files(make(**listed, encode_format="png"), "png")
    blurred = files(make(**listed, encode_format="png", bbox_col="faces"), "png")
    assert blurred[1:] == plain[1:]
    before, after = pixels(plain[0]).astype(int), pixels(blurred[0]).astype(int)
    assert (before[:150, :200] == after[:150, :200]).all()
    inside = np.s_[190:250, 260:340]
    # The grain of neighbouring pixels is gone.
    assert abs(np.diff(after[inside], axis=1)).mean() < abs(np.diff(before[inside], axis=1)).mean() / 3


@pytest.mark.parametrize(
    ("options", "message", "failed"),
    [
        ({"min_image_size": 100}, "image too small", [2]),
        ({"max_image_area": 124000}, "image area too large", [1]),
        ({"max_aspect_ratio": 1.35}, "aspect ratio too large", [1]),
    ],
    ids=["min_image_size", "max_image_area", "max_aspect_ratio"],
)
def test_filters_refuse_images_by_their_original_size(
    make: Maker, options: dict[str, Any], message: str, failed: list[int]
) -> None:
    folder = make(**options)
    expected = [("failed_to_resize", message) if n in failed else ("success", None) for n in range(3)]
    assert column(folder, "status", "error_message") == expected
    statistics = json.loads((folder / "00000_stats.json").read_text())
    assert statistics["status_dict"] == {"success": 3 - len(failed), message: len(failed)}


# Metadata


def test_extract_exif_keeps_the_exif_of_the_original(make: Maker, image_server: ImageServer) -> None:
    exif = Image.Exif()
    exif[0x010F] = "A Maker"
    url = image_server.put("/contract/exif.jpg", photograph(200, 150, exif=exif.tobytes()))
    assert [json.loads(text) for text in column(make([url]), "exif")] == [{"Image Make": "A Maker"}]
    assert "exif" not in rows_of(make([url], extract_exif=False))[0]


@pytest.mark.parametrize("compute_hash", ["md5", "sha256", "sha512", None])
def test_compute_hash_names_the_column_and_the_algorithm(make: Maker, compute_hash: str | None) -> None:
    folder = make(compute_hash=compute_hash)
    columns = set(rows_of(folder)[0])
    assert columns & {"md5", "sha256", "sha512"} == ({compute_hash} if compute_hash else set())
    if compute_hash:
        assert column(folder, compute_hash) == [
            hashlib.new(compute_hash, body).hexdigest() for body in BODIES
        ]


def test_verify_hash_fails_rows_whose_bytes_are_others(make: Maker, tmp_path: Path) -> None:
    hashes = [hashlib.md5(BODIES[n]).hexdigest() for n in (0, 0, 2)]
    lines = [f"{url},{value}" for url, value in zip(make.addresses, hashes, strict=True)]
    (tmp_path / "list.csv").write_text("\n".join(["url,was", *lines]))
    listed = {"url_list": tmp_path / "list.csv", "input_format": "csv", "compute_hash": "md5"}
    folder = make(**listed, verify_hash='["was","md5"]')
    good = ("success", None)
    assert column(folder, "status", "error_message") == [good, ("failed_to_download", "hash mismatch"), good]
    assert column(folder, "md5") == [hashes[0], None, hashes[2]]
    assert "was" not in rows_of(folder)[0]


def test_save_additional_columns_url_col_and_caption_col_are_read_from_the_list(
    make: Maker, tmp_path: Path
) -> None:
    table = pa.table(
        {
            "id": pa.array([7, None, 9], pa.int64()),
            "tags": [["a"], [], ["b", "c"]],
            "link": make.addresses,
            "words": ["one", "", None],
            "left_out": [1, 2, 3],
        }
    )
    pq.write_table(table, tmp_path / "list.parquet")
    listed = {"url_list": tmp_path / "list.parquet", "input_format": "parquet", "url_col": "link"}
    folder = make(**listed, caption_col="words", save_additional_columns='["id","tags"]')
    assert list(rows_of(folder)[0])[:5] == ["id", "tags", "caption", "url", "key"]
    assert pq.read_schema(folder / "00000.parquet").field("id").type == pa.int64()
    assert column(folder, "id", "tags") == [(7, ["a"]), (None, []), (9, ["b", "c"])]
    assert column(folder, "url") == make.addresses
    assert files(folder, "txt") == [b"one", b"", b""]
    assert [json.loads(text)["tags"] for text in files(folder, "json")] == [["a"], [], ["b", "c"]]
