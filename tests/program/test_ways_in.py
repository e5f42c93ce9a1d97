"""Every door through which 1.47.0 was entered is there: modules, functions, lists without rows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.program.contract import Maker, files
from tests.program.runs import run

MAIN_CALLS = (
    "import img2dataset; img2dataset.main()",
    "from img2dataset import main; main()",
    "from img2dataset.main import main; main()",
    "import img2dataset.main; img2dataset.main()",
    "import img2dataset.main; img2dataset.main.main()",
    "from img2dataset.cli import main; main()",
)
DOWNLOAD_CALLS = (
    "from img2dataset import download; download(*sys.argv[1:])",
    "from img2dataset.main import download; download(*sys.argv[1:])",
    "import img2dataset; img2dataset.download(*sys.argv[1:])",
    "import img2dataset; img2dataset.main.download(*sys.argv[1:])",
    "import img2dataset.main; img2dataset.main.download(*sys.argv[1:])",
    "import img2dataset.main as main; main.download(*sys.argv[1:])",
)


@pytest.mark.parametrize(
    "entrance",
    [
        *(["-c", f"import sys; {call}; print('after')"] for call in (*MAIN_CALLS, *DOWNLOAD_CALLS)),
        ["-m", "img2dataset"],
        ["-m", "img2dataset.main"],
    ],
    ids=" ".join,
)
def test_every_entrance_makes_the_dataset(entrance: list[str], make: Maker, tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_text(make.addresses[0] + "\n")
    command = [sys.executable, *entrance, str(tmp_path / "l.txt"), "64", str(tmp_path / "out"), "1"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    assert len(files(tmp_path / "out")) == 1
    # As with 1.47.0, a script that has called main goes on.
    assert entrance[0] == "-m" or result.stdout.splitlines()[-1] == "after"


@pytest.mark.parametrize("call", MAIN_CALLS)
def test_main_ends_a_script_whose_options_are_wrong(call: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", f"{call}; print('after')", str(tmp_path / "absent.txt"), "tiny"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (result.returncode, result.stdout) == (2, "")


def test_modules_that_were_loaded_with_the_package_are_there_without_an_import() -> None:
    code = "import img2dataset as i; i.blurrer.BoundingBoxBlurrer, i.resizer.Resizer, i.downloader.Downloader"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(
    ("input_format", "text"),
    [("txt", ""), ("txt", "\n"), ("csv", "url,caption\n"), ("json", "[]"), ("jsonl", "")],
)
def test_a_list_without_rows_is_a_warning_and_no_failure(
    input_format: str, text: str, tmp_path: Path
) -> None:
    (tmp_path / "list").write_text(text)
    result = run(url_list=tmp_path / "list", input_format=input_format, output_folder=tmp_path / "out")
    assert result.returncode == 0, result.stderr
    assert "has no rows" in result.stderr
    assert "0 rows in 0 shards" in result.stdout
