"""Without the C library every row is made, nearly the same, and the user is told what is missing.

What runs is a copy of the package that lacks the library, as installed where there was no C compiler.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import img2dataset
from img2dataset.imaging import ImageProcessor
from img2dataset.imaging.native import ABI, FILE, native_library
from img2dataset.options import ImageOptions
from tests.imaging.odd_files import psnr
from tests.imaging.test_native import library_of_abi
from tests.pictures import photograph
from tests.program.runs import read_dataset, run
from tests.servers import ImageServer

PICTURES = [
    photograph(1000, 700, 1, quality=85),
    photograph(1000, 700, 2, quality=85, progressive=True),
    photograph(460, 640, 3, quality=90, subsampling=0),
    photograph(2400, 1600, 4, quality=80, progressive=True),
    photograph(300, 200, 5, quality=95),
    photograph(500, 300, 6, image_format="PNG"),
    photograph(500, 400, 7, image_format="WEBP"),
]
LINE = "the C library of img2dataset is missing"

# Images of the pictures on standard input, and whether the package that made them has the library.
PROCESS = """
import pickle, sys
from img2dataset.imaging import ImageProcessor
from img2dataset.options import ImageOptions
from img2dataset.imaging.shrinking import can_shrink
pictures, settings = pickle.load(sys.stdin.buffer)
images = [bytes(ImageProcessor(settings)(picture).image) for picture in pictures]
pickle.dump((can_shrink(), images), sys.stdout.buffer)
"""

# An installation in place has a finder that comes before PYTHONPATH.
NOT_IN_PLACE = """
import sys
sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__name__ != "ScikitBuildInplaceFinder"]
"""

# The command line, and which heavy packages its own process has loaded at the end.
COMMAND_LINE = """
import json, sys
from img2dataset.cli import run_command
status = run_command(sys.argv[1:])
print(json.dumps([status, sorted({"cv2"} & set(sys.modules))]))
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PYTHONPATH."""
    folder = tmp_path_factory.mktemp("without-library")
    package = Path(img2dataset.__file__).parent
    shutil.copytree(package, folder / "img2dataset", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    (folder / "sitecustomize.py").write_text(NOT_IN_PLACE)
    return folder


@pytest.fixture(scope="module")
def addresses(image_server: ImageServer) -> list[str]:
    return [image_server.put(f"/without-library/{n}", picture) for n, picture in enumerate(PICTURES)]


def pixels(image: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(image)).convert("RGB"))


def assert_alike(made: list[bytes], expected: list[bytes]) -> None:
    for picture, one, other in zip(PICTURES, made, expected, strict=True):
        # JPEGs are shrunk in other steps: 46.3 dB at the least. Of other formats the pixels are the same.
        alike = 44 if picture.startswith(b"\xff\xd8") else 99
        assert psnr(pixels(one), pixels(other)) >= alike


def test_this_installation_has_the_library() -> None:
    assert native_library() is not None


@pytest.mark.parametrize("mode", ["border", "keep_ratio", "center_crop", "no"])
def test_the_processor_makes_nearly_the_same_images_without_it(copy: Path, mode: str) -> None:
    settings = ImageOptions(resize_mode=mode, exact_resize=False, encode_format="png", encode_quality=1)
    made = subprocess.run(
        [sys.executable, "-c", PROCESS],
        input=pickle.dumps((PICTURES, settings)),
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(copy)},
        cwd=copy,
        timeout=120,
    )
    has_library, images = pickle.loads(made.stdout)
    assert not has_library
    processor = ImageProcessor(settings)
    assert_alike(images, [bytes(processor(picture).image) for picture in PICTURES])


def test_a_run_without_it_makes_every_row_and_says_once_what_is_missing(
    copy: Path, tmp_path: Path, addresses: list[str]
) -> None:
    (tmp_path / "list.txt").write_text("\n".join(addresses))
    images = []
    environments = {
        "with": {},
        "without": {"PYTHONPATH": str(copy)},
        "switched off": {"IMG2DATASET_NATIVE": "0"},
    }
    for name, environment in environments.items():
        ended = run(
            url_list=tmp_path / "list.txt",
            output_folder=tmp_path / name,
            output_format="webdataset",
            encode_format="png",
            encode_quality=1,
            number_sample_per_shard=4,
            processes_count=2,
            environment=environment,
        )
        assert ended.returncode == 0, ended.stderr
        assert ended.stderr.count(LINE) == (name == "without")
        dataset = read_dataset(tmp_path / name)
        assert dataset.statuses() == Counter(success=len(PICTURES))
        images.append([dataset.images[key] for key in sorted(dataset.images)])
    assert_alike(images[1], images[0])
    assert images[2] == images[1] != images[0]


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc; on Debian: apt-get install gcc")
def test_a_run_with_a_library_of_another_version_says_so_once(
    copy: Path, tmp_path: Path, addresses: list[str]
) -> None:
    shutil.copytree(copy, tmp_path / "copy")
    library_of_abi(ABI + 1, tmp_path / "copy" / "img2dataset" / "imaging" / "native" / FILE.name)
    (tmp_path / "list.txt").write_text("\n".join(addresses))
    ended = run(
        url_list=tmp_path / "list.txt",
        output_folder=tmp_path / "out",
        processes_count=2,
        number_sample_per_shard=4,
        environment={"PYTHONPATH": str(tmp_path / "copy")},
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("the C library of img2dataset is of another version or another kind of") == 1
    assert read_dataset(tmp_path / "out").statuses() == Counter(success=len(PICTURES))


def test_a_switch_that_means_nothing_is_refused_in_a_line(tmp_path: Path, addresses: list[str]) -> None:
    (tmp_path / "list.txt").write_text(addresses[0])
    ended = run(
        url_list=tmp_path / "list.txt",
        output_folder=tmp_path / "out",
        environment={"IMG2DATASET_NATIVE": "off"},
    )
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert "IMG2DATASET_NATIVE is 'off'" in line


@pytest.mark.parametrize("untouched", [False, True])
def test_who_decodes_nothing_is_told_nothing_and_looking_loads_no_opencv(
    copy: Path, tmp_path: Path, addresses: list[str], untouched: bool
) -> None:
    (tmp_path / "list.txt").write_text(addresses[0])
    options = {
        "url_list": tmp_path / "list.txt",
        "output_folder": tmp_path / "out",
        "processes_count": 1,
        "disable_all_reencoding": untouched,
    }
    words = [f"--{name}={value}" for name, value in options.items()]
    ended = subprocess.run(
        [sys.executable, "-c", COMMAND_LINE, *words],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(copy)},
        cwd=copy,
        timeout=120,
    )
    assert json.loads(ended.stdout.splitlines()[-1]) == [0, []]
    lines = [line for line in ended.stderr.splitlines() if LINE in line]
    if untouched:
        assert lines == []
    else:
        (line,) = lines
        assert line.startswith("WARNING: ")
        assert "install a C compiler" in line
        assert line.endswith(
            "pip install --force-reinstall --no-deps --no-cache-dir . (in a clone of img2dataset)"
        )
