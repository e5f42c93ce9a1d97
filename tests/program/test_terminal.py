"""What strangers write into lists and folders does not reach the terminal as they wrote it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from img2dataset.manifest import MANIFEST_NAME
from img2dataset.printable import printable
from tests.program.runs import COMMAND, run, serve_photographs, write_list
from tests.servers import ImageServer

EVIL = "\x1b]0;owned\x07\x1b[31m\x9b2J\u202egpj"


def assert_harmless(*texts: str) -> None:
    for text in texts:
        assert not set(text) & set("\x1b\x07\x9b\u202e"), repr(text)
        assert "Traceback" not in text


def command(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, *words], capture_output=True, text=True, timeout=120, **options)


@pytest.fixture
def options(image_server: ImageServer, tmp_path: Path) -> dict[str, Any]:
    return {
        "url_list": write_list(tmp_path / "list.txt", serve_photographs(image_server, 2), 5),
        "output_folder": tmp_path / "out",
        "output_format": "webdataset",
    }


def test_the_names_of_columns(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(f"{EVIL},b\n1,2\n")
    result = run(url_list=tmp_path / "list.csv", input_format="csv", output_folder=tmp_path / "out")
    assert result.returncode == 1
    assert "\\x1b]0;owned" in result.stderr
    assert_harmless(result.stdout, result.stderr)


def test_the_names_of_lists_and_folders(tmp_path: Path, image_server: ImageServer) -> None:
    folder = tmp_path / f"out{EVIL}"
    url_list = write_list(tmp_path / f"{EVIL}.txt", serve_photographs(image_server, 2), 5)
    result = run(url_list=url_list, output_folder=folder)
    assert result.returncode == 0
    missing = run(url_list=f"{url_list}x", output_folder=folder)
    assert missing.returncode == 1
    report = command("verify", str(folder))
    assert_harmless(result.stdout, result.stderr, missing.stderr, report.stdout, report.stderr)


def test_names_that_are_no_text(tmp_path: Path) -> None:
    url_list = os.fsdecode(os.fsencode(tmp_path) + b"/l\xff.txt")
    result = run(url_list=url_list, output_folder=tmp_path / "out")
    assert result.returncode == 1
    assert_harmless(result.stdout, result.stderr)


def test_the_record_and_the_files_of_a_strange_folder(options: dict[str, Any]) -> None:
    assert run(**options).returncode == 0
    path = options["output_folder"] / MANIFEST_NAME
    document = json.loads(path.read_text())
    document["runs"][0]["options"]["caption_col"] = EVIL
    path.write_text(json.dumps(document))
    (options["output_folder"] / f"{EVIL}.txt").write_text("")
    result = run(**options)
    assert result.returncode == 1
    assert "--caption_col was" in result.stderr
    report = command("verify", str(options["output_folder"]))
    assert "not looked at" in report.stdout
    path.write_text(json.dumps({**document, "runs": [{**document["runs"][0], EVIL: 1}]}))
    refused = run(**options)
    assert refused.returncode == 1
    assert_harmless(result.stderr, report.stdout, report.stderr, refused.stderr)


LIBRARY = """
import logging, sys
from img2dataset import download
from img2dataset.errors import Img2datasetError
logging.getLogger("img2dataset").warning("a column is named %s", sys.argv[2])
try:
    download(url_list=sys.argv[1], input_format="csv", output_folder=sys.argv[3])
except Img2datasetError as error:
    print(error)
"""


def test_logs_and_errors_of_the_library(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(f"{EVIL},b\n1,2\n")
    words = [sys.executable, "-c", LIBRARY, str(tmp_path / "list.csv"), EVIL, str(tmp_path / "out")]
    result = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    assert "\\x1b]0;owned" in result.stdout
    assert "\\x1b]0;owned" in result.stderr
    assert_harmless(result.stdout, result.stderr)


_BIDI_CONTROLS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 漢字 🙂\tx\ny", "plain é 漢字 🙂\tx\ny"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\rb", "a\\rb"),
        ("\x00\x7f\x85", "\\x00\\x7f\\x85"),
        ("\udcff", "\\udcff"),
        ("\u202e\u2066", "\\u202e\\u2066"),
        # All that Unicode has of Bidi_Control.
        *((control, f"\\u{ord(control):04x}") for control in _BIDI_CONTROLS),
    ],
)
def test_what_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown
