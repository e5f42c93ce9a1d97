"""A message about a mistake names the option that mends it, as it is typed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.program.runs import run


@pytest.mark.parametrize(
    ("text", "options", "parts"),
    [
        ("url;text\nhttp://a;b\n", {}, ["--input_delimiter ';'"]),
        ("url|text\nhttp://a|b\n", {}, ["--input_delimiter '|'"]),
        ("url\ttext\nhttp://a\tb\n", {}, ["--input_delimiter '\\t'"]),
        ("url,text\nhttp://a,b\n", {"input_format": "tsv"}, ["--input_delimiter ','"]),
        ("http://a/1.jpg,a cat\nhttp://a/2.jpg,a dog\n", {}, ["--input_columns '[url,column1]'"]),
        ("a cat,http://a/1.jpg\n", {}, ["--input_columns '[column0,url]'"]),
        ('url,text\nhttp://a,"b\nhttp://c,d\n', {"caption_col": "text"}, ["--input_quote None"]),
    ],
)
def test_a_list_that_is_read_wrongly_names_its_option(
    text: str, options: dict[str, Any], parts: list[str], tmp_path: Path
) -> None:
    (tmp_path / "l.csv").write_text(text)
    given = {"url_list": tmp_path / "l.csv", "input_format": "csv", "output_folder": tmp_path / "out"}
    result = run(**{**given, **options, "timeout": 1})
    assert result.returncode == 1
    for part in parts:
        assert part in result.stdout + result.stderr


def test_a_list_that_has_grown_names_new_only(tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_text("http://127.0.0.1:1/a.jpg\n")
    given = {"url_list": tmp_path / "l.txt", "output_folder": tmp_path / "out", "processes_count": 1}
    assert run(**given).returncode == 0
    (tmp_path / "l.txt").write_text("http://127.0.0.1:1/a.jpg\nhttp://127.0.0.1:1/b.jpg\n")
    grown = run(**given)
    assert grown.returncode == 1
    assert "--incremental_mode new_only" in grown.stderr
    assert run(**given, incremental_mode="new_only").returncode == 0


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"ca_bundle": "absent.pem"}, "absent.pem"),
        ({"environment": {"SSL_CERT_FILE": "/absent.pem"}}, "SSL_CERT_FILE names '/absent.pem'"),
    ],
)
def test_certificates_that_are_not_there_are_missed_before_anything_is_made(
    options: dict[str, Any], part: str, tmp_path: Path
) -> None:
    (tmp_path / "l.txt").write_text("http://127.0.0.1:1/a.jpg\n")
    result = run(url_list=tmp_path / "l.txt", output_folder=tmp_path / "out", **options)
    assert result.returncode == 2
    assert part in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()
