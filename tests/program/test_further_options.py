"""Options that 1.47.0 has not, for lists, images and downloads, given on the command line and obeyed.

Each test fails if its option is ignored. Those of names, consent and access are in
``test_access_options.py``, those of manners in ``test_manners.py``.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.imaging.test_profiles import SWAPPED
from tests.pictures import photograph, photograph_pixels
from tests.program.contract import BODIES, Maker, column, files, pixels, png, rows_of
from tests.program.runs import run
from tests.servers import ImageServer

# Lists


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (
            "a;'one; two';{}\n",
            {"input_columns": "[id,words,url]", "input_delimiter": ";", "input_quote": "'"},
        ),
        ('a,"one; two",{}\n', {"input_columns": "[id,words,url]"}),
        ("id|words|url\na|one; two|{}\n", {"input_delimiter": "|"}),
        ("id,words,url\na,'one; two',{}\n", {"input_quote": "'"}),
    ],
    ids=["all three", "input_columns", "input_delimiter", "input_quote"],
)
def test_input_columns_delimiter_and_quote_say_how_a_csv_is_written(
    make: Maker, tmp_path: Path, text: str, options: dict[str, str]
) -> None:
    (tmp_path / "list.csv").write_text(text.format(make.addresses[2]))
    listed = {"url_list": tmp_path / "list.csv", "input_format": "csv", "caption_col": "words"}
    folder = make(**listed, **options, save_additional_columns="[id]")
    assert column(folder, "id", "caption", "url", "status") == [
        ("a", "one; two", make.addresses[2], "success")
    ]


def test_without_input_quote_quotes_are_letters(make: Maker, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(f'words,url\n"one,{make.addresses[2]}\n')
    listed = {"url_list": tmp_path / "list.csv", "input_format": "csv", "caption_col": "words"}
    assert column(make(**listed, input_quote="None"), "caption", "status") == [('"one', "success")]


# Images


def test_store_true_extension_stores_originals_as_what_they_are(
    make: Maker, image_server: ImageServer
) -> None:
    body = png(photograph_pixels(70, 50, 1))
    url = image_server.put("/further/called.jpg", body)
    named_after_the_option = make([url], disable_all_reencoding=True)
    assert files(named_after_the_option, "jpg") == [body]
    assert column(named_after_the_option, "width", "height", "original_width") == [(None, None, None)]
    true = make([url], disable_all_reencoding=True, store_true_extension=True)
    assert (files(true, "png"), files(true, "jpg")) == ([body], [])
    assert column(true, "width", "height", "original_width") == [(70, 50, 70)]


def test_apply_orientation_turns_images_upright(make: Maker, image_server: ImageServer) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    url = image_server.put("/further/turned.jpg", photograph(200, 150, exif=exif.tobytes()))
    sizes = ("width", "height", "original_width", "original_height")
    assert column(make([url], resize_mode="no"), *sizes) == [(150, 200, 150, 200)]
    left_alone = make([url], resize_mode="no", apply_orientation=False)
    assert column(left_alone, *sizes) == [(200, 150, 200, 150)]


def test_exact_resize_is_the_plain_resize_of_the_whole_image(make: Maker, image_server: ImageServer) -> None:
    picture = photograph_pixels(431, 299, 2)
    url = image_server.put("/further/exact.png", png(picture))
    sized = {"resize_mode": "keep_ratio_largest", "image_size": 100, "encode_format": "png"}
    plain = cv2.resize(picture, (100, 69), interpolation=cv2.INTER_AREA)
    (exact,) = files(make([url], exact_resize=True, **sized), "png")
    assert np.array_equal(pixels(exact), plain)
    (fast,) = files(make([url], **sized), "png")
    assert not np.array_equal(pixels(fast), plain)


def test_convert_to_srgb_takes_an_embedded_profile_for_what_it_says(
    make: Maker, image_server: ImageServer
) -> None:
    """The profile calls red what is blue."""
    red = np.full((40, 40, 3), (220, 10, 10), np.uint8)
    url = image_server.put("/further/profile.jpg", jpeg_of(red, icc_profile=SWAPPED))

    def mean(**options: Any) -> list[int]:
        (stored,) = files(make([url], resize_mode="no", **options))
        return [int(value) for value in pixels(stored).mean(axis=(0, 1))]

    assert mean()[0] > 200
    assert mean()[2] < 60
    assert mean(convert_to_srgb=True)[0] < 60
    assert mean(convert_to_srgb=True)[2] > 200


def jpeg_of(array: np.ndarray[Any, Any], **options: Any) -> bytes:

    encoded = io.BytesIO()
    Image.fromarray(array).save(encoded, "JPEG", quality=95, **options)
    return encoded.getvalue()


def test_max_decoded_pixels_refuses_larger_images(make: Maker) -> None:
    folder = make(max_decoded_pixels=20_000, resize_mode="no")
    assert column(folder, "error_message") == ["too large: pixels", "too large: pixels", None]


def test_hugging_face_images_are_structs_of_bytes_and_path(make: Maker) -> None:
    plain = pq.read_table(make(output_format="parquet") / "00000.parquet")
    assert pa.types.is_binary(plain.schema.field("jpg").type)
    folder = make(output_format="parquet", hugging_face_images=True)
    table = pq.read_table(folder / "00000.parquet")
    assert {field.name for field in table.schema.field("jpg").type} == {"bytes", "path"}
    assert b"huggingface" in table.schema.metadata
    assert [image["bytes"] for image in table["jpg"].to_pylist()] == plain["jpg"].to_pylist()


# Downloads


def test_minimum_speed_cuts_a_drip(make: Maker, image_server: ImageServer) -> None:
    # Seven seconds; between two bytes a busy server may pause for three and is not silent yet.
    url = image_server.url("/drip-body?interval=0.1&bytes=1&size=70")
    dripped = {"disable_all_reencoding": True, "timeout": 3, "compute_hash": "md5"}
    assert column(make([url], **dripped), "error_message") == ["timeout: too slow"]
    assert column(make([url], **dripped, minimum_speed=0), "status", "error_message") == [("success", None)]


def test_max_download_bytes_refuses_larger_bodies_and_takes_those_of_its_size(
    make: Maker, image_server: ImageServer
) -> None:
    urls = [image_server.put(f"/further/{size}.jpg", bytes(size)) for size in (5000, 5001)]
    # A server need not say the length before.
    urls.append(image_server.url("/unsized?size=5001"))
    whole = {"disable_all_reencoding": True, "compute_hash": "md5"}
    assert column(make(urls, **whole), "status") == ["success"] * 3
    bounded = column(make(urls, **whole, max_download_bytes=5000), "status", "error_message")
    assert bounded[0] == ("success", None)
    assert [status for status, _ in bounded[1:]] == ["failed_to_download"] * 2
    assert all(message.startswith("too large") for _, message in bounded[1:])


def test_adaptive_thread_count_lets_a_thread_count_that_was_given_rise(make: Maker, tmp_path: Path) -> None:
    for adaptive in (False, True):
        with ImageServer() as server:
            server.put("/late.jpg", BODIES[2], latency_s=0.4)
            urls = [server.url(f"/late.jpg?{n}") for n in range(240)]
            (tmp_path / "list.txt").write_text("\n".join(urls))
            result = run(
                url_list=tmp_path / "list.txt",
                output_folder=tmp_path / f"out-{adaptive}",
                processes_count=1,
                thread_count=16,
                adaptive_thread_count=adaptive,
            )
            assert result.returncode == 0, result.stderr
            assert (server.statistics()["peak"] > 16) == adaptive


def test_body_memory_bounds_the_downloads_that_are_begun(make: Maker) -> None:
    # Each is given 32 KB at least before its size is known: 30 of them fill a megabyte.
    body = BODIES[0] + bytes(100_000)
    for memory, fewest, most in ((1_000_000, 1, 30), (100_000_000, 64, 64)):
        with ImageServer() as server:
            server.put("/late.jpg", body, latency_s=0.3)
            urls = [server.url(f"/late.jpg?{n}") for n in range(192)]
            folder = make(urls, thread_count=64, body_memory=memory)
            assert fewest <= server.statistics()["peak"] <= most
            hashes = {hashlib.sha256(body).hexdigest()}
            assert {row["sha256"] for row in rows_of(folder)} == hashes


@pytest.mark.parametrize("memory", [999_999, 0])
def test_body_memory_below_a_megabyte_is_refused(tmp_path: Path, memory: int) -> None:
    (tmp_path / "list.txt").write_text("http://127.0.0.1:1/a.jpg")
    result = run(url_list=tmp_path / "list.txt", output_folder=tmp_path / "out", body_memory=memory)
    assert result.returncode == 2
    assert "--body_memory" in result.stderr
