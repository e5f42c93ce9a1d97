from __future__ import annotations

import datetime
import decimal
import json
from typing import Any

import pyarrow as pa
import pytest

from img2dataset.formats.column_values import column_values
from img2dataset.formats.examples import feature_of
from img2dataset.formats.json_text import json_text

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
    assert json.loads(json_text(values)) == expected


def test_a_column_in_several_chunks_keeps_its_order() -> None:
    column = pa.chunked_array([pa.array([0, 1], pa.date32()), pa.array([2], pa.date32())])
    assert column_values(column, for_json=True)[0] == ["1970-01-01", "1970-01-02", "1970-01-03"]


@pytest.mark.parametrize(
    ("value", "data_type", "expected"),
    [
        (2**31 - 1, pa.date32(), "+5881580-07-11"),
        (2_932_896, pa.date32(), "9999-12-31"),
        (2_932_897, pa.date32(), "+10000-01-01"),
        (-719_162, pa.date32(), "0001-01-01"),
        (-719_163, pa.date32(), "+0000-12-31"),
        (-719_529, pa.date32(), "-0001-12-31"),
        (-(2**31), pa.date32(), "-5877641-06-23"),
        (1_700_000_000_123, pa.timestamp("s"), "+55840-11-08T22:15:23"),
        (1 - 2**63, pa.timestamp("ns"), "1677-09-21T00:12:43.145224193"),
        (2**63 - 1, pa.timestamp("us"), "+294247-01-10T04:00:54.775807"),
    ],
)
def test_years_that_datetime_does_not_know_cost_no_row(
    value: int, data_type: pa.DataType, expected: str
) -> None:
    assert values_of(array([value], data_type)) == [expected, None]
    numpy_text = str(pa.array([value], data_type).to_numpy(zero_copy_only=False)[0])
    assert numpy_text == expected.removeprefix("+").replace("-0001", "-001")  # NumPy's own way


def test_a_late_timestamp_deep_in_a_nested_value_costs_no_row() -> None:
    nested = pa.array([[{"t": 0}], [{"t": 2**40}]], pa.list_(pa.struct({"t": pa.timestamp("s")})))
    assert values_of(nested) == [[{"t": "1970-01-01T00:00:00"}], [{"t": "+36812-02-20T00:36:16"}]]


def test_text_that_is_no_utf8_fails_its_row_alone() -> None:
    broken = pa.array([b"good", b"\xff\xfe", None], pa.binary())
    column = pa.Array.from_buffers(pa.string(), 3, broken.buffers())
    values, failures = column_values(pa.chunked_array([column]), for_json=True)
    assert values == ["good", None, None]
    assert failures == {1: "not valid UTF-8"}


def test_for_tfrecord_binary_stays_bytes_and_whole_numbers_have_a_sign() -> None:
    assert values_of(array([b"\x00\xff"], pa.binary()), for_json=False) == [b"\x00\xff", None]
    assert values_of(array([[b"\x00"]], pa.list_(pa.binary())), for_json=False) == [[b"\x00"], None]
    assert values_of(array([2**63 - 1], pa.uint64()), for_json=False) == [2**63 - 1, None]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (array([2**63], pa.uint64()), ["9223372036854775808", None]),
        (array([[1, 2**64 - 1]], pa.list_(pa.uint64())), [[1, "18446744073709551615"], None]),
        (array([2**64 - 59], pa.uint64()).dictionary_encode(), ["18446744073709551557", None]),
    ],
)
def test_for_tfrecord_a_number_that_int64_cannot_hold_is_text(column: pa.Array, expected: list[Any]) -> None:
    values = values_of(column, for_json=False)
    assert values == expected
    assert all(feature_of(value) for value in values)
