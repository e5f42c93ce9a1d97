"""Turn lists of image URLs into packed, resized, fully accounted datasets.

The public names are loaded when they are first used, so that ``import img2dataset`` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from img2dataset.version import __version__

if TYPE_CHECKING:
    from img2dataset.api import download
    from img2dataset.reporting.summary import RunSummary
    from img2dataset.training import stream
    from img2dataset.verifying import verify

__all__ = ["RunSummary", "__version__", "download", "stream", "verify"]

_HOMES = {
    "download": "img2dataset.api",
    "RunSummary": "img2dataset.reporting",
    "stream": "img2dataset.training",
    "verify": "img2dataset.verifying",
}


# Modules that 1.47.0 had loaded with the package: scripts use them without importing them.
_MODULES = ("blurrer", "downloader", "main", "resizer", "writer")


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
