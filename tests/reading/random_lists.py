"""Lists made up at random, of every format, with what people's lists have in them, and with what none has."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

FORMATS = ("txt", "csv", "tsv", "jsonl", "json", "parquet", "csv.gz", "jsonl.gz")
LINE_ENDS = ("\n", "\r\n", "\r")
TEXTS = (
    "",
    "plain",
    "1",
    "2.5",
    " ",
    'say "hello"',
    '5" disk',
    '"',
    '""',
    "a,b",
    "tab\there",
    "two\nlines",
    "two\r\nlines",
    "one\rtwo",
    "blank\n\nline",
    "\u00a0",
    "größer \u4e2d\u6587 \U0001f600",
    "back\\slash",
    "nul \0 byte",
    "\ufeffmark",
    "\u2028separator",
    "\x85next",
    "end\\",
)
# What decides where a row ends, in any order.
PIECES = (b"a", b"b", b'"', b'"', b'""', b",", b",", b"\t", b"\n", b"\n", b"\r\n", b"\r", b"\\", b" ", b"'")
NO_TEXT = (b"\xff", b"\xe4\xb8", b"\xc2", b"\xc2\xa0", b"\0")


def random_options(input_format: str, noise: random.Random) -> dict[str, Any]:
    """Options of a list that may be there for ``write_random_list``."""
    name = input_format.partition(".")[0]
    if name == "txt":
        return {}
    options: dict[str, Any] = {
        "caption_col": noise.choice(("caption", None)),
        "save_additional_columns": noise.choice((None, ("n",), ("n", "caption_2"))),
        "bbox_col": noise.choice((None, None, "box")),
    }
    if name in ("csv", "tsv"):
        options["input_quote"] = noise.choice(('"', '"', '"', "'", None))
        options["input_escape"] = noise.choice((None, None, None, "\\"))
        options["input_delimiter"] = noise.choice((None, None, None, ";", "§"))
    return options


def write_random_list(folder: Path, input_format: str, options: dict[str, Any], noise: random.Random) -> None:
    """One to three files in ``folder``; some may break off, or hold what cannot be meant."""
    name, _, packing = input_format.partition(".")
    for number in range(noise.randint(1, 3)):
        path = folder / f"{number}.{input_format}"
        rows = noise.choice((0, 1, noise.randint(2, 9), noise.randint(10, 60)))
        if name == "parquet":
            _write_parquet(path, rows, noise)
            continue
        content = _CONTENTS[name](rows, options, noise)
        path.write_bytes(gzip.compress(content) if packing else content)


def _records(rows: int, noise: random.Random) -> list[dict[str, Any]]:
    return [
        {
            "url": noise.choice((f"http://host/{row}", f"http://host/{row}", "", "http://ö/")),
            "caption": noise.choice(TEXTS),
            "n": noise.choice((row, row, row, 2.5, "x", "")),
            "caption_2": noise.choice(("", "2020-01-01", "007")),
            "box": noise.choice(("", "[[0.1, 0.1, 0.5, 0.5]]", "none")),
        }
        for row in range(rows)
    ]


def _write_parquet(path: Path, rows: int, noise: random.Random) -> None:
    records = _records(rows, noise)
    kind = noise.choice((pa.int64(), pa.float64(), pa.string()))
    columns = {
        "url": pa.array([record["url"] or None for record in records], pa.string()),
        "caption": pa.array([record["caption"] for record in records], pa.string()),
        "n": pa.array(range(rows), pa.int64()).cast(kind),
        "caption_2": pa.array([record["caption_2"] for record in records], pa.string()).dictionary_encode(),
        "box": pa.array([[[0.1, 0.1, 0.5, 0.5]]] * rows, pa.list_(pa.list_(pa.float64()))),
    }
    names = noise.sample(list(columns), len(columns))
    table = pa.table({name: columns[name] for name in names})
    pq.write_table(table, path, row_group_size=noise.choice((1, 3, 7, 100)))


def _txt(rows: int, options: dict[str, Any], noise: random.Random) -> bytes:
    lines = [noise.choice((f"http://host/{row}", noise.choice(TEXTS))) for row in range(rows)]
    text = "".join(line + noise.choice(LINE_ENDS) for line in lines).encode()
    return _damaged(text, noise)


def _jsonl(rows: int, options: dict[str, Any], noise: random.Random) -> bytes:
    lines = []
    for record in _records(rows, noise):
        for name in noise.sample(list(record), noise.choice((0, 0, 1, 3))):
            del record[name]
        line = json.dumps(record, ensure_ascii=noise.random() < 0.5)
        lines.append(noise.choice((line, line, "", " ", "[1]")))
    # A first row that has every column.
    lines.insert(0, json.dumps(_records(1, noise)[0]))
    return _damaged("".join(line + noise.choice(LINE_ENDS[:2]) for line in lines).encode(), noise)


def _json(rows: int, options: dict[str, Any], noise: random.Random) -> bytes:
    return json.dumps(_records(rows, noise)).encode()


def _delimited(rows: int, options: dict[str, Any], noise: random.Random, delimiter: str) -> bytes:
    quote, delimiter = options["input_quote"], options["input_delimiter"] or delimiter
    ends = noise.choice((*LINE_ENDS, "\n\n", "\r\n\r"))
    out = io.StringIO(newline="")
    writer = csv.writer(
        out,
        delimiter=delimiter,
        lineterminator=ends,
        quotechar=quote or '"',
        escapechar=options["input_escape"] or "\\",
        doublequote=options["input_escape"] is None,
        quoting=csv.QUOTE_NONE if quote is None else noise.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL)),
    )
    records = _records(max(rows, 1), noise)
    names = list(records[0])
    writer.writerow(names)
    header = len(out.getvalue())
    if noise.random() < 0.6:
        writer.writerows([record[name] for name in names] for record in records[:rows])
        return _damaged(out.getvalue().encode(), noise)
    pieces = (*PIECES, delimiter.encode(), *noise.choice(((), (), NO_TEXT)))
    content = b"".join(noise.choices(pieces, k=rows * 6))
    return noise.choice((b"", b"\xef\xbb\xbf", b"\n\r\n")) + out.getvalue()[:header].encode() + content


def _damaged(content: bytes, noise: random.Random) -> bytes:
    """With a byte-order mark, or without its last bytes, or with some that are no text."""
    if noise.random() < 0.3:
        content = b"\xef\xbb\xbf" + content
    if noise.random() < 0.3:
        content = content[: -noise.randint(1, 4)]
    if content and noise.random() < 0.2:
        at = noise.randrange(len(content))
        content = content[:at] + noise.choice(NO_TEXT) + content[at:]
    return content


def _csv(rows: int, options: dict[str, Any], noise: random.Random) -> bytes:
    return _delimited(rows, options, noise, ",")


def _tsv(rows: int, options: dict[str, Any], noise: random.Random) -> bytes:
    return _delimited(rows, options, noise, "\t")


_CONTENTS = {"txt": _txt, "jsonl": _jsonl, "json": _json, "csv": _csv, "tsv": _tsv}
