"""What must hold of any bytes that are given for a list of URLs. Bytes go in; a broken promise raises.

Called by the fuzzers and, with what they once found, by the tests.
"""

from __future__ import annotations

import os
import tempfile
from functools import lru_cache

from img2dataset.errors import InputError
from img2dataset.options import InputOptions
from img2dataset.reading import open_reader


def check_txt(data: bytes) -> None:
    """Every line that is not blank is a row, however the list is cut into shards."""
    rows = _check_list(data, "txt")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return
    if rows is not None:
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        assert rows == [line.strip() for line in lines if line.strip()]


def check_csv(data: bytes) -> None:
    """The same rows however the list is cut into shards, or an error that names the file."""
    _check_list(data, "csv")


def check_jsonl(data: bytes) -> None:
    """The same of a list of JSON objects."""
    _check_list(data, "jsonl")


def _check_list(data: bytes, input_format: str) -> list[str | None] | None:
    path = os.path.join(_folder(), f"list.{input_format}")
    with open(path, "wb") as file:
        file.write(data)
    whole = _read(path, input_format, 1_000_000)
    assert _read(path, input_format, 3) == whole
    return whole


def _read(path: str, input_format: str, rows_per_shard: int) -> list[str | None] | None:
    """The URLs of all shards; None if the list is refused."""
    urls: list[str | None] = []
    numbers = []
    try:
        options = InputOptions(url_list=path, input_format=input_format)
        for shard in open_reader(options, rows_per_shard).shards():
            assert 0 < shard.rows.num_rows <= rows_per_shard
            assert set(shard.invalid_urls) <= set(range(shard.rows.num_rows))
            numbers.append(shard.shard_id)
            urls += shard.rows.column("url").to_pylist()
    except InputError as error:
        _check_names(path, str(error))
        return None
    assert numbers == list(range(len(numbers)))
    return urls


def _check_names(path: str, error: str) -> None:
    assert os.path.basename(path) in error, error


@lru_cache(maxsize=1)
def _folder() -> str:
    memory = "/dev/shm"
    return tempfile.mkdtemp(prefix="fuzzing-", dir=memory if os.access(memory, os.W_OK) else None)
