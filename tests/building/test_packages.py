"""What a build makes of the sources: the library in the wheel, its sources in the source distribution.

The backend is called as pip calls it, with the compilers of this machine or none, and nothing is fetched:
CMake and ninja are among the dev packages.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NATIVE = ROOT / "img2dataset" / "imaging" / "native"
PARTS = ("img2dataset", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md")
CALL = """
import json, sys
from scikit_build_core import build as backend
print(json.dumps(getattr(backend, sys.argv[1])(*sys.argv[2:])))
"""

# What an installation in place has left in this clone.
LEFT = shutil.ignore_patterns(
    "*.so", "__pycache__", ".*", "CMakeC*", "CMakeF*", "CMakeI*", "cmake_install.cmake", "build.ninja"
)
# What a build without a compiler says.
WITHOUT = "img2dataset is built without its C library"
COMPILER = shutil.which("gcc") or shutil.which("clang")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C compiler; on Debian: apt-get install gcc")


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """The sources alone, as in a fresh clone."""
    folder = tmp_path / "sources"
    folder.mkdir()
    for name in PARTS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=LEFT)
        else:
            shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture
def no_compiler(tmp_path: Path) -> dict[str, str]:
    """What makes an environment one without a compiler."""
    folder = tmp_path / "nothing"
    folder.mkdir()
    # CMake and ninja are there all the same: pip fetches them where they are missing.
    for name in ("cmake", "ninja"):
        (folder / name).symlink_to(str(shutil.which(name)))
    return {"PATH": str(folder), "CC": ""}


@pytest.fixture
def quick_compiler(tmp_path: Path) -> dict[str, str]:
    """What makes an environment one with a compiler that optimizes nothing, which takes most of a build."""
    compiler = tmp_path / "quick-compiler"
    compiler.write_text(f'#!/bin/sh\nexec {COMPILER} "$@" -O0\n')
    compiler.chmod(0o755)
    return {"CC": str(compiler)}


def call(hook: str, sources: Path, *arguments: str, **environment: str) -> tuple[object, str]:
    """What the backend's hook returns, and all that was said meanwhile."""
    ended = subprocess.run(
        [sys.executable, "-c", CALL, hook, *arguments],
        cwd=sources,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1]), ended.stdout + ended.stderr


def in_native(names: list[str]) -> set[str]:
    return {Path(name).name for name in names if Path(name).parts[-2:-1] == ("native",)}


@needs_compiler
def test_a_wheel_is_for_any_python_and_has_the_library_and_no_sources(sources: Path, tmp_path: Path) -> None:
    # What other versions have left: neither is packed, and the library is made anew.
    stale = sources / "build" / "lib" / "img2dataset" / "of_an_earlier_version.py"
    stale.parent.mkdir(parents=True)
    stale.write_text("")
    (sources / "img2dataset" / "imaging" / "native" / "libshrink.so").write_text("of an earlier version")
    name, _ = call("build_wheel", sources, str(tmp_path))
    assert str(name).split("-", 2)[2].startswith("py3-none-")
    assert "any" not in str(name)
    with zipfile.ZipFile(tmp_path / str(name)) as wheel:
        assert in_native(wheel.namelist()) == {"__init__.py", "libshrink.so"}
        assert "img2dataset/py.typed" in wheel.namelist()
        live = "img2dataset/reporting/live/"
        assert {f"{live}page.html", f"{live}live.css", f"{live}live.js"} < set(wheel.namelist())
        assert not [
            name
            for name in wheel.namelist()
            if name.endswith((".txt", ".c", ".h")) and "dist-info" not in name
        ]
        assert not [name for name in wheel.namelist() if "earlier" in name]
        library = ctypes.CDLL(wheel.extract("img2dataset/imaging/native/libshrink.so", tmp_path))
    assert library.shrink_jpeg
    assert library.unfilter_png


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_a_compiler_that_warns_of_everything_warns_of_nothing(compiler: str, tmp_path: Path) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    # A change of the calling convention between functions of one file, of which -Wpsabi tells, is none.
    flags = ["-O1", "-std=gnu11", "-fPIC", "-Wall", "-Wextra", "-Wno-psabi", "-Werror"]
    for source in sorted(NATIVE.glob("*.c")):
        subprocess.run([compiler, *flags, "-c", source, "-o", tmp_path / "object"], check=True, timeout=240)


@needs_compiler
def test_every_header_brings_what_it_uses_and_may_be_included_twice(tmp_path: Path) -> None:
    source = tmp_path / "header.c"
    headers = sorted(NATIVE.glob("*.h"))
    assert headers
    for header in headers:
        source.write_text(f'#include "{header.name}"\n' * 2)
        flags = ["-std=gnu11", "-Wall", "-Wextra", "-Wno-psabi", "-Wno-unused-function", "-Werror"]
        subprocess.run([str(COMPILER), *flags, f"-I{NATIVE}", "-fsyntax-only", source], check=True)


@needs_compiler
def test_a_source_distribution_has_all_that_a_wheel_is_built_from(
    sources: Path, tmp_path: Path, quick_compiler: dict[str, str]
) -> None:
    name, _ = call("build_sdist", sources, str(tmp_path))
    with tarfile.open(tmp_path / str(name)) as archive:
        native = in_native(archive.getnames())
        archive.extractall(tmp_path, filter="data")
    assert native == {path.name for path in (sources / "img2dataset/imaging/native").iterdir()}
    unpacked = tmp_path / str(name).removesuffix(".tar.gz")
    made, _ = call("build_wheel", unpacked, str(tmp_path), **quick_compiler)
    with zipfile.ZipFile(tmp_path / str(made)) as wheel:
        assert "libshrink.so" in in_native(wheel.namelist())


def test_a_compiler_that_makes_nothing_is_none(
    sources: Path, tmp_path: Path, no_compiler: dict[str, str]
) -> None:
    broken = tmp_path / "nothing" / "gcc"
    broken.write_text(f"#!{sys.executable}\nraise SystemExit(1)\n")
    broken.chmod(0o755)
    name, said = call("build_wheel", sources, str(tmp_path), **no_compiler)
    assert str(name).endswith("-py3-none-any.whl")
    assert said.count(WITHOUT) == 1


@needs_compiler
def test_another_compiler_than_the_usual_does_too(
    sources: Path, tmp_path: Path, no_compiler: dict[str, str]
) -> None:
    compiler = tmp_path / "nothing" / "clang"
    compiler.write_text(f'#!/bin/sh\nPATH={os.environ["PATH"]} exec {COMPILER} "$@" -O0\n')
    compiler.chmod(0o755)
    name, said = call("build_wheel", sources, str(tmp_path), **no_compiler)
    assert WITHOUT not in said
    with zipfile.ZipFile(tmp_path / str(name)) as wheel:
        assert "libshrink.so" in in_native(wheel.namelist())


@pytest.mark.parametrize("hook", ["build_wheel", "build_editable"])
def test_without_any_compiler_the_wheel_is_made_and_one_line_says_what_it_lacks(
    hook: str, sources: Path, tmp_path: Path, no_compiler: dict[str, str]
) -> None:
    # Of an earlier version, or built where there was a compiler.
    (sources / "img2dataset" / "imaging" / "native" / "libshrink.so").write_text("of an earlier version")
    name, said = call(hook, sources, str(tmp_path), **no_compiler)
    (line,) = [line for line in said.splitlines() if WITHOUT in line]
    assert line.endswith("install a C compiler and build again")
    assert str(name).endswith("-py3-none-any.whl")
    with zipfile.ZipFile(tmp_path / str(name)) as wheel:
        assert in_native(wheel.namelist()) == ({"__init__.py"} if hook == "build_wheel" else set())


def test_a_build_can_be_asked_to_leave_the_library_out(sources: Path, tmp_path: Path) -> None:
    name, said = call("build_wheel", sources, str(tmp_path), IMG2DATASET_WITHOUT_LIBRARY="1")
    assert str(name).endswith("-py3-none-any.whl")
    assert WITHOUT not in said


@needs_compiler
def test_in_place_the_library_is_built_beside_its_sources_and_what_else_is_left_there_is_not_packed(
    sources: Path, tmp_path: Path, quick_compiler: dict[str, str]
) -> None:
    native = sources / "img2dataset" / "imaging" / "native"
    before = {path.name for path in native.iterdir()}
    call("build_editable", sources, str(tmp_path), **quick_compiler)
    left = {path.name for path in native.iterdir()} - before
    assert "libshrink.so" in left
    assert len(left) > 1
    name, _ = call("build_sdist", sources, str(tmp_path))
    with tarfile.open(tmp_path / str(name)) as archive:
        packed = {Path(name).name for name in archive.getnames()}
        assert not packed & left
        assert not [name for name in archive.getnames() if "CMakeFiles" in name or "/." in name]
    # The wheel's library is of this build, not what lies in the sources.
    (native / "libshrink.so").write_text("of an earlier version")
    name, _ = call("build_wheel", sources, str(tmp_path))
    with zipfile.ZipFile(tmp_path / str(name)) as wheel:
        assert in_native(wheel.namelist()) == {"__init__.py", "libshrink.so"}
        assert wheel.read("img2dataset/imaging/native/libshrink.so").startswith(b"\x7fELF")
        assert not [name for name in wheel.namelist() if "CMakeFiles" in name or "native/." in name]
    # All of it is ignored and removed by make clean.
    said = subprocess.run(
        ["make", "-n", "clean"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert left <= {Path(word).name for word in said.split()}
