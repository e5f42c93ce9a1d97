"""Additional columns of json, jsonl and Python lists: Python values → Arrow arrays of one chosen type.

The type is the one Arrow infers from the first block of a file. Used by ``records.py``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from img2dataset.reading.columns import ARROW_ERRORS, json_text, string_array, without_surrogates
from img2dataset.reading.rows import Warnings


class ValueColumn:
    """One column of one file: ``choose_type`` on its first values, then ``array`` for any of its values."""

    def __init__(self, name: str, where: str, warnings: Warnings, fixed_type: Any = None) -> None:
        self.name = name
        self.where = where
        self.warnings = warnings
        self.type = fixed_type

    def choose_type(self, values: Sequence[Any]) -> None:
        """Take the type of these values. Values of several types are kept as text, in JSON.

        So is a column that has shown nothing but nulls (a later value could not be kept in a column
        of nulls), and one of empty objects, which parquet cannot store.
        """
        if self.type is not None:
            return
        try:
            self.type = inferred_array(values).type
        except ARROW_ERRORS:
            self.type = pa.string()
            self.warnings.once(
                "mixed",
                self.name,
                f'column "{self.name}" of {self.where} holds values of several types; it is kept as text, '
                "values that are not strings as JSON",
            )
        if pa.types.is_null(self.type) or has_empty_struct(self.type):
            self.type = pa.string()

    def array(self, values: Sequence[Any], first_row: int) -> Any:
        """``values`` as the chosen type; what does not fit becomes null, with one warning a column."""
        if pa.types.is_string(self.type):
            return string_array(
                [value if value is None or isinstance(value, str) else json_text(value) for value in values]
            )
        try:
            inferred = inferred_array(values)
        except ARROW_ERRORS:
            return self._each(values, first_row)
        if inferred.type == self.type:
            return inferred
        if pa.types.is_null(inferred.type):
            return pa.nulls(len(values), self.type)
        return self._each(values, first_row)

    def _each(self, values: Sequence[Any], first_row: int) -> Any:
        kept = []
        for index, value in enumerate(values):
            stored, outcome = self._stored(value)
            kept.append(stored)
            if outcome == "misfit":
                self.misfit(value, first_row + index)
            elif outcome == "unknown key":
                self.warnings.once(
                    "key",
                    self.name,
                    f'column "{self.name}" of {self.where}: row {first_row + index + 1} has keys not seen at '
                    "the top of the file; such keys are left out (said once a column)",
                )
        return pa.array(kept, self.type)

    def _stored(self, value: Any) -> tuple[Any, str]:
        """The value as the type holds it, and whether that is all of it.

        Arrow would cut 1.5 to 1 in a column of integers and drop unknown keys of a struct, both in
        silence: so what it stored is compared with what was given.
        """
        if value is None:
            return None, "same"
        try:
            stored = pa.array([value], self.type)[0].as_py()
        except UnicodeEncodeError:
            return self._stored(cleaned(value))
        except ARROW_ERRORS:
            return None, "misfit"
        outcome = compared(value, stored)
        return (None if outcome == "misfit" else stored), outcome

    def misfit(self, value: Any, row_index: int) -> None:
        text = value if isinstance(value, str) else json_text(value)
        self.warnings.misfit(self.name, text, row_index + 1, self.where, str(self.type))


class BoxColumn(ValueColumn):
    """Bounding boxes: lists of four numbers; csv has them as JSON text.

    Boxes that cannot be read become one empty box, which is none at all, so that the row fails where
    boxes are checked: as null it would pass with its faces unblurred.
    """

    def __init__(self, name: str, where: str, warnings: Warnings) -> None:
        super().__init__(name, where, warnings, pa.list_(pa.list_(pa.float64())))

    def look_at(self, values: Sequence[Any]) -> None:
        """Boxes have their type whatever they hold."""

    def array(self, values: Sequence[Any], first_row: int) -> Any:
        boxes = []
        for value in values:
            if isinstance(value, str):
                value = parsed_boxes(value)
            stored, outcome = self._stored(value)
            boxes.append([[]] if outcome != "same" else stored)
        return pa.array(boxes, self.type)


def parsed_boxes(text: str) -> Any:
    if not text.strip():
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def compared(value: Any, stored: Any) -> str:
    """``same``, ``unknown key`` if only keys of objects are missing from ``stored``, or ``misfit``."""
    if isinstance(value, dict):
        if not isinstance(stored, dict):
            return "misfit"
        outcomes = [compared(value[key], stored[key]) if key in stored else "unknown key" for key in value]
    elif isinstance(value, (list, tuple)):
        if not isinstance(stored, list) or len(stored) != len(value):
            return "misfit"
        outcomes = [compared(one, other) for one, other in zip(value, stored, strict=True)]
    else:
        if isinstance(value, bool) is not isinstance(stored, bool):
            return "misfit"
        return "same" if equal(value, stored) else "misfit"
    return next((bad for bad in ("misfit", "unknown key") if bad in outcomes), "same")


def equal(value: Any, stored: Any) -> bool:
    try:
        return bool(value == stored) or bool(value != value and stored != stored)
    except ValueError:  # an array of another library, which has no one truth
        return False


def has_empty_struct(kind: Any) -> bool:
    if pa.types.is_struct(kind) and kind.num_fields == 0:
        return True
    return any(has_empty_struct(kind.field(index).type) for index in range(kind.num_fields))


def inferred_array(values: Sequence[Any]) -> Any:
    """``values`` as the type Arrow infers; lone surrogates, looked for only where met, are replaced."""
    try:
        return pa.array(values)
    except UnicodeEncodeError:
        return pa.array([cleaned(value) for value in values])


def cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return without_surrogates(value)
    if isinstance(value, dict):
        return {cleaned(key): cleaned(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [cleaned(item) for item in value]
    return value
