"""A package that an option needs and that is not installed is named before a run begins, and once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.program.runs import words
from tests.servers import ImageServer

# What the command line runs, where Python cannot find the package named first.
WITHOUT = "import sys; sys.modules[sys.argv.pop(1)] = None; import img2dataset.cli; img2dataset.cli.main()"


@pytest.mark.parametrize(
    ("package", "options", "named", "way_out"),
    [
        ("google_crc32c", {"output_format": "tfrecord"}, "tfrecord", "pip install 'google-crc32c>=1.5'"),
        ("s3fs", {"output_folder": "s3://bucket/out"}, "s3://bucket/out", "pip install 's3fs>=2024.2'"),
        ("gcsfs", {"output_folder": "gs://bucket/out"}, "gs://bucket/out", "pip install 'gcsfs>=2024.2'"),
        ("adlfs", {"output_folder": "az://bucket/out"}, "az://bucket/out", "pip install adlfs"),
        ("s3fs", {"url_list": "s3://bucket/list.txt"}, "s3://bucket/list.txt", "pip install 's3fs>=2024.2'"),
        (
            "gcsfs",
            {"url_list": "gs://bucket/list.txt"},
            "gs://bucket/list.txt",
            "pip install 'gcsfs>=2024.2'",
        ),
        (
            "huggingface_hub",
            {"url_list": "hf://datasets/a/b/list.txt"},
            "hf://",
            "pip install huggingface_hub",
        ),
        (
            "cryptography",
            {"sign_requests": "key.pem", "signature_agent": "https://bot.example"},
            "--sign_requests",
            "pip install 'cryptography>=41'",
        ),
        ("s3fs", {"allow_schemes": "[s3]"}, "allow_schemes has 's3'", "s3fs"),
        ("huggingface_hub", {"allow_schemes": "[hf]"}, "allow_schemes has 'hf'", "huggingface_hub"),
    ],
)
def test_it_is_named_with_the_way_to_install_it_and_nothing_is_begun(
    package: str,
    options: dict[str, object],
    named: str,
    way_out: str,
    tmp_path: Path,
    image_server: ImageServer,
) -> None:
    path = f"/missing-packages/{package}-{'-'.join(options)}.jpg"
    (tmp_path / "list.txt").write_text(image_server.put(path, b"never asked for") + "\n")
    given = {"url_list": tmp_path / "list.txt", "output_folder": tmp_path / "out", **options}
    command = [sys.executable, "-c", WITHOUT, package, *words(given)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.returncode == 1
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("img2dataset: ")
    assert named in line
    assert "pip install" in line
    assert way_out in line
    assert "img2dataset[" not in line  # by that name pip finds 1.47.0 until the release
    assert not (tmp_path / "out").exists()
    assert image_server.count(path) == 0
