"""Optional packages: a name comes in, the module goes out, or one error that names what to install."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from img2dataset.errors import MissingDependency
from img2dataset.installation import install_extra


def require(module: str, wanted_for: str, extra: str | None = "training") -> Any:
    """Import ``module``.

    Raises:
        MissingDependency: it is not installed; names what the extra of img2dataset consists of, or
            the package alone, where ``extra`` is None.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        install = f"pip install {package}" if extra is None else install_extra(extra)
        raise MissingDependency(
            f"{wanted_for} needs the package {package}; install it with: {install}"
        ) from error
