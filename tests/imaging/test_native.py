"""The C library and the package agree on an interface by a number; a variable switches the library off."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from img2dataset.errors import OptionError
from img2dataset.imaging import missing_library
from img2dataset.imaging.native import ABI, FILE, JpegRequest, PngRequest, load
from img2dataset.options import ImageOptions

SOURCES = FILE.parent
REQUESTS = {"jpeg_request": JpegRequest, "png_request": PngRequest}
needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc; on Debian: apt-get install gcc")

OTHER_LIBRARY = """
int native_abi(void) { return NUMBER; }
int shrink_jpeg(const void *asked) { return asked == 0; }
int unfilter_png(const void *asked) { return asked == 0; }
"""
USED = """
from img2dataset.imaging.native import native_library
print(native_library() is not None)
"""


def library_of_abi(number: int, file: Path) -> Path:
    source = file.with_suffix(".c")
    source.write_text(OTHER_LIBRARY.replace("NUMBER", str(number)))
    subprocess.run(["gcc", "-shared", "-fPIC", str(source), "-o", str(file)], check=True, timeout=240)
    return file


@needs_gcc
def test_the_structs_of_the_package_are_those_of_the_library(tmp_path: Path) -> None:
    lines = ['printf("abi %d\\n", NATIVE_ABI);']
    expected = {"abi": ABI}
    for name, request in REQUESTS.items():
        lines.append(f'printf("{name} %zu\\n", sizeof({name}));')
        expected[name] = ctypes.sizeof(request)
        for field, _ in request._fields_:
            # Where it lies and how large it is, as one number.
            place = f"offsetof({name}, {field}) * 100 + sizeof((({name} *)0)->{field})"
            lines.append(f'printf("{name}.{field} %zu\\n", {place});')
            described = getattr(request, field)
            expected[f"{name}.{field}"] = described.offset * 100 + described.size
    program = tmp_path / "layout.c"
    program.write_text(
        '#include <stdio.h>\n#include "interface.h"\nint main(void) {\n' + "\n".join(lines) + "\n}\n"
    )
    subprocess.run(["gcc", f"-I{SOURCES}", str(program), "-o", str(tmp_path / "layout")], check=True)
    said = subprocess.run([str(tmp_path / "layout")], capture_output=True, text=True, check=True).stdout
    assert {name: int(number) for name, number in map(str.split, said.splitlines())} == expected


@needs_gcc
@pytest.mark.parametrize("difference", [-1, 0, 1])
def test_a_library_of_another_number_is_not_used(difference: int, tmp_path: Path) -> None:
    library = load(library_of_abi(ABI + difference, tmp_path / "other.so"))
    assert (library is not None) == (difference == 0)


@needs_gcc
def test_nor_is_one_that_says_no_number_or_is_no_library(tmp_path: Path) -> None:
    source = tmp_path / "old.c"
    source.write_text("int shrink_jpeg(void) { return 0; }\nint unfilter_png(void) { return 0; }\n")
    subprocess.run(["gcc", "-shared", "-fPIC", str(source), "-o", str(tmp_path / "old.so")], check=True)
    assert load(tmp_path / "old.so") is None
    (tmp_path / "text.so").write_text("no library")
    assert load(tmp_path / "text.so") is None
    assert load(tmp_path / "missing.so") is None


@pytest.mark.parametrize(("value", "used"), [("0", False), ("1", True), ("", True)])
def test_the_switch_does_without_the_library(value: str, used: bool) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", USED],
        env={**os.environ, "IMG2DATASET_NATIVE": value},
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    assert ended.stdout.split() == [str(used)]


def test_who_switches_it_off_is_told_nothing_and_a_value_that_means_nothing_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The package's name is the function's.
    module = sys.modules["img2dataset.imaging.missing_library"]
    monkeypatch.setattr(module, "native_library", lambda: None)
    assert missing_library(ImageOptions()) is not None
    monkeypatch.setenv("IMG2DATASET_NATIVE", "0")
    assert missing_library(ImageOptions()) is None
    for value in ("off", "false", "2", " 0"):
        monkeypatch.setenv("IMG2DATASET_NATIVE", value)
        with pytest.raises(OptionError, match=f"IMG2DATASET_NATIVE is {value!r}: 0 decodes images without"):
            missing_library(ImageOptions())
