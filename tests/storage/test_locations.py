"""A path on any file system, and the package it needs: one table for lists, outputs, images and training."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest

import img2dataset
from img2dataset.errors import InputError, MissingDependency, OutputError
from img2dataset.storage.locations import locate
from img2dataset.storage.schemes import schemes_of

PACKAGE = Path(img2dataset.__file__).parent
# The module of each scheme's package, and what installs it.
PACKAGES = {
    "s3": ("s3fs", "pip install 's3fs>=2024.2'"),
    "s3a": ("s3fs", "pip install 's3fs>=2024.2'"),
    "gs": ("gcsfs", "pip install 'gcsfs>=2024.2'"),
    "gcs": ("gcsfs", "pip install 'gcsfs>=2024.2'"),
    "az": ("adlfs", "pip install adlfs"),
    "abfs": ("adlfs", "pip install adlfs"),
    "adl": ("adlfs", "pip install adlfs"),
    "hf": ("huggingface_hub", "pip install huggingface_hub"),
}
# Every way in: its calls, whose errors are printed.
WAYS_IN = """
import sys
for module in ("s3fs", "gcsfs", "adlfs", "huggingface_hub"):
    sys.modules[module] = None
from img2dataset.errors import MissingDependency
from img2dataset.fetching import check_schemes
from img2dataset.options import ImageOptions, InputOptions
from img2dataset.reading import open_reader
from img2dataset.training.data.shard_folder import FinishedShards
from img2dataset.verifying import verify
from img2dataset.formats.settings import WriteSettings
from img2dataset.working.output_folder import OutputFolder

def output_folder(path):
    OutputFolder(
        WriteSettings(output_folder=path, image=ImageOptions(), save_captions=False, run_id="x")
    )

for scheme in sys.argv[1:]:
    path = f"{scheme}://place/name"
    for way_in, given in (
        (output_folder, path),
        (verify, path),
        (FinishedShards, path),
        (lambda path: open_reader(InputOptions(url_list=path), 10_000), path),
        (lambda path: open_reader(InputOptions(url_list=path), 10_000), "simplecache::" + path),
        (check_schemes, [scheme]),
    ):
        try:
            way_in(given)
        except MissingDependency as error:
            print(error)
"""


def test_every_way_in_names_the_package_of_every_scheme() -> None:
    command = [sys.executable, "-c", WAYS_IN, *PACKAGES]
    result = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert result.returncode == 0, result.stderr
    lines = iter(result.stdout.splitlines())
    for scheme, (_, way_out) in PACKAGES.items():
        for _ in range(6):
            line = next(lines)
            assert scheme in line
            assert line.endswith(way_out)
    assert list(lines) == []


def test_a_scheme_without_an_extra_has_the_words_of_fsspec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dropboxdrivefs", None)
    with pytest.raises(MissingDependency, match=r"folder 'dropbox://a': the package for dropbox://.*dropbox"):
        locate("dropbox://a", "folder", InputError)


@pytest.mark.parametrize("error_class", [InputError, OutputError])
def test_a_path_that_cannot_be_opened_is_the_callers_error(error_class: type[InputError]) -> None:
    with pytest.raises(error_class, match=r"^list 'zzz://a': no file system .* zzz://"):
        locate("zzz://a", "list", error_class)


@pytest.mark.parametrize(
    ("path", "way_out"),
    [
        ("foo://bucket/list.txt", "foo://; .* s3://, gs://, az://, hf:// or https://"),
        ("htps://host/list.txt", "htps://; .* begins with https://"),
        ("zip://list.txt::s3x://bucket/lists.zip", "s3x://; .* begins with s3"),
    ],
)
def test_an_unknown_scheme_is_told_with_those_it_may_be(path: str, way_out: str) -> None:
    with pytest.raises(InputError, match=f"no file system is known for {way_out}"):
        locate(path, "url_list", InputError)


@pytest.mark.parametrize(
    ("path", "schemes"),
    [
        ("s3://bucket/name", ["s3"]),
        ("simplecache::s3://bucket/name", ["s3"]),
        ("zip://a.txt::gs://bucket/name.zip", ["zip", "gs"]),
        ("folder/name", ["file"]),
        ("odd::name", ["file"]),
    ],
)
def test_the_schemes_of_a_path(path: str, schemes: list[str]) -> None:
    assert schemes_of(path) == schemes


def test_a_location_says_what_its_file_system_promises(tmp_path: Path) -> None:
    local = locate(str(tmp_path) + "/", "folder", OutputError)
    assert (local.is_local, local.has_buckets, local.shows_partial_files) == (True, False, False)
    assert (local.path, local.name) == (str(tmp_path), str(tmp_path) + "/")
    memory = locate("memory://a/b", "folder", OutputError)
    assert (memory.is_local, memory.has_buckets, memory.shows_partial_files) == (False, False, False)
    assert memory.file_system is fsspec.filesystem("memory")


def test_one_file_asks_fsspec_which_file_system_a_path_is_on() -> None:
    asking = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in ("url_to_fs", "filesystem", "open_files"):
                asking.add(str(path.relative_to(PACKAGE)))
            if isinstance(node, ast.Attribute) and ast.unparse(node) == "fsspec.open":
                asking.add(str(path.relative_to(PACKAGE)))
    assert asking == {"storage/locations.py"}
