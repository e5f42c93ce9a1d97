"""A whole page in one file, that asks for nothing outside of it.

Beside that all its text is escaped, the page itself forbids whatever is not in it: its policy names the one
style and the one script by their hashes.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from importlib import import_module
from pathlib import Path
from string import Template

from img2dataset.reporting.page.markup import Markup, escaped


def whole_page(title: str, body: Markup, script: str = "", style: str = "") -> str:
    """The HTML of a page.

    Args:
        title: of it, any text.
        body: what is in it.
        script: a constant of this program.
        style: what follows the common one; a constant of this program.
    """
    styles = asset("style.css") + style
    policy = f"default-src 'none'; img-src data:; style-src {_hash_of(styles)}"
    policy += f"; script-src {_hash_of(script)}" if script else ""
    return Template(asset("page.html")).substitute(
        title=escaped(title),
        policy=escaped(policy),
        style=styles,
        body=body,
        script=f"<script>{script}</script>" if script else "",
    )


@functools.cache
def asset(name: str, package: str = "img2dataset.reporting.page") -> str:
    """A file of the package as text."""
    folder = Path(import_module(package).__file__ or "").parent
    return (folder / name).read_text(encoding="utf-8")


def _hash_of(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
