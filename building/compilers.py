"""Which C compiler builds the shrinking decoder. Asked by the build backend and by setup.py.

A compiler counts if it makes a shared library: on a Mac without Apple's tools ``cc`` is there and makes
nothing, and on small Linux images gcc may be there without the headers of the C library.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from functools import cache
from pathlib import Path

_TRIAL = "#include <math.h>\nfloat trial(float of) { return sqrtf(of); }\n"


def without_library() -> bool:
    """Whether this build is asked to leave the library out, and to need no compiler."""
    return os.environ.get("IMG2DATASET_WITHOUT_LIBRARY", "") not in ("", "0")


def usual_compiler() -> list[str] | None:
    """The compiler that setuptools takes by itself, $CC or Python's own; None: it makes nothing."""
    command = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    return command if _works(tuple(command)) else None


def other_compiler() -> list[str] | None:
    """Another one of this machine, or None."""
    return next(([name] for name in ("cc", "gcc", "clang") if _works((name,))), None)


def zig() -> list[str] | None:
    """The compiler of the package ziglang, or None where that is not installed.

    It would else compile for the processor it runs on, which need not be the one the library runs on.
    """
    if importlib.util.find_spec("ziglang") is None:
        return None
    return [sys.executable, "-m", "ziglang", "cc", "-mcpu=baseline"]


@cache
def _works(command: tuple[str, ...]) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "trial.c")
        source.write_text(_TRIAL)
        making = [*command, "-shared", "-fPIC", str(source), "-o", str(source.with_suffix(".so")), "-lm"]
        try:
            subprocess.run(making, check=True, capture_output=True, timeout=120)
        except (OSError, subprocess.SubprocessError):
            return False
    return True
