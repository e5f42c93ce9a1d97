"""What is known of every option: ``option_specs()``, drawn from the dataclasses of ``table``."""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from typing import Any, Literal

from img2dataset.options.declaring import Kind, OptionSpec
from img2dataset.options.table import Options


def _kind_of(annotation: Any) -> tuple[Kind, bool, tuple[str, ...]]:
    """The kind an annotation stands for, whether None is allowed too, and the choices it names."""
    optional = False
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        members = [member for member in typing.get_args(annotation) if member is not type(None)]
        optional = len(members) < len(typing.get_args(annotation))
        annotation = members[0]
    if typing.get_origin(annotation) is tuple:
        return "texts", optional, ()
    if typing.get_origin(annotation) is Literal:
        return "text", optional, typing.get_args(annotation)
    kinds: dict[Any, Kind] = {str: "text", int: "integer", float: "number", bool: "boolean", Any: "any"}
    return kinds[annotation], optional, ()


@functools.cache
def option_specs() -> dict[str, OptionSpec]:
    """Every option by name, in the order of their declaration."""

    hints = typing.get_type_hints(Options)
    specs = {}
    for field in dataclasses.fields(Options):
        kind, optional, choices = _kind_of(hints[field.name])
        required = field.default is dataclasses.MISSING
        metadata = dict(field.metadata)
        default_text, more_choices = metadata.pop("default_text"), metadata.pop("choices")
        if default_text is None:
            default_text = "required" if required else repr(_plain(field.default))
        specs[field.name] = OptionSpec(
            name=field.name,
            kind=kind,
            optional=optional,
            choices=more_choices() if more_choices is not None else choices,
            part=next(part for part in Options.__bases__ if field.name in part.__annotations__),
            default=None if required else field.default,
            required=required,
            default_text=default_text,
            **metadata,
        )
    return specs


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
