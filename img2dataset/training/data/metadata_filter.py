"""A condition on metadata in, an Arrow expression out: ``"width >= 512 and caption is not None"``.

Called by ``ShardDataset``. The text is read as a Python expression and only comparisons of columns with plain
values, ``in``, ``and``, ``or`` and ``not`` are taken: nothing is evaluated.
"""

from __future__ import annotations

import ast
from collections.abc import Collection
from typing import Any

from img2dataset.errors import OptionError

_COMPARISONS: dict[type[ast.cmpop], Any] = {
    ast.Eq: lambda column, value: column == value,
    ast.NotEq: lambda column, value: column != value,
    ast.Lt: lambda column, value: column < value,
    ast.LtE: lambda column, value: column <= value,
    ast.Gt: lambda column, value: column > value,
    ast.GtE: lambda column, value: column >= value,
}


def filter_expression(where: str, columns: Collection[str]) -> Any:
    """The ``pyarrow.compute.Expression`` of a condition.

    Raises:
        OptionError: it is no condition, or names a column that does not exist.
    """
    try:
        tree = ast.parse(where.strip(), mode="eval")
        return _Condition(where, columns).expression(tree.body)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if isinstance(error, OptionError):
            raise
        raise OptionError(f"where is {where!r}, which is no condition such as 'width >= 512'") from None


class _Condition:
    def __init__(self, where: str, columns: Collection[str]):
        self._where = where
        self._columns = columns

    def expression(self, node: ast.expr) -> Any:
        if isinstance(node, ast.BoolOp):
            parts = [self.expression(value) for value in node.values]
            joined = parts[0]
            for part in parts[1:]:
                joined = joined & part if isinstance(node.op, ast.And) else joined | part
            return joined
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return ~self.expression(node.operand)
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            parts = [self._compared(*one) for one in zip(sides, node.ops, sides[1:], strict=False)]
            joined = parts[0]
            for part in parts[1:]:
                joined = joined & part
            return joined
        raise self._error("compare a column with a value, and join with and, or, not")

    def _compared(self, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> Any:
        if isinstance(operator, (ast.In, ast.NotIn)):
            inside = self._term(left).isin(self._values(right))
            return inside if isinstance(operator, ast.In) else ~inside
        if isinstance(right, ast.Constant) and right.value is None:
            if isinstance(operator, (ast.Is, ast.Eq)):
                return self._term(left).is_null()
            if isinstance(operator, (ast.IsNot, ast.NotEq)):
                return ~self._term(left).is_null()
        compare = _COMPARISONS.get(type(operator))
        if compare is None:
            raise self._error("it takes ==, !=, <, <=, >, >=, in, not in, is None and is not None")
        return compare(self._term(left), self._term(right))

    def _term(self, node: ast.expr) -> Any:
        import pyarrow.compute as pc

        if isinstance(node, ast.Name):
            if node.id not in self._columns:
                raise self._error(f"there is no column {node.id!r}; there are {', '.join(self._columns)}")
            return pc.field(node.id)
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div, ast.Add, ast.Sub)):
            left, right = self._term(node.left), self._term(node.right)
            if isinstance(node.op, ast.Mult):
                return left * right
            if isinstance(node.op, ast.Div):
                return left.cast("float64") / right
            return left + right if isinstance(node.op, ast.Add) else left - right
        return pc.scalar(self._constant(node))

    def _values(self, node: ast.expr) -> list[Any]:
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            return [self._constant(one) for one in node.elts]
        raise self._error("in takes a list of values")

    def _constant(self, node: ast.expr) -> Any:
        try:
            return ast.literal_eval(node)
        except ValueError:
            raise self._error("values are numbers, texts, True and False") from None

    def _error(self, reason: str) -> OptionError:
        return OptionError(f"where is {self._where!r}: {reason}")
