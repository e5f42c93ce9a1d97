"""Runs of ``img2dataset consent``, and what it listed. Used by its tests."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.program.runs import COMMAND, command_here
from tests.work_lines import without_work_lines


def consent(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """What the command has said of these words; as a program of its own where it is to have ``options``."""
    if not options:
        done = command_here("consent", *map(str, words))
    else:
        done = subprocess.run(
            [COMMAND, "consent", *map(str, words)], capture_output=True, text=True, timeout=240, **options
        )
    done.stderr = without_work_lines(done.stderr)
    return done


def said(*words: object, **options: Any) -> str:
    """The lines of a command that has done its work."""
    done = consent(*words, **options)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def document(*words: object, **options: Any) -> dict[str, Any]:
    """The same as JSON."""
    found: dict[str, Any] = json.loads(said(*words, "--json", **options))
    return found


def listed(found: dict[str, Any]) -> list[tuple[str, str, str | None, str]]:
    """The rows that a document lists: path of the URL, verdict, signal, value."""
    names = ("verdict", "signal", "value")
    return [(f"/{row['url'].split('/', 3)[3]}", *(row[name] for name in names)) for row in found["rows"]]


def is_whole(folder: Path | str, **options: Any) -> str:
    """What ``verify --images`` says of a folder that it finds nothing wrong in."""
    done = subprocess.run(
        [COMMAND, "verify", str(folder), "--images"], capture_output=True, text=True, timeout=240, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
