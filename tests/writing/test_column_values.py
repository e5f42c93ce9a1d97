from __future__ import annotations

import datetime
import decimal
import json
from typing import Any

import pyarrow as pa
import pytest

from img2dataset.writing.column_values import column_values
from img2dataset.writing.json_text import value_text

utc = datetime.timezone.utc


def values_of(array: pa.Array, for_json: bool = True) -> list[Any]:
    values, failures = column_values(pa.chunked_array([array]), for_json=for_json)
    assert failures == {}
    return values


def array(values: list[Any], data_type: pa.DataType) -> pa.Array:
    return pa.array([*values, None], data_type)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (array([1, -2], pa.int8()), [1, -2, None]),
        (array([2**64 - 1], pa.uint64()), [2**64 - 1, None]),
        (array([True, False], pa.bool_()), [True, False, None]),
        (array([1.5], pa.float32()), [1.5, None]),
        (pa.array([1.5, None], pa.float64()).cast(pa.float16()), [1.5, None]),
        (array(["a", "\u00e9"], pa.large_string()), ["a", "\u00e9", None]),
        (array(["a"], pa.string_view()), ["a", None]),
        (pa.nulls(2), [None, None]),
        (array([1_700_000_000], pa.timestamp("s")), ["2023-11-14T22:13:20", None]),
        (array([1_700_000_000_123], pa.timestamp("ms")), ["2023-11-14T22:13:20.123", None]),
        (array([1_700_000_000_000_001], pa.timestamp("us")), ["2023-11-14T22:13:20.000001", None]),
        (array([1_700_000_000_000_000_001], pa.timestamp("ns")), ["2023-11-14T22:13:20.000000001", None]),
        (array([-1], pa.timestamp("ms")), ["1969-12-31T23:59:59.999", None]),
        (array([0], pa.timestamp("s", "Europe/Paris")), ["1970-01-01T00:00:00+00:00", None]),
        (array([0], pa.timestamp("ns", "+02:00")), ["1970-01-01T00:00:00+00:00", None]),
        (array([datetime.date(1815, 6, 18)], pa.date32()), ["1815-06-18", None]),
        (array([datetime.date(1815, 6, 18)], pa.date64()), ["1815-06-18", None]),
        (array([datetime.time(23, 59, 1)], pa.time32("s")), ["23:59:01", None]),
        (array([datetime.time(1, 2, 3, 4)], pa.time64("us")), ["01:02:03.000004", None]),
        (array([1_500_000_000], pa.duration("ns")), ["PT1.5S", None]),
        (array([-61], pa.duration("s")), ["-PT61S", None]),
        (array([decimal.Decimal("12.340")], pa.decimal128(9, 3)), ["12.340", None]),
        (array([decimal.Decimal("-1e3")], pa.decimal256(50, -3)), ["-1000", None]),
        (array([b"\x00\xff"], pa.binary()), ["AP8=", None]),
        (array([b"\x00\xff"], pa.large_binary()), ["AP8=", None]),
        (array([b"\x00\xff"], pa.binary(2)), ["AP8=", None]),
        (array([[1, None], []], pa.list_(pa.int64())), [[1, None], [], None]),
        (array([[b"\x00"]], pa.list_(pa.binary())), [["AA=="], None]),
        (array([[0, None]], pa.list_(pa.date32(), 2)), [["1970-01-01", None], None]),
        (
            array([{"a": 1, "b": None}], pa.struct({"a": pa.int8(), "b": pa.string()})),
            [{"a": 1, "b": None}, None],
        ),
        (
            array(
                [{"when": 0, "who": ["x"]}],
                pa.struct({"when": pa.timestamp("s"), "who": pa.list_(pa.string())}),
            ),
            [{"when": "1970-01-01T00:00:00", "who": ["x"]}, None],
        ),
        (array([[("k", b"\x00")]], pa.map_(pa.string(), pa.binary())), [[["k", "AA=="]], None]),
        (pa.array(["x", None, "x"]).dictionary_encode(), ["x", None, "x"]),
        (pa.array([0, None], pa.date32()).dictionary_encode(), ["1970-01-01", None]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_every_arrow_type_has_a_value_that_json_can_write(column: pa.Array, expected: list[Any]) -> None:
    values = values_of(column)
    assert values == expected
    assert json.loads(value_text(values)) == expected


def test_a_column_in_several_chunks_keeps_its_order() -> None:
    column = pa.chunked_array([pa.array([0, 1], pa.date32()), pa.array([2], pa.date32())])
    assert column_values(column, for_json=True)[0] == ["1970-01-01", "1970-01-02", "1970-01-03"]


def test_a_date_that_no_calendar_has_fails_its_row_alone() -> None:
    column = pa.chunked_array([pa.array([0, 2**31 - 1, None, 1], pa.date32())])
    values, failures = column_values(column, for_json=True)
    assert values == ["1970-01-01", None, None, "1970-01-02"]
    assert failures == {1: "out of range"}


def test_a_timestamp_deep_in_a_nested_value_fails_its_row_alone() -> None:
    nested = pa.array([[{"t": 0}], [{"t": 2**60}]], pa.list_(pa.struct({"t": pa.timestamp("s")})))
    values, failures = column_values(pa.chunked_array([nested]), for_json=True)
    assert values == [[{"t": "1970-01-01T00:00:00"}], None]
    assert failures == {1: "out of range"}


def test_text_that_is_no_utf8_fails_its_row_alone() -> None:
    broken = pa.array([b"good", b"\xff\xfe", None], pa.binary())
    column = pa.Array.from_buffers(pa.string(), 3, broken.buffers())
    values, failures = column_values(pa.chunked_array([column]), for_json=True)
    assert values == ["good", None, None]
    assert failures == {1: "not valid UTF-8"}


def test_for_tfrecord_binary_stays_bytes_and_whole_numbers_have_a_sign() -> None:
    assert values_of(array([b"\x00\xff"], pa.binary()), for_json=False) == [b"\x00\xff", None]
    assert values_of(array([[b"\x00"]], pa.list_(pa.binary())), for_json=False) == [[b"\x00"], None]
    column = pa.chunked_array([array([2**63 - 1, 2**63], pa.uint64())])
    values, failures = column_values(column, for_json=False)
    assert values == [2**63 - 1, None, None]
    assert failures == {1: "out of range"}
