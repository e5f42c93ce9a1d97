"""Additional columns of csv and tsv: strings → Arrow arrays of one settled type.

The type is the one Arrow's csv reader infers from the first rows of a file: the conversion itself is
done by that reader, a column at a time, so that numbers, dates and nulls are understood as it does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.csv as arrow_csv

from img2dataset.reading.rows import Warnings

_INTEGER = re.compile(r"\s*[+-]?\d{1,19}\s*")


class TextColumn:
    """One column of one file: ``settle`` on its first values, then ``array`` for any of its values."""

    def __init__(self, name: str, where: str, warnings: Warnings) -> None:
        self.name = name
        self.where = where
        self.warnings = warnings
        self.type: Any = None
        self._empty_is_null = False

    def settle(self, values: Sequence[str | None]) -> None:
        """A column with nothing but empty values at the top is text, which can hold what comes later;
        its empty values are null.
        """
        if self.type is None:
            self.type = converted(values, None).type
            if pa.types.is_null(self.type):
                self.type = pa.string()
                self._empty_is_null = True

    def array(self, values: Sequence[str | None], first_row: int) -> Any:
        """``values`` as the settled type; what does not fit becomes null, with one warning a column."""
        if pa.types.is_string(self.type):
            return pa.array(
                [value or None for value in values] if self._empty_is_null else values, pa.string()
            )
        try:
            return converted(values, self.type)
        except pa.ArrowException:
            pass
        kept = list(values)
        plausible = _plausible(self.type)
        for index, value in enumerate(values):
            if value and not plausible(value) and not self._fits(value):
                kept[index] = None
                self._misfit(value, first_row + index)
        return pa.concat_arrays(self._parts(kept, first_row))

    def _parts(self, values: list[str | None], first_row: int) -> list[Any]:
        """Halve what does not convert until the misfits stand alone."""
        try:
            return [converted(values, self.type)]
        except pa.ArrowException:
            if len(values) == 1:
                self._misfit(values[0] or "", first_row)
                return [pa.nulls(1, self.type)]
        middle = len(values) // 2
        return self._parts(values[:middle], first_row) + self._parts(values[middle:], first_row + middle)

    def _fits(self, value: str) -> bool:
        try:
            converted([value], self.type)
        except pa.ArrowException:
            return False
        return True

    def _misfit(self, value: str, row_index: int) -> None:
        self.warnings.misfit(self.name, value, row_index + 1, self.where, str(self.type))


def converted(values: Sequence[str | None], kind: Any) -> Any:
    """Strings → an array as Arrow's csv reader makes it; ``kind`` None infers the type.

    A missing value (None) is null; in a column of strings an empty one is an empty string.
    """
    if not values:
        return pa.nulls(0, kind or pa.null())
    texts = ["" if value is None else value for value in values]
    if any('"' in text for text in texts):
        texts = [text.replace('"', '""') for text in texts]
    content = ('"' + '"\n"'.join(texts) + '"\n').encode()
    table = arrow_csv.read_csv(
        pa.BufferReader(content),
        # One block: the type is inferred from all of it.
        read_options=arrow_csv.ReadOptions(
            column_names=["value"], block_size=len(content) + 1, use_threads=False
        ),
        parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(column_types={"value": kind} if kind is not None else {}),
    )
    return table.column(0).combine_chunks()


def _plausible(kind: Any) -> Callable[[str], bool]:
    """A quick look at whether a value may be of a type, for columns with many misfits."""
    if pa.types.is_integer(kind):
        return lambda value: _INTEGER.fullmatch(value) is not None
    if pa.types.is_floating(kind):
        return _is_number
    return lambda value: True


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
