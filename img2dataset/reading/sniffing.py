"""Does the beginning of a file look like the format it is said to be? Called when a file is opened."""

from __future__ import annotations

import re
from dataclasses import dataclass

from img2dataset.errors import InputError

HEAD_BYTES = 4096
GZIP_MAGIC = b"\x1f\x8b"
PARQUET_MAGIC = b"PAR1"

_MAGIC = (
    (PARQUET_MAGIC, "a parquet file (input_format parquet)"),
    (b"PARE", "an encrypted parquet file, which is not supported; decrypt it"),
    (GZIP_MAGIC, "gzip-compressed (give input_format the ending .gz)"),
    (b"PK\x03\x04", "a zip archive; unpack it"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed; decompress it, or compress with gzip"),
    (b"BZh", "bzip2-compressed; decompress it, or compress with gzip"),
    (b"\xfd7zXZ\x00", "xz-compressed; decompress it, or compress with gzip"),
    (b"ARROW1", "an Arrow IPC file; convert it to parquet, or pass the table from Python"),
    (b"version https://git-lfs.github.com/", "a Git LFS pointer; git lfs pull fetches the file itself"),
    (b"\x89PNG", "a PNG image, not a list of URLs"),
    (b"\xff\xd8\xff", "a JPEG image, not a list of URLs"),
    (b"%PDF", "a PDF document, not a list of URLs"),
    (b"SQLite format 3", "an SQLite database; export it as csv or parquet"),
)
_MARKUP = re.compile(rb"\s*<(!doctype|!--|html|head|body|title|meta|error|\?xml)", re.IGNORECASE)
_CONTROL = bytes(set(range(32)) - {9, 10, 12, 13, 27})


@dataclass(frozen=True, slots=True)
class Beginning:
    """How files of one text format begin, and what that format is called."""

    pattern: re.Pattern[bytes]
    name: str


ANY_JSON = Beginning(
    re.compile(rb'\s*(\{\s*"|\[\s*[\{"\[])'),
    "JSON (input_format json for one document, jsonl for one object a line)",
)
JSON_DOCUMENT = Beginning(re.compile(rb'\s*\[\s*[\{"\[]'), "one JSON document (input_format json)")


def looks_like(head: bytes) -> str | None:
    """What a text list begins like if it is none: "a parquet file (…)" and so on."""
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if _MARKUP.match(head):
        return "HTML or XML: a web page, perhaps an error page, was saved in its place"
    control = len(head) - len(head.translate(None, _CONTROL))
    # A few NULs in a caption are one row's trouble; one byte in thirty is no text at all.
    if control > 8 and control * 30 > len(head):
        return "binary data, not text"
    return None


def check_text_head(head: bytes, input_format: str, path: str, unlike: Beginning | None = None) -> None:
    """InputError if ``head``, decompressed, is no text, or begins as ``unlike`` does."""
    found = looks_like(head)
    if found is None and unlike is not None and unlike.pattern.match(head):
        found = unlike.name
    if found is not None:
        name = input_format.removesuffix(".gz")
        raise InputError(f"{path} is not {name} as input_format says: it looks like {found}")


def check_gzip_head(head: bytes, input_format: str, path: str) -> None:
    if head and not head.startswith(GZIP_MAGIC):
        raise InputError(
            f"{path} is not {input_format} as input_format says: it is not gzip-compressed; "
            f"use input_format {input_format.removesuffix('.gz')}"
        )


def check_parquet_head(head: bytes, path: str) -> None:
    if not head.startswith(PARQUET_MAGIC):
        found = looks_like(head.removeprefix(b"\xef\xbb\xbf")) if head else "an empty file"
        if found is None:
            found = ANY_JSON.name if ANY_JSON.pattern.match(head) else "text (input_format txt, csv, tsv?)"
        raise InputError(f"{path} is not parquet as input_format says: it looks like {found}")
