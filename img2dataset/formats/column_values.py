"""The input's columns as Python values that JSON and ``tf.train.Example`` know.

In: an Arrow column of any type. Out: one Python value a row, and a reason for each row whose value
cannot be written. Called by ``SampleJson`` and the tfrecord writer when a shard is opened.

| Arrow type | value |
| --- | --- |
| null, boolean, integers, floats, strings | as they are |
| a whole number that is to have 64 bits with a sign, and needs more | string with every digit |
| timestamp, date, time | ISO 8601 string; a timestamp with a time zone is given in UTC (``+00:00``) |
| the same outside the years 1 to 9999 | as in ISO 8601, the year with its sign: ``+52000-01-01`` |
| duration | ISO 8601 string (``PT1.5S``) |
| decimal | string with every digit |
| binary | base64 string for JSON, bytes for tfrecord |
| list, struct | list, object, of the same |
| map | list of [key, value] pairs: keys need not be strings, nor unique |
| dictionary, extension | the value they stand for |
"""

from __future__ import annotations

import base64
import datetime
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from img2dataset.formats.json_text import json_text

if TYPE_CHECKING:
    import pyarrow as pa

_EPOCH = datetime.datetime(1970, 1, 1)
_DAYS_OF_400_YEARS = 146_097
_FRACTION_DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}


def column_values(column: pa.ChunkedArray, *, for_json: bool) -> tuple[list[Any], dict[int, str]]:
    """Every value of a column, and why those that have none cannot be written.

    Args:
        column: of any Arrow type.
        for_json: binary becomes base64, and whole numbers are unbounded; otherwise binary stays bytes,
            and whole numbers beyond 64 bits with a sign become text.

    Returns:
        The values, one a row, None where a row's value is null or cannot be written; and the reasons of
        the latter by row.
    """
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if _converts_itself(column.type, for_json):
        try:
            return column.to_pylist(), {}
        except UnicodeDecodeError:
            pass  # some row is no UTF-8: find out which
    convert = _conversion(column.type, for_json)
    values: list[Any] = []
    failures: dict[int, str] = {}
    for index, scalar in enumerate(column):
        value, failure = _value_or_reason(convert, scalar)
        values.append(value)
        if failure is not None:
            failures[index] = failure
    return values, failures


def _value_or_reason(convert: Callable[[Any], Any], scalar: Any) -> tuple[Any, str | None]:
    try:
        return convert(scalar), None
    except (ValueError, OverflowError, TypeError, ArithmeticError) as error:
        return None, _reason(error)


def _reason(error: Exception) -> str:
    """A short reason without the value: failures are counted by their text."""
    if isinstance(error, UnicodeDecodeError):
        return "not valid UTF-8"
    if isinstance(error, OverflowError):
        return "out of range"
    return type(error).__name__


def _converts_itself(data_type: pa.DataType, for_json: bool) -> bool:
    """Whether ``to_pylist`` gives the right values: several times as fast as one value at a time."""
    from pyarrow import types

    if types.is_uint64(data_type):
        return for_json
    if types.is_list(data_type) or types.is_large_list(data_type) or types.is_fixed_size_list(data_type):
        return _converts_itself(data_type.value_type, for_json)
    if types.is_struct(data_type):
        fields = [data_type.field(position) for position in range(data_type.num_fields)]
        return len({field.name for field in fields}) == len(fields) and all(
            _converts_itself(field.type, for_json) for field in fields
        )
    return any(
        is_type(data_type)
        for is_type in (
            types.is_null,
            types.is_boolean,
            types.is_integer,
            types.is_float32,
            types.is_float64,
            types.is_string,
            types.is_large_string,
        )
    )


def _conversion(data_type: pa.DataType, for_json: bool) -> Callable[[Any], Any]:
    """The function from an Arrow scalar of this type to its value."""
    convert = _conversion_of_valid(data_type, for_json)
    return lambda scalar: convert(scalar) if scalar.is_valid else None


def _conversion_of_valid(data_type: pa.DataType, for_json: bool) -> Callable[[Any], Any]:
    from pyarrow import types

    if types.is_timestamp(data_type):
        unit, zone = data_type.unit, "+00:00" if data_type.tz else ""
        return lambda scalar: _iso_timestamp(scalar.value, unit) + zone
    if types.is_date32(data_type):
        return lambda scalar: _iso_date(scalar.value)
    if types.is_date64(data_type):
        return lambda scalar: _iso_date(scalar.value // 86_400_000)
    if types.is_time(data_type):
        unit = data_type.unit
        return lambda scalar: _iso_timestamp(scalar.value, unit).partition("T")[2]
    if types.is_duration(data_type):
        unit = data_type.unit
        return lambda scalar: _iso_duration(scalar.value, unit)
    if types.is_decimal(data_type):
        return lambda scalar: format(scalar.as_py(), "f")
    if _is_binary(data_type):
        if for_json:
            return lambda scalar: base64.b64encode(scalar.as_py()).decode("ascii")
        return lambda scalar: scalar.as_py()
    if types.is_uint64(data_type) and not for_json:
        return lambda scalar: _number_or_text(scalar.as_py())
    if types.is_float16(data_type):
        return lambda scalar: float(scalar.as_py())
    return _nested_conversion(data_type, for_json)


def _nested_conversion(data_type: pa.DataType, for_json: bool) -> Callable[[Any], Any]:
    import pyarrow as pa

    if pa.types.is_map(data_type):
        key = _conversion(data_type.key_type, for_json)
        item = _conversion(data_type.item_type, for_json)
        return lambda scalar: [[key(entry[0]), item(entry[1])] for entry in scalar.values]
    if pa.types.is_struct(data_type):
        names = [data_type.field(position).name for position in range(data_type.num_fields)]
        fields = [
            _conversion(data_type.field(position).type, for_json) for position in range(data_type.num_fields)
        ]
        return lambda scalar: {
            name: convert(scalar[position])
            for position, (name, convert) in enumerate(zip(names, fields, strict=True))
        }
    if pa.types.is_dictionary(data_type):
        dictionary_value = _conversion(data_type.value_type, for_json)
        return lambda scalar: dictionary_value(pa.scalar(scalar.as_py(), type=data_type.value_type))
    if isinstance(data_type, pa.BaseExtensionType):
        storage = _conversion(data_type.storage_type, for_json)
        return lambda scalar: storage(scalar.value)
    if hasattr(data_type, "value_type"):  # every kind of list
        item = _conversion(data_type.value_type, for_json)
        if pa.types.is_run_end_encoded(data_type):
            return lambda scalar: item(pa.scalar(scalar.as_py(), type=data_type.value_type))
        return lambda scalar: [item(element) for element in scalar.values]
    return _plain_value


def _plain_value(scalar: Any) -> Any:
    """What Arrow says the value is, if it can be written (unions, intervals, future types)."""
    value = scalar.as_py()
    json_text(value)
    return value


def _is_binary(data_type: pa.DataType) -> bool:
    from pyarrow import types

    return bool(
        types.is_binary(data_type)
        or types.is_large_binary(data_type)
        or types.is_fixed_size_binary(data_type)
        or str(data_type) == "binary_view"
    )


def _number_or_text(value: int) -> int | str:
    """Text, as decimals are, for what int64 cannot hold: a hash of 64 bits costs no row its image."""
    return value if value < 1 << 63 else str(value)


def _iso_date(days: int) -> str:
    """The date so many days after 1970-01-01, of any year.

    Seconds taken for milliseconds and the like give years beyond 9999, which ``datetime`` does not know:
    the calendar comes round every 400 years.
    """
    cycles, day_of_cycle = divmod(days, _DAYS_OF_400_YEARS)
    date = (_EPOCH + datetime.timedelta(days=day_of_cycle)).date()
    year = date.year + 400 * cycles
    signed = f"{year:04d}" if 1 <= year <= 9999 else f"{year:+05d}"
    return f"{signed}-{date:%m-%d}"


def _iso_timestamp(value: int, unit: str) -> str:
    """Arithmetic of our own: Arrow's needs pandas for nanoseconds, and a time zone database."""
    digits = _FRACTION_DIGITS[unit]
    seconds, fraction = divmod(value, 10**digits)
    days, second_of_day = divmod(seconds, 86_400)
    time = (_EPOCH + datetime.timedelta(seconds=second_of_day)).time()
    text = f"{_iso_date(days)}T{time.isoformat()}"
    return f"{text}.{fraction:0{digits}d}" if fraction else text


def _iso_duration(value: int, unit: str) -> str:
    digits = _FRACTION_DIGITS[unit]
    seconds, fraction = divmod(abs(value), 10**digits)
    decimals = f".{fraction:0{digits}d}".rstrip("0") if fraction else ""
    return f"{'-' if value < 0 else ''}PT{seconds}{decimals}S"
