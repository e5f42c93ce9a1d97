"""The build backend that pyproject.toml names: setuptools' own, and a C compiler where there is none.

The package ziglang is one, 100 MB to download; pip keeps it for the time of the build only.
"""

from __future__ import annotations

import platform
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import (
    build_editable,
    build_sdist,
    build_wheel,
    get_requires_for_build_sdist,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

from building.compilers import other_compiler, usual_compiler, without_library

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

# The systems for which there is a ziglang to install; asking for it elsewhere would end the installation.
_WITH_ZIG = {
    (system, machine) for system in ("Linux", "Darwin") for machine in ("x86_64", "aarch64", "arm64")
}


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    """What pip installs before it builds a wheel."""
    return [*build_meta.get_requires_for_build_wheel(config_settings), *_missing_compiler()]


def get_requires_for_build_editable(config_settings: Any = None) -> list[str]:
    """What pip installs before it installs a folder in place."""
    return [*build_meta.get_requires_for_build_editable(config_settings), *_missing_compiler()]


def _missing_compiler() -> list[str]:
    if without_library() or usual_compiler() or other_compiler():
        return []
    return ["ziglang>=0.13"] if (platform.system(), platform.machine()) in _WITH_ZIG else []
