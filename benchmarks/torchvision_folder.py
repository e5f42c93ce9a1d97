"""torchvision's ImageFolder and its transform, the peer of ``training.py``, beside any build of PyTorch.

Without torchvision in the environment, its wheel is put into a folder of its own, without dependencies. It is
made for one build of PyTorch, and beside another (CPU, CUDA) its compiled operators do not load; ImageFolder
and the transforms of pictures are plain Python and need only that the operators' names exist.
"""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

MOST_OPERATORS = 100
_MISSING_OPERATOR = re.compile(r"operator torchvision::(\w+) does not exist")


def image_folder(folder: Path, size: int, environments: Path) -> tuple[Any, Callable[[Any], Any]]:
    """ImageFolder over ``folder``, and its transform: shortest side to ``size``, the middle, values 0 to 1.

    Args:
        folder: with a folder of images in it.
        size: pixels.
        environments: where torchvision is put if it is not there.

    Raises:
        RuntimeError: pip cannot install it; the message has the last line it said.
    """
    _import_torchvision(environments)
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import v2

    steps = [v2.Resize(size), v2.CenterCrop(size), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
    transform: Callable[[Any], Any] = v2.Compose(steps)
    return ImageFolder(str(folder), transform), transform


def _import_torchvision(environments: Path) -> None:
    try:
        _import_with_operators()
        return
    except ModuleNotFoundError:
        pass
    major, minor = (int(part) for part in torch.__version__.split(".")[:2])
    target = environments / f"torchvision-for-{major}.{minor}"
    if not target.exists():
        # Torch 2.0 came with torchvision 0.15, and both have counted on together since.
        requirement = f"torchvision==0.{minor + 15}.*"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target)]
        finished = subprocess.run([*command, requirement], capture_output=True, text=True)
        if finished.returncode:
            raise RuntimeError(
                f"{requirement} cannot be installed: {finished.stderr.strip().splitlines()[-1:]}"
            )
    sys.path.append(str(target))
    importlib.invalidate_caches()
    _import_with_operators()


# Kept, because an operator lives as long as the library that declared it.
_declared: list[Any] = []


def _import_with_operators() -> None:
    """Import torchvision, declaring the operators that its compiled part would have brought."""
    for _ in range(MOST_OPERATORS):
        missing = _operator_missing_at_import()
        if missing is None:
            return
        library = torch.library.Library("torchvision", "FRAGMENT")
        library.define(f"{missing}(Tensor x) -> Tensor")
        _declared.append(library)
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
    raise RuntimeError(f"torchvision asks for more than {MOST_OPERATORS} operators that do not exist")


def _operator_missing_at_import() -> str | None:
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        missing = _MISSING_OPERATOR.search(str(error))
        if missing is None:
            raise
        return missing[1]
    return None
