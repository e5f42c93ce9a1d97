"""Pythons as other machines may have them: with another version of this package, without it, or a folder.

Each is an environment of its own over the packages of this one, so nothing is installed.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import img2dataset

PACKAGE = Path(img2dataset.__file__).parent


def python_elsewhere(folder: Path, *without: str, version: str | None = None) -> Path:
    """The Python of an environment with all packages of this one, but those left out and this one.

    Args:
        folder: to make it in.
        without: how the names of packages begin that are left out.
        version: of this package, which is then there too.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    own = ("_editable", "img2dataset")
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if not path.name.startswith((*own, *without)):
            (packages / path.name).symlink_to(path)
    if version is not None:
        shutil.copytree(PACKAGE, packages / "img2dataset", ignore=shutil.ignore_patterns("__pycache__"))
        file = packages / "img2dataset" / "version.py"
        file.write_text(file.read_text().replace(f'"{img2dataset.__version__}"', f'"{version}"'))
    return folder / "bin" / "python"


def python_that_does_not_see(hidden: Path, folder: Path) -> Path:
    """This Python, to which a folder is empty, as one that is not shared is on another machine."""
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
        pytest.skip("a folder can be hidden by root alone")
    script = folder / "python"
    hide = shlex.quote(f'mount -t tmpfs none {shlex.quote(str(hidden))} && exec {sys.executable} "$@"')
    script.write_text(f'#!/bin/sh\nexec unshare --mount sh -c {hide} sh "$@"\n')
    script.chmod(0o755)
    return script


def environment_of_a_user(**more: str) -> dict[str, str]:
    """For the program: it finds packages as they are installed, not by where tests are run."""
    environment = {**os.environ, **more}
    environment.pop("PYTHONPATH", None)
    return environment
