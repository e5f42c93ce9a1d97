"""``blurrer``, ``resizer`` and ``downloader`` answer as those of 1.47.0 were seen to answer."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather

from img2dataset import writer
from img2dataset.blurrer import BoundingBoxBlurrer
from img2dataset.downloader import Downloader, download_image, download_image_with_retry
from img2dataset.errors import OptionError
from img2dataset.resizer import Resizer
from tests.pictures import photograph
from tests.program.contract import pixels, rows_of
from tests.servers import ImageServer

BODY = photograph(400, 300)
NO_IMAGE = (None, None, None, None, None)


@pytest.mark.parametrize(
    ("arguments", "sizes"),
    [
        ((256, "border", False), (256, 256, 400, 300)),
        ((256, "keep_ratio", True), (341, 256, 400, 300)),
        ((100, "center_crop", False, "cubic", "area", 9, "png"), (100, 100, 400, 300)),
        ((100, "keep_ratio_largest", False, "cubic", "linear", 101, "webp"), (100, 75, 400, 300)),
        ((256, "no", False), (400, 300, 400, 300)),
    ],
)
def test_a_resizer_gives_the_file_and_its_sizes(arguments: tuple[Any, ...], sizes: tuple[int, ...]) -> None:
    image, *rest = Resizer(*arguments)(io.BytesIO(BODY))
    assert tuple(rest) == (*sizes, None)
    assert isinstance(image, bytes)
    assert pixels(image).shape == (sizes[1], sizes[0], 3)


def test_a_resizer_has_the_pixels_of_plain_opencv() -> None:
    image = Resizer(200, "keep_ratio", False, encode_format="png", encode_quality=1)(io.BytesIO(BODY))[0]
    whole = cv2.imdecode(np.frombuffer(BODY, np.uint8), cv2.IMREAD_COLOR)
    expected = cv2.resize(whole, (267, 200), interpolation=cv2.INTER_AREA)
    assert image is not None
    assert np.array_equal(cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR), expected)


def test_a_resizer_keeps_bytes_reads_from_the_beginning_and_says_why_there_is_no_image() -> None:
    stream = io.BytesIO(BODY)
    stream.read(5)
    kept = Resizer(256, "no", False, skip_reencode=True)(stream)
    assert kept == (BODY, 400, 300, 400, 300, None)
    assert not stream.closed
    assert Resizer(256, "no", False, disable_all_reencoding=True)(io.BytesIO(BODY)) == (BODY, *NO_IMAGE)
    for filters, reason in (
        ({"min_image_size": 1000}, "image too small"),
        ({"max_image_area": 10}, "image area too large"),
        ({"max_aspect_ratio": 1.1}, "aspect ratio too large"),
    ):
        refused = Resizer(256, "border", False, **filters)(io.BytesIO(BODY))  # type: ignore[arg-type]
        assert refused == (*NO_IMAGE, reason)
    assert Resizer(256, "border", False)(io.BytesIO(b"no image"))[5] == "decode: not an image"
    assert Resizer(256, "border", False)(io.BytesIO(BODY), [])[5] == "blurrer not defined"


def test_a_resizer_refuses_what_it_cannot_do() -> None:
    for wrong in ((256, "stretch", False), (256, "border", False, "sinc"), (0, "border", False)):
        with pytest.raises(ValueError, match="it takes"):
            Resizer(*wrong)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="BoundingBoxBlurrer"):
        Resizer(256, "border", False, blurrer=print)  # type: ignore[arg-type]


def test_a_resizer_blurs_with_its_blurrer() -> None:
    boxes = [[0.1, 0.1, 0.6, 0.5]]
    options: dict[str, Any] = {"encode_format": "png", "encode_quality": 1}
    blurred = Resizer(256, "no", False, blurrer=BoundingBoxBlurrer(), **options)(io.BytesIO(BODY), boxes)[0]
    assert blurred is not None
    whole = cv2.imdecode(np.frombuffer(BODY, np.uint8), cv2.IMREAD_COLOR)
    expected = BoundingBoxBlurrer()(whole, boxes)
    assert np.array_equal(cv2.imdecode(np.frombuffer(blurred, np.uint8), cv2.IMREAD_COLOR), expected)
    assert not np.array_equal(expected, whole)


def test_a_blurrer_takes_arrays_boxes_beyond_the_edge_and_none() -> None:
    image = cv2.imdecode(np.frombuffer(BODY, np.uint8), cv2.IMREAD_COLOR)
    assert BoundingBoxBlurrer()(image, []) is image
    before = image.copy()
    for given in (image, image[:, :, 0], image.astype(np.float32)):
        for boxes in ([[0.1, 0.1, 0.5, 0.5]], np.array([[-0.2, 0.5, 1.3, 1.01]])):
            blurred = BoundingBoxBlurrer()(given, boxes)
            assert (blurred.dtype, blurred.shape) == (np.uint8, given.shape)
            assert not np.array_equal(blurred, given)
    assert np.array_equal(image, before)
    with pytest.raises(ValueError, match="expected 4"):
        BoundingBoxBlurrer()(image, [[0.1, 0.1, 0.5]])


def test_an_image_is_downloaded(image_server: ImageServer) -> None:
    url = image_server.put("/old/a.jpg", BODY)
    name, stream, failure = download_image_with_retry((7, url), 10, 0, None, None)
    assert (name, failure) == (7, None)
    assert isinstance(stream, io.BytesIO)
    assert (stream.tell(), stream.read()) == (0, BODY)
    assert (
        download_image(("x", url), timeout=5, user_agent_token="me", disallowed_header_directives=["noai"])[2]
        is None
    )
    assert "me" in (image_server.last_request("/old/a.jpg") or "")


def test_what_cannot_be_downloaded_is_said(image_server: ImageServer) -> None:
    refused = image_server.put("/old/b.jpg", BODY, headers=[("X-Robots-Tag", "noai")])
    cases: list[tuple[Any, Any, str | None]] = [
        (refused, ["noai"], "opt-out: X-Robots-Tag"),
        (refused, ["noindex"], None),
        (refused, None, None),
        (image_server.put("/old/c.jpg", b"", status=404), None, "HTTP 404"),
        ("http://127.0.0.1:1/a.jpg", None, "connection: refused"),
        ("file:///etc/hostname", None, "scheme: file not allowed"),
        ("not a url", None, "invalid url: no scheme"),
        (None, None, "invalid url: not a string"),
    ]
    for url, directives, expected in cases:
        name, stream, failure = download_image_with_retry((url, url), 5, 1, None, directives)
        assert (name, failure) == (url, expected)
        assert (stream is None) == (expected is not None)
    with pytest.raises(OptionError, match="timeout"):
        download_image_with_retry((1, refused), -1, 0, None, None)


def downloader(folder: Path, sample_writer_class: Any, **changes: Any) -> Downloader:
    given: dict[str, Any] = {
        "sample_writer_class": sample_writer_class,
        "resizer": Resizer(64, "border", False),
        "thread_count": 4,
        "save_caption": True,
        "extract_exif": True,
        "output_folder": str(folder),
        "column_list": ["number", "caption", "url"],
        "timeout": 10,
        "number_sample_per_shard": 10,
        "oom_shard_count": 5,
        "compute_hash": "md5",
        "verify_hash_type": None,
        "encode_format": "jpg",
        "retries": 0,
        "user_agent_token": None,
        "disallowed_header_directives": None,
        **changes,
    }
    return Downloader(**given)


@pytest.mark.parametrize(
    ("sample_writer_class", "data"),
    [
        (writer.FilesSampleWriter, "00003/000030.jpg"),
        (writer.WebDatasetSampleWriter, "00003.tar"),
        (writer.ParquetSampleWriter, "00003.parquet"),
        (writer.TFRecordSampleWriter, "00003.tfrecord"),
        (writer.DummySampleWriter, "00003_stats.json"),
        ("files", "00003/000030.txt"),
    ],
)
def test_a_downloader_makes_a_shard_of_a_table(
    sample_writer_class: Any, data: str, image_server: ImageServer, tmp_path: Path
) -> None:
    url = image_server.put("/old/d.jpg", BODY)
    table = pa.table({"number": [1, 2], "caption": ["a", "b"], "url": [url, "http://127.0.0.1:1/x"]})
    feather.write_feather(table, tmp_path / "shard.feather")
    row = (3, str(tmp_path / "shard.feather"))
    assert downloader(tmp_path / "out", sample_writer_class)(row) == (True, row)
    assert (tmp_path / "out" / data).exists()
    stats = json.loads((tmp_path / "out" / "00003_stats.json").read_text())
    assert (stats["count"], stats["successes"], stats["failed_to_download"]) == (2, 1, 1)
    assert not (tmp_path / "shard.feather").exists()
    if sample_writer_class is writer.FilesSampleWriter:
        rows = rows_of(tmp_path / "out")
        assert [row["number"] for row in rows] == [1, 2]
        assert rows[0]["width"] == 64


def test_a_downloader_verifies_hashes_and_says_when_a_shard_could_not_be_made(
    image_server: ImageServer, tmp_path: Path
) -> None:
    table = pa.table({"url": [image_server.put("/old/e.jpg", BODY)], "md5": ["0" * 32]})
    feather.write_feather(table, tmp_path / "shard.feather")
    changes = {"column_list": ["md5", "url"], "verify_hash_type": "md5", "save_caption": False}
    worker = downloader(tmp_path / "out", writer.FilesSampleWriter, **changes)
    assert worker((0, str(tmp_path / "shard.feather")))[0]
    assert [row["error_message"] for row in rows_of(tmp_path / "out")] == ["hash mismatch"]
    assert worker((1, str(tmp_path / "absent.feather"))) == (False, (1, str(tmp_path / "absent.feather")))


def test_a_writer_is_a_name_for_downloaders() -> None:
    with pytest.raises(TypeError, match="for Downloader"):
        writer.FilesSampleWriter(0, "out", False, 5, None, "jpg")
