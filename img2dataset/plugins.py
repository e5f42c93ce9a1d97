"""What other packages add to this one: an entry point of a group, by its name.

A package declares it in its ``pyproject.toml``, for example
``[project.entry-points."img2dataset.engines"]`` with ``mine = "my_package:MyEngine"``; from then on its name
is a value of the option like those built in. Nothing is looked up before a name is met that is not built
in, or the names are to be told.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeVar

from img2dataset.errors import MissingDependency, OptionError, one_line

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Made = TypeVar("Made")
# What can be added, and the option that takes the names.
FORMATS = "img2dataset.formats"
LISTS = "img2dataset.lists"
ENGINES = "img2dataset.engines"
SINKS = "img2dataset.sinks"
SIGNALS = "img2dataset.signals"
OPTIONS = {
    FORMATS: "output_format",
    LISTS: "input_format",
    ENGINES: "distributor",
    SINKS: "sinks",
    SIGNALS: "consent_signals",
}


def plugin_names(group: str) -> list[str]:
    """The names that installed packages add to a group, in order."""
    return sorted(_entry_points(group))


def load_plugin(group: str, name: str) -> Any:
    """What an installed package offers under a name of a group.

    Args:
        group: one of those above.
        name: as the user says it.

    Raises:
        OptionError: no package has the name, or several have.
        MissingDependency: the package that has it cannot be imported; the message has its reason.
    """
    found = _entry_points(group).get(name, [])
    option = OPTIONS[group]
    if not found:
        known = ", ".join(plugin_names(group)) or "none"
        raise OptionError(f"--{option} is {name!r}, which no installed package adds (added: {known})")
    if len({point.value for point in found}) > 1:
        packages = " and ".join(sorted(_package(point) for point in found))
        raise OptionError(f"--{option} {name!r} is added by {packages}; remove one of them")
    try:
        return found[0].load()
    except Exception as error:
        raise MissingDependency(
            f"--{option} {name!r} is of the package {_package(found[0])}, which cannot be loaded:"
            f" {type(error).__name__}: {one_line(error)}"
        ) from error


def make_plugin(group: str, name: str, kind: type[Made]) -> Made:
    """An object of the class that an installed package offers under a name of a group.

    Args:
        group: one of those above.
        name: as the user says it.
        kind: what its class must be made from.

    Raises:
        OptionError: no package has the name, several have, or its class is not complete.
        MissingDependency: as ``load_plugin``.
    """
    offered = load_plugin(group, name)
    package = _package(_entry_points(group)[name][0])
    wanted = f"{kind.__name__} ({kind.__module__})"
    try:
        made = offered()
    except TypeError as error:
        raise OptionError(
            f"--{OPTIONS[group]} {name!r} is of the package {package}, whose class is no whole {wanted}:"
            f" {one_line(error)}; update or remove that package"
        ) from error
    if not isinstance(made, kind):
        raise OptionError(
            f"--{OPTIONS[group]} {name!r} is of the package {package}, whose {type(made).__name__} is no"
            f" {wanted}; update or remove that package"
        )
    return made


@functools.cache
def _entry_points(group: str) -> dict[str, list[EntryPoint]]:
    # Here, since it takes tens of milliseconds, and most runs ask for no name that is not built in.
    from importlib.metadata import entry_points

    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=group):
        found.setdefault(point.name, []).append(point)
    return found


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value
