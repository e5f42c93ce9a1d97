"""The name of a sink → the sink. Used by the program, which checks it, and by the process that it runs in."""

from __future__ import annotations

from importlib import import_module
from typing import get_args

from img2dataset.options.table import SinkName
from img2dataset.plugins import SINKS, make_plugin
from img2dataset.reporting.sinks.sink import Sink


def sink_of(name: str) -> Sink:
    """The sink of this name: built in, or of another package.

    Raises:
        OptionError: there is none, or it is no whole sink.
        MissingDependency: the package that has it cannot be imported.
    """
    if name in get_args(SinkName):
        built_in: Sink = import_module(f"img2dataset.reporting.sinks.{name}").Reporter()
        return built_in
    return make_plugin(SINKS, name, Sink)  # type: ignore[type-abstract]
