"""Options kept in a YAML file."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from img2dataset.errors import OptionError
from img2dataset.options import Options, read_config, resolve, shown_config
from tests.program.runs import COMMAND


def _text(path: str) -> str:
    return Path(path).read_text()


def test_what_is_shown_reads_back_as_the_same_options(tmp_path: Path) -> None:
    options = resolve(
        {
            "url_list": "list.parquet",
            "input_format": "parquet",
            "max_image_area": 1e6,
            "save_additional_columns": ["a", "b"],
            "verify_hash": ["sha256", "sha256"],
            "caption_col": "ünïcode: text",
            "resize_only_if_bigger": True,
        }
    )
    (tmp_path / "run.yaml").write_text(shown_config(options))
    assert resolve(read_config(str(tmp_path / "run.yaml"), _text)) == options
    assert isinstance(options, Options)


def test_the_command_line_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("url_list: list.txt\nimage_size: 128\ntimeout: 3\n")
    words = [COMMAND, "--config", str(tmp_path / "run.yaml"), "--image_size", "64", "--print_config"]
    shown = subprocess.run(words, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert "image_size: 64" in shown.stdout
    assert "timeout: 3.0" in shown.stdout
    assert "resize_mode: border" in shown.stdout


def test_a_number_with_an_exponent_is_a_number(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("url_list: a\nmax_image_area: 1e6\nnumber_sample_per_shard: 1e4\n")
    options = resolve(read_config(str(tmp_path / "run.yaml"), _text))
    assert (options.max_image_area, options.number_sample_per_shard) == (1e6, 10000)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a: b: c", "line 1"),
        ("- url_list", "option: value"),
        ("image_sise: 3", "image_sise"),
        ("just text", "holds no"),
    ],
)
def test_a_file_that_holds_no_options_is_said(text: str, part: str, tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(text)
    with pytest.raises(OptionError, match=part):
        read_config(str(tmp_path / "run.yaml"), _text)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="cannot be read"):
        read_config(str(tmp_path / "absent.yaml"), _text)
