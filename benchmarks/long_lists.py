"""URL lists of any length over one small image, for ``memory.py``. Parquet, csv or txt, in batches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.servers import ADDRESSES

FORMATS = ("parquet", "csv", "txt")
BATCH_ROWS = 1_000_000  # about the row group pandas and pyarrow write by default: what lists are like


def write_long_list(path: Path, rows: int, port: int, image: str) -> None:
    """Write a list of ``rows`` different URLs of one image, and captions where the format has columns.

    Args:
        path: its ending is the format, one of ``FORMATS``.
        rows: how many.
        port: where the server listens, at all ``ADDRESSES``.
        image: the name of the image there.

    Raises:
        ValueError: another ending.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        _write_parquet(path, rows, port, image)
    elif path.suffix == ".csv":
        with open(path, "w") as target:
            target.write("url,caption\n")
            for first, batch in _batches(rows, port, image):
                lines = (f"{url},photograph number {first + n}\n" for n, url in enumerate(batch))
                target.writelines(lines)
    elif path.suffix == ".txt":
        with open(path, "w") as target:
            for _, batch in _batches(rows, port, image):
                target.writelines(f"{url}\n" for url in batch)
    else:
        raise ValueError(f"{path.name}: the format must be one of {', '.join(FORMATS)}")


def _batches(rows: int, port: int, image: str) -> Iterator[tuple[int, list[str]]]:
    """The URLs in batches, each with the number of its first row."""
    hosts = [f"http://{address}:{port}/{image}?" for address in ADDRESSES]
    for first in range(0, rows, BATCH_ROWS):
        numbers = range(first, min(rows, first + BATCH_ROWS))
        yield first, [f"{hosts[number % len(hosts)]}{number}" for number in numbers]


def _write_parquet(path: Path, rows: int, port: int, image: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([("url", pa.string()), ("caption", pa.string())])
    with pq.ParquetWriter(path, schema) as writer:
        for first, batch in _batches(rows, port, image):
            captions = [f"photograph number {first + number}" for number in range(len(batch))]
            columns: dict[str, Any] = {"url": batch, "caption": captions}
            writer.write_table(pa.table(columns, schema=schema), row_group_size=BATCH_ROWS)
