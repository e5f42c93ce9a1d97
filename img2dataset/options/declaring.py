"""How one option is declared: a dataclass field whose metadata holds all that is known of it.

``table.py`` and the files of its themes declare with ``option(...)``; everything else asks
``option_specs()``.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["text", "integer", "number", "boolean", "texts", "any"]
KIND_NAMES = {
    "text": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "True or False",
    "texts": "a list of texts",
    "any": "any value",
}


@dataclass(frozen=True)
class OptionSpec:
    """What is known of one option. ``minimum`` and ``maximum`` are inclusive unless ``above`` is set."""

    name: str
    kind: Kind
    optional: bool
    default: Any
    required: bool
    help: str
    unit: str
    group: str
    choices: tuple[str, ...]
    minimum: float | None
    maximum: float | None
    above: float | None
    shapes_output: bool
    secret: bool
    default_text: str

    def allowed(self) -> str:
        """What values this option takes, in words, for error messages and tables."""
        if self.choices:
            text = ", ".join(self.choices)
        else:
            text = KIND_NAMES[self.kind]
            if self.minimum is not None and self.maximum is not None:
                text += f" from {_as_typed(self.minimum)} to {_as_typed(self.maximum)}"
            elif self.minimum is not None:
                text += f" of at least {_as_typed(self.minimum)}"
            elif self.above is not None:
                text += f" above {_as_typed(self.above)}"
        return text + (" or None" if self.optional else "")


def _as_typed(bound: float) -> str:
    """As it is typed: 1000000, not 1e+06."""
    return str(int(bound)) if float(bound).is_integer() else str(bound)


def option(
    default: Any = dataclasses.MISSING,
    *,
    help: str,
    unit: str = "",
    group: str,
    choices: tuple[str, ...] = (),
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
    shapes_output: bool = False,
    secret: bool = False,
    default_text: str | None = None,
) -> Any:
    """Declare one option. An option without a default is required.

    Args:
        default: the value when the option is not given.
        help: one line that says what it does.
        unit: the unit of its value, such as ``pixels``.
        group: the heading it stands under in the help and in the table of the README.
        choices: the texts it may take, where it is one of a few.
        minimum, maximum: inclusive bounds; above: an exclusive lower bound.
        shapes_output: whether two runs that differ in it make different datasets.
        secret: its value is never shown.
        default_text: how the default reads in help, where the value alone does not say it.
    """
    metadata = {
        "help": help,
        "unit": unit,
        "group": group,
        "choices": choices,
        "minimum": minimum,
        "maximum": maximum,
        "above": above,
        "shapes_output": shapes_output,
        "secret": secret,
        "default_text": default_text,
    }
    return dataclasses.field(default=default, metadata=metadata)


def _kind_of(annotation: Any) -> tuple[Kind, bool]:
    """The kind an annotation stands for, and whether None is allowed too."""
    optional = False
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        members = [member for member in typing.get_args(annotation) if member is not type(None)]
        optional = len(members) < len(typing.get_args(annotation))
        annotation = members[0]
    if typing.get_origin(annotation) is tuple:
        return "texts", optional
    kinds: dict[Any, Kind] = {str: "text", int: "integer", float: "number", bool: "boolean", Any: "any"}
    return kinds[annotation], optional


@functools.cache
def option_specs() -> dict[str, OptionSpec]:
    """Every option by name, in the order of their declaration."""
    from img2dataset.options.table import Options

    hints = typing.get_type_hints(Options)
    specs = {}
    for field in dataclasses.fields(Options):
        kind, optional = _kind_of(hints[field.name])
        required = field.default is dataclasses.MISSING
        metadata = dict(field.metadata)
        default_text = metadata.pop("default_text")
        if default_text is None:
            default_text = "required" if required else repr(_plain(field.default))
        specs[field.name] = OptionSpec(
            name=field.name,
            kind=kind,
            optional=optional,
            default=None if required else field.default,
            required=required,
            default_text=default_text,
            **metadata,
        )
    return specs


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
