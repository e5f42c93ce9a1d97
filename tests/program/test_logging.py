"""--log_level and --log_format say what stands on standard error; libraries never stand between."""

from __future__ import annotations

import io
import json
import logging
import random
import signal
import socket
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from img2dataset.log_output import set_up_logging
from img2dataset.options.logs import LogSettings
from tests.pictures import photograph
from tests.program.runs import run, serve_photographs, start, write_list
from tests.servers import ImageServer


def said(tmp_path: Path, server: ImageServer, **options: Any) -> str:
    urls = write_list(tmp_path / "list.txt", serve_photographs(server, 2), 6)
    # Stands behind a shard's option that is set aside with a warning, and so is one.
    usual = {
        "url_list": urls,
        "output_folder": tmp_path / "out",
        "processes_count": 1,
        "distributor_config": "a=b",
    }
    result = run(**usual, **options)
    assert result.returncode == 0, result.stderr
    return result.stderr


def test_each_line_is_an_object_where_json_is_asked_for(tmp_path: Path, image_server: ImageServer) -> None:
    lines = [
        json.loads(line)
        for line in said(tmp_path, image_server, log_format="json", log_level="info").splitlines()
    ]
    records = [line for line in lines if "level" in line]
    assert {record["level"] for record in records} == {"info", "warning"}
    assert [record for record in records if "6 rows in 1 shard" in record["message"]]
    assert all(abs(record["time"] - records[0]["time"]) < 300 for record in records)
    assert lines[-1]["event"] == "end"


def test_the_progress_is_an_object_too(tmp_path: Path, image_server: ImageServer) -> None:
    urls = write_list(tmp_path / "list.txt", serve_photographs(image_server, 2), 60)
    result = run(
        url_list=urls,
        output_folder=tmp_path / "out",
        processes_count=1,
        log_format="json",
        max_requests_per_second_per_host=6,
    )
    *others, end = [json.loads(line) for line in result.stderr.splitlines()]
    # On a slow machine the report takes long enough to be told of.
    assert {line["event"] for line in others} <= {"progress", "reporting", "work"}
    progress = [line for line in others if line["event"] == "progress"]
    assert progress
    assert (end["event"], end["exit_status"], end["shards"]) == ("end", 0, 1)
    assert end["rows"] == {"success": 60, "failed_to_download": 0, "failed_to_resize": 0}
    assert Path(end["report"]).is_file()
    assert all(0 <= line["rows"].get("success", 0) <= 60 for line in progress)
    assert progress[-1]["rows"]["success"] > 0


def test_what_is_no_record_is_an_object_too(tmp_path: Path, image_server: ImageServer) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        text = said(tmp_path, image_server, log_format="json", dashboard=True, dashboard_port=port)
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line for line in lines if f"port {port} is taken" in line.get("message", "")]
    page = next(line for line in lines if line.get("event") == "page")
    assert page["url"].startswith("http://127.0.0.1:")
    wrong = run(url_list=tmp_path / "none.txt", output_folder=tmp_path / "none", log_format="json")
    error = json.loads(wrong.stderr)
    assert error["event"] == "error"
    assert "none.txt" in error["message"]


def test_a_stop_is_an_object_too(tmp_path: Path, image_server: ImageServer) -> None:
    urls = write_list(tmp_path / "list.txt", serve_photographs(image_server, 2), 600)
    process = start(
        url_list=urls,
        output_folder=tmp_path / "out",
        processes_count=1,
        log_format="json",
        max_requests_per_second_per_host=6,
    )
    assert process.stderr is not None
    first = json.loads(process.stderr.readline())
    process.send_signal(signal.SIGINT)
    lines = [first, *map(json.loads, process.communicate(timeout=240)[1].splitlines())]
    events = [line["event"] for line in lines if line["event"] != "progress"]
    # On a slow machine the report takes long enough to be told of.
    assert [event for event in events if event != "reporting"] == ["stopping", "end", "stopped"]
    assert process.returncode == lines[-1]["exit_status"] == 130


@pytest.mark.parametrize(
    ("level", "has_info"), [("debug", True), ("info", True), ("warning", False), ("error", False)]
)
def test_the_level_says_how_much_is_logged(
    level: str, has_info: bool, tmp_path: Path, image_server: ImageServer
) -> None:
    assert ("INFO: 6 rows in 1 shard" in said(tmp_path, image_server, log_level=level)) is has_info


def test_handlers_of_others_are_left_alone_unless_it_is_asked_for() -> None:
    logger = logging.getLogger("img2dataset")
    before = list(logger.handlers)
    set_up_logging(LogSettings())
    assert (logger.handlers, logger.propagate, logger.level) == (before, True, logging.NOTSET)
    set_up_logging(LogSettings("info", "json"))
    set_up_logging(LogSettings("debug"))
    assert len(logger.handlers) == len(before) + 1
    assert logger.level == logging.DEBUG
    set_up_logging(LogSettings())
    assert (logger.handlers, logger.propagate, logger.level) == (before, True, logging.NOTSET)


def broken_images() -> list[bytes]:
    """Images of every kind, cut short or with wrong bytes in them, as the decoders complain of."""
    chance = random.Random(3)
    image = Image.open(io.BytesIO(photograph(200, 150, seed=1))).convert("RGB")
    whole = []
    for name, options in (
        *(("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {}), ("WEBP", {}), ("GIF", {}), ("BMP", {})),
        *(("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("TIFF", {"compression": "jpeg"})),
        *(("PPM", {}), ("JPEG2000", {})),
    ):
        file = io.BytesIO()
        image.save(file, name, **options)
        whole.append(file.getvalue())
    broken = []
    for body in whole:
        broken += [body[: chance.randrange(20, len(body))] for _ in range(3)]
        for end in (len(body), len(body), 300, 300):
            wrong = bytearray(body)
            for _ in range(5):
                wrong[chance.randrange(4, min(end, len(wrong)))] = chance.randrange(256)
            broken.append(bytes(wrong))
    return broken


@pytest.mark.parametrize("resize_mode", ["border", "no"])
def test_libraries_say_nothing_about_broken_images(
    resize_mode: str, tmp_path: Path, image_server: ImageServer
) -> None:
    urls = [image_server.put(f"/broken/{n}", body) for n, body in enumerate(broken_images())]
    (tmp_path / "list.txt").write_text("\n".join(urls))
    result = run(
        url_list=tmp_path / "list.txt",
        output_folder=tmp_path / "out",
        resize_mode=resize_mode,
        processes_count=1,
    )
    assert result.returncode == 0
    assert [line for line in result.stderr.splitlines() if not line.startswith("img2dataset: ")] == []
