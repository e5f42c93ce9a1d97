"""The URL lists, in every input format, over a loopback server that serves what they name.

Comes in: a folder and a running server. Goes out: ``Lists``, a path a name. Called by ``run.py``; the names
are used by ``cases.py``.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.differential.pictures import Served, failures, opted_out, other_files, photographs, with_exif
from tests.servers import ImageServer

Row = dict[str, Any]

CAPTIONS = (
    "a plain one",
    "with \u00fcml\u00e4ut, comma",
    'with "quotes"',
    "",
    None,
    " spaces ",
    "two\nlines",
    "12",
)


def write_lists(folder: Path, server: ImageServer) -> dict[str, Path]:
    """Serve all pictures and write all lists; returns the path of each list by its name."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = _serve(server, "pictures", [*photographs(), *other_files()])
    some = pictures[3:17]
    failing = _serve(server, "failures", failures())
    failing.append({"url": "http://127.0.0.1:1/refused.jpg"})
    captioned = _captioned(some)
    numbered = [{**row, "caption": number} for row, number in zip(some, range(100, 200), strict=False)]
    mixed = [*_captioned(pictures), *_captioned(failing)]
    boxed = [{**row, "boxes": _boxes(n), "number": n} for n, row in enumerate(_captioned(pictures))]
    rows: dict[str, list[Row]] = {
        "mixed.csv": mixed,
        "some.csv": captioned,
        "some.tsv": captioned,
        "some.csv.gz": captioned,
        "some.json": captioned,
        "some.json.gz": captioned,
        "some.jsonl": captioned,
        "some.jsonl.gz": captioned,
        "some.parquet": captioned,
        "numbers.csv": numbered,
        "numbers.json": numbered,
        "numbers.jsonl": numbered,
        "numbers.parquet": numbered,
        "some.txt": some,
        "some.txt.gz": some,
        "pictures.csv": pictures,
        "exif.csv": _serve(server, "exif", with_exif()),
        "robots.csv": _serve(server, "robots", opted_out()),
        "typed.json": [{**row, **_plain_values(n)} for n, row in enumerate(some)],
        "typed.jsonl": [{**row, **_plain_values(n)} for n, row in enumerate(some)],
        "typed.csv": [{**row, **_scalars(n)} for n, row in enumerate(some)],
        "boxes.json": boxed,
        "boxes.jsonl": boxed,
        "boxes.parquet": boxed,
        "other-column.csv": [{"address": row["url"], "words": row["caption"]} for row in captioned],
        "repeated.csv": [{**row, "caption": f"again {n}"} for n, row in enumerate(some[:3] * 4)],
    }
    for algorithm in ("md5", "sha256", "sha512"):
        rows[f"{algorithm}.csv"] = [
            {"url": row["url"], "expected": _expected(n, row, algorithm)} for n, row in enumerate(some)
        ]
    lists = {name: _write(folder / name, listed) for name, listed in rows.items()}
    lists["typed.parquet"] = folder / "typed.parquet"
    pq.write_table(_typed_table([row["url"] for row in some]), lists["typed.parquet"])
    lists["several"] = _write_several(folder / "several", captioned)
    return lists


def _serve(server: ImageServer, folder: str, files: Iterable[Served]) -> list[Row]:
    rows = []
    for file in files:
        url = server.put(f"/{folder}/{file.name}", file.body, headers=file.headers, status=file.status)
        rows.append({"url": url, **dict.fromkeys(["body"], file.body)})
    return rows


def _captioned(rows: list[Row]) -> list[Row]:
    return [{**row, "caption": CAPTIONS[n % len(CAPTIONS)]} for n, row in enumerate(rows)]


def _expected(n: int, row: Row, algorithm: str) -> str:
    digest = hashlib.new(algorithm, row["body"]).hexdigest()
    return digest if n % 3 else digest[::-1]


def _boxes(n: int) -> list[list[float]]:
    """From none to three: inside, over an edge, the whole image, single pixels, lines, without an area."""
    fixed = [[0.1, 0.2, 0.5, 0.6], [0.0, 0.0, 0.2, 0.15], [0.55, 0.5, 1.0, 1.0]]
    odd = [[0.0, 0.0, 1.0, 1.0], [0.5, 0.5, 0.504, 0.504], [0.3, 0.1, 0.3, 0.9], [0.997, 0.0, 1.0, 1.0]]
    chance = random.Random(n)
    edges = [sorted(chance.random() for _ in range(2)) for _ in range(4)]
    drawn = [[x[0], y[0], x[1], y[1]] for x, y in zip(edges[:2], edges[2:], strict=True)]
    return [fixed[: n // 4 % 4], drawn, [odd[n // 4 % 4]], [drawn[0], odd[n // 4 % 4]]][n % 4]


def _scalars(n: int) -> Row:
    # Eighths, because 1.47.0 loses the last digits of others when it reads json.
    return {"number": n - 3, "share": n / 8, "label": f"label {n}" if n % 5 else None, "yes": n % 2 == 0}


def _plain_values(n: int) -> Row:
    lists = {"numbers": list(range(n % 3)), "filled": list(range(1 + n % 3))}
    return {**_scalars(n), **lists, "record": {"a": n, "b": [f"{n}"]}}


def _typed_table(urls: list[str]) -> pa.Table:
    """Arrow types that 1.47.0 can carry; it loses whole shards over timestamps, decimals and binary."""
    count = range(len(urls))
    columns = {
        "url": pa.array(urls),
        "small": pa.array([n - 2 for n in count], pa.int8()),
        "large": pa.array([n * 10**15 for n in count], pa.int64()),
        "holes": pa.array([n if n % 3 else None for n in count], pa.int32()),
        "single": pa.array([n / 3 for n in count], pa.float32()),
        "double": pa.array([n / 3 if n % 4 else None for n in count], pa.float64()),
        "yes": pa.array([n % 2 == 0 for n in count], pa.bool_()),
        "text": pa.array([f"\u00e9 {n}" if n % 3 else None for n in count], pa.string()),
        "numbers": pa.array([list(range(n % 4)) for n in count], pa.list_(pa.int64())),
        "filled": pa.array([list(range(1 + n % 3)) for n in count], pa.list_(pa.int32())),
        "texts": pa.array([["x"] * (n % 3) for n in count], pa.list_(pa.string())),
        "record": pa.array([{"a": n, "b": f"{n}"} for n in count]),
    }
    return pa.table(columns)


def _write_several(folder: Path, rows: list[Row]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, part in (("a", rows[:7]), ("b", rows[7:9]), ("c", rows[9:])):
        _write(folder / f"{name}.csv", part)
    return folder


def _write(path: Path, rows: list[Row]) -> Path:
    rows = [{name: value for name, value in row.items() if name != "body"} for row in rows]
    if ".parquet" in path.suffixes:
        pq.write_table(pa.Table.from_pylist(rows), path)
        return path
    opener = gzip.open if path.suffix == ".gz" else open
    kind = path.name.split(".")[1]
    with opener(path, "wt", encoding="utf-8", newline="") as file:
        if kind in ("csv", "tsv"):
            writer = csv.DictWriter(file, list(rows[0]), delimiter="," if kind == "csv" else "\t")
            writer.writeheader()
            writer.writerows(rows)
        elif kind == "json":
            json.dump(rows, file)
        elif kind == "jsonl":
            file.writelines(json.dumps(row) + "\n" for row in rows)
        else:
            file.writelines(row["url"] + "\n" for row in rows)
    return path
