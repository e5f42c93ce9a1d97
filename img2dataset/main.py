"""Where 1.47.0 had them: ``img2dataset.main.download``, and ``main``, which runs the command line.

Scripts call what ``from img2dataset import main`` gives, have ``from img2dataset.main import download``, and
run ``python -m img2dataset.main``; so this module is a function too.
"""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Any

from img2dataset.cli import main

if TYPE_CHECKING:
    from img2dataset.api import download

__all__ = ["download", "main"]


class _CallableModule(types.ModuleType):
    def __call__(self) -> None:
        main()


def __getattr__(name: str) -> Any:
    if name != "download":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from img2dataset.api import download

    return download


sys.modules[__name__].__class__ = _CallableModule

if __name__ == "__main__":
    main()
