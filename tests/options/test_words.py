"""The words of a command line are read by Python Fire's rules, and a forgotten value is told."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from img2dataset.errors import OptionError
from img2dataset.options import POSITIONS, option_specs, read_words
from tests.program.runs import COMMAND


@pytest.mark.parametrize(
    ("line", "texts"),
    [
        ("--image_size 300", {"image_size": "300"}),
        ("--image_size=300", {"image_size": "300"}),
        ("-image_size 300", {"image_size": "300"}),
        ("-image_size=300", {"image_size": "300"}),
        ("--image-size 300", {"image_size": "300"}),
        ("--image-size=a-b=c", {"image_size": "a-b=c"}),
        ("--image_size 1 --image_size 2", {"image_size": "2"}),
        ("--skip_reencode", {"skip_reencode": "True"}),
        ("--skip_reencode --image_size 3", {"skip_reencode": "True", "image_size": "3"}),
        ("--skip-reencode false", {"skip_reencode": "false"}),
        ("--noextract_exif", {"extract_exif": "False"}),
        ("--no-extract-exif a", {"extract_exif": "False", "url_list": "a"}),
        ("-p 4 -n 10", {"processes_count": "4", "number_sample_per_shard": "10"}),
        ("-p=4", {"processes_count": "4"}),
        ("-b boxes -w project", {"bbox_col": "boxes", "wandb_project": "project"}),
        ("--timeout -5", {"timeout": "-5"}),
        ("a 300 out", {"url_list": "a", "image_size": "300", "output_folder": "out"}),
        ("--image_size 300 a out", {"image_size": "300", "url_list": "a", "output_folder": "out"}),
        ("a --output_folder o 3", {"url_list": "a", "output_folder": "o", "image_size": "3"}),
        ("a --", {"url_list": "a"}),
    ],
)  # fmt: skip
def test_words_are_read_as_fire_reads_them(line: str, texts: dict[str, str]) -> None:
    assert read_words(line.split()).texts == texts


@pytest.mark.parametrize("name", [name for name, spec in option_specs().items() if spec.kind != "boolean"])
@pytest.mark.parametrize("words", [["--{}"], ["--{}", "--skip_reencode"], ["--{}="], ["--{}", ""], ["-{}"]])
def test_a_forgotten_value_is_refused_for_every_option_that_needs_one(name: str, words: list[str]) -> None:
    with pytest.raises(OptionError, match=f"^--{name} stands without a value"):
        read_words([word.format(name) for word in words])


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("-i 5", "--image_size, --input_format, --incremental_mode"),
        ("-q 5", "-q is not an option"),
        ("a - b", "'-' stands alone"),
        ("a -- --verbose", "'--' stands alone"),
        ("--noextract_exif=True", "takes no value"),
        ("--noextract_exif True", "takes no value"),
        ("--config", "--config stands without a value"),
        (" ".join("x" * (len(POSITIONS) + 1)), "no option left"),
    ],
)
def test_words_that_cannot_be_read_are_said(line: str, part: str) -> None:
    with pytest.raises(OptionError) as refusal:
        read_words(line.split())
    assert part in str(refusal.value)


@pytest.mark.parametrize(
    "line", ["--help", "-h", "-- --help", "a.txt --help", "--url_list a.txt -- -h", "--output_folder --help"]
)
def test_help_is_shown_wherever_it_is_asked_for(line: str, tmp_path: Path) -> None:
    shown = subprocess.run([COMMAND, *line.split()], capture_output=True, text=True, cwd=tmp_path)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "--image_size " in shown.stdout
    assert not list(tmp_path.iterdir())


def test_help_all_is_shown_wherever_it_is_asked_for() -> None:
    shown = subprocess.run([COMMAND, "a.txt", "--help_all"], capture_output=True, text=True)
    assert "--dns_servers " in shown.stdout
