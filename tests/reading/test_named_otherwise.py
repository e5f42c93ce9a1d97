"""A list that is named as one of columns and read as one of lines is told of before the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from img2dataset.options import resolve
from img2dataset.reading import open_reader


@pytest.mark.parametrize(
    ("name", "input_format", "told"),
    [
        ("list.csv", "txt", "--input_format csv"),
        ("list.tsv", "txt", "--input_format tsv"),
        ("list.jsonl", "txt", "--input_format jsonl"),
        ("list.txt", "txt", None),
        ("list", "txt", None),
        ("list.urls", "txt", None),
        ("list.csv", "csv", None),
    ],
)
def test_what_the_name_says(
    name: str, input_format: str, told: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / name).write_text("url\nhttp://127.0.0.1:9/a.jpg\n")
    open_reader(resolve({"url_list": str(tmp_path / name), "input_format": input_format}), 10)
    assert [told for record in caplog.records if told and told in record.getMessage()] == (
        [told] if told else []
    )
    assert told or not caplog.records
