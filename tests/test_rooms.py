"""Imports run downward only: what a room may know of the others, as docs/architecture.md says it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import img2dataset

PACKAGE = Path(img2dataset.__file__).parent
# Values, errors and small helpers that are no rooms; they know each other at most.
FOUNDATIONS = {"errors", "failures", "installation", "printable", "types", "version"}
MAY_KNOW: dict[str, set[str]] = {
    "options": {"storage"},
    "storage": set(),
    "reading": {"storage"},
    "fetching": {"storage"},
    "imaging": set(),
    "writing": {"storage"},
    "working": {"fetching", "imaging", "storage", "writing"},
    "distributing": {"fetching", "working"},
    "reporting": set(),
    "verifying": {"imaging", "manifest", "storage", "writing"},
    "training": {"fetching", "imaging", "options", "reading", "settings", "storage", "working"},
}


def imported_rooms(path: Path) -> set[str]:
    """The rooms and top-level files of the package that a file imports, functions' imports included."""
    modules = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "img2dataset":
            modules += [f"img2dataset.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports by a relative name"
            modules.append(node.module or "")
    return {module.split(".")[1] for module in modules if module.startswith("img2dataset.")}


def test_every_room_has_its_line() -> None:
    assert set(MAY_KNOW) == {path.parent.name for path in PACKAGE.glob("*/__init__.py")}


@pytest.mark.parametrize("room", MAY_KNOW)
def test_a_room_knows_no_more_than_its_line_says(room: str) -> None:
    allowed = MAY_KNOW[room] | FOUNDATIONS | {room}
    too_far = {
        str(path.relative_to(PACKAGE)): sorted(imported_rooms(path) - allowed)
        for path in (PACKAGE / room).rglob("*.py")
    }
    assert {path: names for path, names in too_far.items() if names} == {}


def test_the_foundations_know_no_room() -> None:
    known = set().union(*(imported_rooms(PACKAGE / f"{name}.py") for name in FOUNDATIONS))
    assert known <= FOUNDATIONS


def test_storage_knows_only_what_can_go_wrong_and_what_is_installed() -> None:
    known = set().union(*(imported_rooms(path) for path in (PACKAGE / "storage").rglob("*.py")))
    assert known <= {"errors", "installation", "storage", "types"}
