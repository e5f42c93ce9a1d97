"""One virtual environment a contender, made once: this checkout, img2dataset 1.47.0, Daft. For ``run.py``.

This project's is the environment the benchmark itself runs in (``make bench`` makes it, editable, so that
what is measured is the checkout as it is). The others live under ``work/environments``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import certifi
import trustme

from benchmarks.servers import ADDRESSES

PEER_REQUIREMENT = "img2dataset==1.47.0"
DAFT_REQUIREMENT = "daft"
# 1.47.0 does not import on Python 3.13 (distutils is gone).
PEER_PYTHONS = ("python3.12", "python3.11", "python3.10")
DESCRIBED_PACKAGES = (
    *("img2dataset", "opencv-python-headless", "numpy", "pyarrow", "pycurl", "Pillow"),
    *("webdataset", "albumentations", "daft"),
)


def make_environment(folder: Path, requirement: str, python: str) -> Path:
    """Make a virtual environment with ``requirement`` from PyPI unless it is there.

    Args:
        folder: where it goes.
        requirement: what pip is to install, as in a requirements file.
        python: the interpreter it is made with.

    Returns:
        Its interpreter.

    Raises:
        RuntimeError: venv or pip failed; the message has the last line it said.
    """
    interpreter = folder / "bin" / "python"
    done = folder / f".{requirement}"
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        _run([python, "-m", "venv", str(folder)], requirement)
        install = [str(interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run([*install, requirement], requirement)
        done.touch()
    return interpreter


def _run(command: list[str], purpose: str) -> None:
    finished = subprocess.run(command, capture_output=True, text=True)
    if finished.returncode:
        said = (finished.stderr.strip() or finished.stdout.strip()).splitlines()[-1:]
        raise RuntimeError(f"the environment of {purpose} cannot be made: {' '.join(command)}: {said}")


def peer_python() -> str:
    """An interpreter img2dataset 1.47.0 runs on: this one, or an older one beside it.

    Raises:
        RuntimeError: there is none.
    """
    version = sys.version_info[:2]
    if version < (3, 13):
        return sys.executable
    for name in PEER_PYTHONS:
        if found := shutil.which(name):
            return found
    raise RuntimeError(f"img2dataset 1.47.0 needs one of {', '.join(PEER_PYTHONS)}; none is installed")


def versions(python: Path) -> dict[str, str]:
    """The Python and the packages of an environment that matter for speed, by name."""
    script = (
        "import importlib.metadata as m, json, platform\n"
        "have = {'Python': platform.python_version()}\n"
        f"for name in {DESCRIBED_PACKAGES!r}:\n"
        "    try: have[name] = m.version(name)\n"
        "    except m.PackageNotFoundError: pass\n"
        "print(json.dumps(have))"
    )
    said = subprocess.run(
        [str(python), "-I", "-c", script], capture_output=True, text=True, check=True
    ).stdout
    found: dict[str, str] = json.loads(said)
    return found


def make_authority(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for all ``ADDRESSES``, and a bundle that proves it, unless they are there.

    The bundle is certifi's with one authority more: a client that loads its bundle again for every
    connection shall pay here what it pays in the wild.

    Returns:
        The files of the bundle, and of private key and certificate.
    """
    bundle, certificate = folder / "bundle.pem", folder / "server.pem"
    if not bundle.exists():
        folder.mkdir(parents=True, exist_ok=True)
        authority = trustme.CA()
        issued = authority.issue_cert(*ADDRESSES)
        certificate.write_bytes(issued.private_key_and_cert_chain_pem.bytes())
        bundle.write_bytes(Path(certifi.where()).read_bytes() + authority.cert_pem.bytes())
    return bundle, certificate


def contender_environment(bundle: Path) -> dict[str, str]:
    """The environment variables of every contender: no proxies, the benchmark's authority trusted."""
    environment: Mapping[str, str] = os.environ
    kept = {name: value for name, value in environment.items() if not name.lower().endswith("_proxy")}
    kept["SSL_CERT_FILE"] = kept["REQUESTS_CA_BUNDLE"] = kept["CURL_CA_BUNDLE"] = str(bundle)
    kept["NO_ALBUMENTATIONS_UPDATE"] = "1"  # spares 1.47.0 a question to PyPI at each start of a process
    return kept
