"""Additional columns of csv and tsv: strings → Arrow arrays of one chosen type.

The type is the one Arrow's csv reader infers, where all of a file agrees on it and a number gives back the
text that it was: 000123 is no number, and neither is 2.50. The conversion itself is done by that reader, a
column at a time, so that dates and nulls are understood as it does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.csv as arrow_csv


class TextColumn:
    """One column of one file: ``look_at`` all its values, ``choose_type``, then ``array`` for any of them."""

    def __init__(self) -> None:
        self.type: Any = None
        self.empty_is_null = False
        self._seen: Any = None

    def look_at(self, values: Sequence[str | None]) -> None:
        """Take account of a batch of values: the column has a type only if all batches have the same."""
        if self._seen is not None and pa.types.is_string(self._seen):
            return
        kind = _kind_of(values)
        if self._seen is None or pa.types.is_null(self._seen):
            self._seen = kind
        elif kind != self._seen and not pa.types.is_null(kind):
            self._seen = pa.string()

    def choose_type(self, values: Sequence[str | None]) -> None:
        """Take the type that was seen. A column of which nothing was, or nothing but empty values, is text,
        which can hold what comes; its empty values are then null, if ``values``, its first, are all empty.
        """
        if self.type is None:
            self.type = self._seen if self._seen is not None else pa.string()
            if pa.types.is_null(self.type):
                self.type = pa.string()
            self.empty_is_null = pa.types.is_string(self.type) and not any(values)

    def array(self, values: Sequence[str | None], first_row: int) -> Any:
        """``values`` as the chosen type, which fits all of the file, wherever they stand in it."""
        if pa.types.is_string(self.type):
            return pa.array(
                [value or None for value in values] if self.empty_is_null else values, pa.string()
            )
        return converted(values, self.type)


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


def _kind_of(values: Sequence[str | None]) -> Any:
    """The type that Arrow infers of these values, if it gives every text back; else text."""
    array = converted(values, None)
    if pa.types.is_integer(array.type) or pa.types.is_floating(array.type):
        for text, number in zip(values, array.to_pylist(), strict=True):
            if number is not None and text != repr(number):
                return pa.string()
    return array.type
