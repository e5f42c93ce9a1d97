"""Callables that are joined with ``>>``: the way data pipelines of training code are written.

``Operator`` is what ``ImageLoader`` is; ``Pipeline`` is several callables in a row, transforms among them.
Both have ``operators``, a list, which is all that the pipelines of other projects ask of what is joined to
theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


class Operator:
    """Something to call with one value. ``first >> second`` is a ``Pipeline``, of plain functions too."""

    def __call__(self, value: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must say what it does with a value")

    @property
    def operators(self) -> list[Any]:
        """The steps of this operator, in order: itself."""
        return [self]

    def __rshift__(self, following: Callable[[Any], Any]) -> Pipeline:
        return Pipeline([*self.operators, *_steps(following)])

    def __rrshift__(self, previous: Callable[[Any], Any]) -> Pipeline:
        return Pipeline([*_steps(previous), *self.operators])


class Pipeline(Operator):
    """Operators in a row: each is called with what the one before returned."""

    def __init__(self, operators: Sequence[Callable[[Any], Any]]):
        for operator in operators:
            if not callable(operator):
                raise TypeError(f"{operator!r} cannot be a step of a pipeline: it is not callable")
        self._operators = list(operators)

    def __call__(self, value: Any) -> Any:
        for operator in self._operators:
            value = operator(value)
        return value

    @property
    def operators(self) -> list[Any]:
        """The steps, in order."""
        return self._operators

    def __repr__(self) -> str:
        return " >> ".join(map(repr, self._operators))


def _steps(operator: Any) -> list[Any]:
    steps = getattr(operator, "operators", None)
    return list(steps) if isinstance(steps, list) else [operator]
