"""How one option is declared: a dataclass field whose metadata holds all that is known of it.

``table.py`` and the files of its themes declare with ``option(...)``; everything else asks
``option_specs()``. The type of the field is the type of the option, and a ``Literal`` its choices: the check,
the help and the README are drawn from it, and so is what the rooms are typed with.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from img2dataset.plugins import plugin_names

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
    """What is known of one option. ``minimum`` and ``maximum`` are inclusive, ``above`` is not.

    ``choices`` are the built-in ones; each may also bear one of ``endings``. ``plugins`` is the group of
    entry points with which packages add to them. ``part`` is the class that declares the option.
    """

    name: str
    kind: Kind
    optional: bool
    default: Any
    required: bool
    help: str
    unit: str
    group: str
    choices: tuple[str, ...]
    endings: tuple[str, ...]
    plugins: str | None
    minimum: float | None
    maximum: float | None
    above: float | None
    endless: bool
    shapes_output: bool
    secret: bool
    default_text: str
    part: type

    def has_choice(self, value: str) -> bool:
        """Whether ``value`` is one of the choices; installed packages are looked at only if none fits."""
        bare = next((value.removesuffix(end) for end in self.endings if value.endswith(end)), value)
        return bare in self.choices or bare in self.added_choices()

    def added_choices(self) -> tuple[str, ...]:
        """The choices that installed packages add."""
        return tuple(plugin_names(self.plugins)) if self.plugins is not None else ()

    def choices_text(self, choices: tuple[str, ...]) -> str:
        """These choices in words."""
        endings = f", with {' or '.join(self.endings)} if compressed" if self.endings else ""
        return ", ".join(choices) + endings

    def allowed(self, with_added: bool = True) -> str:
        """What values this option takes, in words, for error messages and tables.

        Args:
            with_added: also those that installed packages add; looking for them takes some 50 ms.
        """
        if self.choices:
            text = self.choices_text((*self.choices, *(self.added_choices() if with_added else ())))
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
    choices: Callable[[], tuple[str, ...]] | None = None,
    endings: tuple[str, ...] = (),
    plugins: str | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
    endless: bool = False,
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
        choices: gives the texts it may take, where its type does not say them.
        endings: what may stand behind each choice.
        plugins: the group of entry points with which packages add choices.
        minimum, maximum: inclusive bounds; above: an exclusive lower bound.
        endless: whether infinity is a value of it.
        shapes_output: whether two runs that differ in it make different datasets.
        secret: its value is never shown.
        default_text: how the default reads in help, where the value alone does not say it.
    """
    metadata = {
        "help": help,
        "unit": unit,
        "group": group,
        "choices": choices,
        "endings": endings,
        "plugins": plugins,
        "minimum": minimum,
        "maximum": maximum,
        "above": above,
        "endless": endless,
        "shapes_output": shapes_output,
        "secret": secret,
        "default_text": default_text,
    }
    return dataclasses.field(default=default, metadata=metadata)
