"""A list read by place, beside the same list read from its beginning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from img2dataset.errors import InputError
from img2dataset.options import InputOptions
from img2dataset.reading import Reader, ShardReader, open_reader
from img2dataset.types import RowsSpec, Shard, ShardSpec, spec_of_json


def given(shards: Iterator[Shard]) -> tuple[list[Shard], str | None]:
    """The shards before the error, and the error."""
    found = []
    try:
        found.extend(shards)
    except InputError as error:
        return found, str(error)
    return found, None


def read_by_place(reader: Reader, options: InputOptions, *plan: Any) -> Iterator[Shard]:
    """The shards of ``reader.plan(*plan)``, each read from its text by one who knows the options alone."""
    shard_reader = ShardReader(options)
    for spec in reader.plan(*plan):
        yield shard_reader.read(spec_of_json(spec.to_json()))


def assert_same(found: Shard, expected: Shard) -> None:
    assert found.shard_id == expected.shard_id
    assert found.rows.schema.equals(expected.rows.schema, check_metadata=True)
    # By Python values too: Arrow finds no number equal to one that is none.
    assert found.rows.equals(expected.rows) or str(found.rows.to_pylist()) == str(expected.rows.to_pylist())
    assert dict(found.invalid_urls) == dict(expected.invalid_urls)


def assert_planned_as_read(options: InputOptions, rows_per_shard: int, *plan: Any) -> int | None:
    """Plan and read a list; returns the number of its shards, None for one that cannot be opened."""
    try:
        reader = open_reader(options, rows_per_shard)
    except InputError:
        return None
    expected, expected_error = given(reader.shards(*plan))
    rows_of_files = reader.rows_of_files
    found, error = given(read_by_place(open_reader(options, rows_per_shard), options, *plan))
    assert [shard.shard_id for shard in found] == [shard.shard_id for shard in expected]
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)
    assert error == expected_error
    list_again = given(read_by_place(reader, options, *plan))
    assert len(list_again[0]) == len(expected)
    assert reader.rows_of_files == rows_of_files
    return len(expected)


def specs_by_place(reader: Reader) -> list[ShardSpec]:
    """The plan of a list that can be entered in the middle."""
    specs = list(reader.plan())
    assert not any(isinstance(spec, RowsSpec) for spec in specs)
    return [spec for spec in specs if isinstance(spec, ShardSpec)]
