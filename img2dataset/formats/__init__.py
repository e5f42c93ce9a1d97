"""The output formats: one file each, found by name; and what they share.

``format`` says what one is, ``dataset`` what the names in a folder of shards are. A format's file is imported
when its name is met.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from importlib import import_module

from img2dataset.errors import OptionError
from img2dataset.formats.format import OutputFormat
from img2dataset.options import option_specs
from img2dataset.plugins import FORMATS, make_plugin

__all__ = ["OutputFormat", "built_in_formats", "data_endings", "formats_with_own_data", "output_format"]


def built_in_formats() -> tuple[str, ...]:
    """The names of the formats of this package; each is a file here."""
    return option_specs()["output_format"].choices


def data_endings(*names: str) -> set[str]:
    """What the data of a shard may end in: in the formats of this package, and in those of these names."""
    return {found.ending for found in _formats(names) if found.ending is not None}


def formats_with_own_data(*names: str) -> dict[str, OutputFormat]:
    """Of the same formats, by ending, those whose data are apart from the metadata; folders come last."""
    found = {
        each.ending: each for each in _formats(names) if each.ending is not None and not each.holds_metadata
    }
    return dict(sorted(found.items(), key=lambda item: item[1].is_folder))


def _formats(names: Iterable[str]) -> list[OutputFormat]:
    return [output_format(name) for name in dict.fromkeys([*built_in_formats(), *names])]


@functools.cache
def output_format(name: str) -> OutputFormat:
    """The format of this name: built in, or of another package.

    Raises:
        OptionError: there is none, or it is no whole format.
        MissingDependency: the package that has it cannot be imported.
    """
    if name in built_in_formats():
        built_in: OutputFormat = import_module(f"img2dataset.formats.{name}").Format()
        return built_in
    # mypy takes a type[T] for one that is called; here it is only what the class must be made from.
    made = make_plugin(FORMATS, name, OutputFormat)  # type: ignore[type-abstract]
    if getattr(made, "name", None) != name or not hasattr(made, "ending"):
        raise OptionError(
            f"--output_format {name!r} is of an installed package, whose {type(made).__name__} must have"
            f" name = {name!r} and an ending; update or remove that package"
        )
    return made
