"""Two programs side by side: img2dataset 1.47.0 from PyPI, and this checkout with the same OpenCV.

Comes in: a work folder. Goes out: ``Programs``, the two command lines. Each has a virtual environment of
its own, made once and kept in the work folder. Called by ``run.py``.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PEER_REQUIREMENT = "img2dataset==1.47.0"
# What 1.47.0 imports to write tfrecords, and names nowhere.
TENSORFLOW_REQUIREMENTS = (
    "tensorflow-cpu; sys_platform == 'linux'",
    "tensorflow; sys_platform != 'linux'",
    "tensorflow-io",
)
# 1.47.0 does not import on Python 3.13 (distutils is gone).
PEER_PYTHONS = ("python3.12", "python3.11", "python3.10")
OPENCV = "opencv-python-headless"


@dataclass(frozen=True)
class Programs:
    """The command lines of both programs. ``tensorflow_peer`` is None where TensorFlow is not wanted."""

    peer: Path
    here: Path
    opencv: str
    tensorflow_peer: Path | None


class EnvironmentNotMade(Exception):
    """A virtual environment could not be made; the message has the last line that was said."""


def make_programs(work: Path, tensorflow: bool) -> Programs:
    """Make the environments unless they are there.

    Args:
        work: the folder they are kept in.
        tensorflow: whether to make the one in which 1.47.0 can write tfrecords (1.5 GB).

    Returns:
        The command lines, and the OpenCV version of both.

    Raises:
        EnvironmentNotMade: venv or pip failed.
    """
    python = _python_of_peer()
    peer = _environment(work / "peer", [PEER_REQUIREMENT], python)
    opencv = _version(peer, OPENCV)
    here = _environment(
        work / "here", [f"{OPENCV}=={opencv}", "--editable", f"{REPOSITORY}[tfrecord]"], python
    )
    if (found := _version(here, OPENCV)) != opencv:
        raise EnvironmentNotMade(f"this checkout was given OpenCV {found}, 1.47.0 has {opencv}")
    tensorflow_peer = None
    if tensorflow:
        wanted = [PEER_REQUIREMENT, f"{OPENCV}=={opencv}", *TENSORFLOW_REQUIREMENTS]
        tensorflow_peer = _environment(work / "peer-tensorflow", wanted, python)
    return Programs(
        peer=peer / "bin/img2dataset",
        here=here / "bin/img2dataset",
        opencv=opencv,
        tensorflow_peer=tensorflow_peer / "bin/img2dataset" if tensorflow_peer else None,
    )


def program_environment() -> dict[str, str]:
    """The environment variables of both programs: no proxies, no chatter, no question to PyPI.

    Nor any of Python's: a PYTHONPATH over this checkout would have 1.47.0 import it instead of itself.
    """
    inherited: Mapping[str, str] = os.environ
    kept = {
        name: value
        for name, value in inherited.items()
        if not name.lower().endswith("_proxy") and not name.startswith("PYTHON")
    }
    quiet = {"NO_ALBUMENTATIONS_UPDATE": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}
    return {**kept, **quiet}


def _environment(folder: Path, requirements: list[str], python: str) -> Path:
    # What it was made of is part of its mark, so that a changed pyproject.toml makes it again.
    recipe = "\n".join([*requirements, python, (REPOSITORY / "pyproject.toml").read_text()])
    if folder.name != "here":
        recipe = "\n".join([*requirements, python])
    mark = folder / f".made-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}"
    if not mark.exists():
        print(f"making {folder}: {' '.join(requirements)}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        _run([python, "-m", "venv", str(folder)])
        install = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet"]
        _run([*install, "--disable-pip-version-check", *requirements])
        mark.touch()
    return folder


def _version(environment: Path, package: str) -> str:
    script = f"import importlib.metadata as m; print(m.version({package!r}))"
    return _run([str(environment / "bin/python"), "-I", "-c", script]).strip()


def _run(command: list[str]) -> str:
    finished = subprocess.run(command, capture_output=True, text=True)
    if finished.returncode:
        said = (finished.stderr.strip() or finished.stdout.strip()).splitlines()[-1:]
        raise EnvironmentNotMade(f"{' '.join(command)}: {' '.join(said)}")
    return finished.stdout


def _python_of_peer() -> str:
    version = sys.version_info[:2]
    if version < (3, 13):
        return str(Path(sys.base_prefix) / "bin" / f"python3.{version[1]}")
    for name in PEER_PYTHONS:
        if found := shutil.which(name):
            return found
    raise EnvironmentNotMade(f"img2dataset 1.47.0 needs one of {', '.join(PEER_PYTHONS)}; none is installed")
