"""HTML and SVG, made so that no text can become markup: all that is no ``Markup`` is escaped.

Lists, folders and servers are written by anybody: a caption with a script in it, or with a terminal's escape
sequences, is shown as it is written.
"""

from __future__ import annotations

import html

from img2dataset.printable import printable

_WITHOUT_END = frozenset({"br", "hr", "img", "input", "link", "meta"})


class Markup(str):
    """Markup; made by ``element`` and ``join``, or of constants of this program."""

    __slots__ = ()


def escaped(value: object) -> Markup:
    """A value as text, with control characters and what turns the direction of text as ``\\x1b``."""
    if isinstance(value, Markup):
        return value
    return Markup(html.escape(printable(str(value)), quote=True))


def join(*children: object) -> Markup:
    """Markup and texts one after another; None is nothing."""
    return Markup("".join(escaped(child) for child in children if child is not None))


def element(name: str, *children: object, **attributes: object) -> Markup:
    """One element.

    Args:
        name: of it, a constant.
        children: markup, and texts, which are escaped; None is left out.
        attributes: an underline at the end of a name is left out, others stand for hyphens; those that are
            None or False are left out, True has no value.
    """
    written = []
    for key, value in attributes.items():
        key = key.rstrip("_").replace("_", "-")
        if value is None or value is False:
            continue
        written.append(f" {key}" if value is True else f' {key}="{escaped(_number(value))}"')
    start = f"<{name}{''.join(written)}>"
    if name in _WITHOUT_END:
        return Markup(start)
    return Markup(f"{start}{join(*children)}</{name}>")


def _number(value: object) -> object:
    """Coordinates to a tenth of a pixel: a page has thousands."""
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else value
