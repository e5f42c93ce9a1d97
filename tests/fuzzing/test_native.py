"""The fuzzers of the C library see a fault that is there, which the files they begin with do not show."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.fuzzing import native

pytestmark = pytest.mark.skipif(not native.has_libfuzzer(), reason=native.MISSING)
# By fuzzer: a check of the library, what is left of it, and how many inputs are enough to find the fault.
FAULTS = {
    "native_jpeg": ("markers.c", "is_ac > 1 || number > 3 ||", "is_ac > 1 ||", 20_000),
    "native_png": ("png.c", "to_left <= to_corner", "to_left < to_corner", 200_000),
}


@pytest.mark.parametrize("name", FAULTS)
def test_they_find_a_fault_where_a_check_was_taken_out(name: str, tmp_path: Path) -> None:
    file, check, left, inputs = FAULTS[name]
    sources = tmp_path / "native"
    shutil.copytree(native.NATIVE, sources, ignore=shutil.ignore_patterns("CMakeFiles", ".*"))
    (tmp_path / "seeds").mkdir()
    for number, body in enumerate(native.FUZZERS[name].seeds()):
        (tmp_path / "seeds" / str(number)).write_bytes(body)
    source = (sources / file).read_text(encoding="utf-8")
    assert source.count(check) == 1
    (sources / file).write_text(source.replace(check, left), encoding="utf-8")
    fuzzer = native.build(name, sources, tmp_path)
    command = [fuzzer, f"-artifact_prefix={tmp_path}/", "-seed=1", tmp_path / "seeds"]
    assert subprocess.run([*command, "-runs=0"], capture_output=True, check=False).returncode == 0
    assert subprocess.run([*command, f"-runs={inputs}"], capture_output=True, check=False).returncode != 0
    assert len(list(tmp_path.glob("crash-*"))) == 1
