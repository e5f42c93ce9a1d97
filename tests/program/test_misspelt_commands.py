"""A misspelt command is told, and a list of such a name is a list."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.program.runs import COMMAND


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("inspct", "inspect"),
        ("reprot", "report"),
        ("statu", "status"),
        ("veryfy", "verify"),
        ("emitt", "emit"),
    ],
)
def test_a_command_that_is_close_is_offered(typed: str, meant: str, tmp_path: Path) -> None:
    done = subprocess.run([COMMAND, typed, "out"], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.returncode == 2
    assert f"did you mean img2dataset {meant}?" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_list_of_such_a_name_is_a_list(tmp_path: Path) -> None:
    (tmp_path / "statu").write_text("http://127.0.0.1:1/a.jpg\n")
    done = subprocess.run([COMMAND, "statu"], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "1 row in 1 shard" in done.stdout
