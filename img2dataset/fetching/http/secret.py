"""A text that must not be seen: passwords, tokens, cookies. Picklable, for workers; unreadable in any log."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """``reveal`` is the one way to the text: not ``str``, ``repr``, ``format``, nor JSON."""

    _text: str

    def reveal(self) -> str:
        """The text itself, for the wire."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__
