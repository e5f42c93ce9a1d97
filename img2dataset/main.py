"""What 1.47.0 kept under this name: ``download``, and the command line as ``img2dataset.main()``.

``img2dataset.main`` was a function there and a module to those who imported from it: here it is both.
"""

from __future__ import annotations

import sys
from types import ModuleType

from img2dataset.api import download
from img2dataset.cli import main

__all__ = ["download", "main"]


class _CallableModule(ModuleType):
    def __call__(self) -> None:
        main()


sys.modules[__name__].__class__ = _CallableModule

if __name__ == "__main__":
    main()
