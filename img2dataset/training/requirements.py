"""Optional packages: a name comes in, the module goes out, or one error that names what to install."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from img2dataset.errors import MissingDependency


def require(module: str, wanted_for: str, extra: str | None = "training") -> Any:
    """Import ``module``.

    Raises:
        MissingDependency: it is not installed; says which extra of img2dataset brings it, or, where ``extra``
            is None, that it is the user's own to install.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        install = package if extra is None else f'"img2dataset[{extra}]"'
        raise MissingDependency(
            f"{wanted_for} needs the package {package}; install it with: pip install {install}"
        ) from error
