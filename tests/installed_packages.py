"""Packages that are installed for one test: found by their entry points, and gone afterwards."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from img2dataset import plugins
from img2dataset.formats import output_format


def forget_packages() -> None:
    """Have packages looked for anew: others are installed now."""
    plugins._entry_points.cache_clear()
    output_format.cache_clear()


Install = Callable[[str, str, str], None]


def installer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts a package (name, source, lines of entry_points.txt) where Python finds it."""
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    # Programs that the test starts find it there too.
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    names: list[str] = []

    def put(name: str, source: str, entries: str) -> None:
        names.append(name)
        (folder / f"{name}.py").write_text(source)
        metadata = folder / f"{name}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(entries)
        forget_packages()

    yield put
    forget_packages()
    for name in names:
        sys.modules.pop(name, None)
