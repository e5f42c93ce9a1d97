"""Lists written to real files, and read back the way the program does."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from img2dataset.options import InputOptions
from img2dataset.reading import Reader, open_reader
from img2dataset.types import Shard

Write = Callable[..., Path]
Read = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """``write("a.csv", text or bytes)`` → the path; names ending in .gz are compressed."""

    def write_list(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content.encode() if isinstance(content, str) else content
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write_list


@pytest.fixture
def reader() -> Callable[..., Reader]:
    """``reader(list, format, **settings)`` → an opened reader."""

    def opened(url_list: Any, input_format: str, rows_per_shard: int = 10_000, **settings: Any) -> Reader:
        return open_reader(
            InputOptions(url_list=url_list, input_format=input_format, **settings), rows_per_shard
        )

    return opened


@pytest.fixture
def shards(reader: Callable[..., Reader]) -> Callable[..., list[Shard]]:
    """All shards of a list."""

    def all_shards(url_list: Any, input_format: str, **settings: Any) -> list[Shard]:
        return list(reader(url_list, input_format, **settings).shards())

    return all_shards


@pytest.fixture
def rows(shards: Callable[..., list[Shard]]) -> Read:
    """All rows of a list, as dictionaries."""

    def all_rows(url_list: Any, input_format: str, **settings: Any) -> list[dict[str, Any]]:
        return [row for shard in shards(url_list, input_format, **settings) for row in shard.rows.to_pylist()]

    return all_rows
