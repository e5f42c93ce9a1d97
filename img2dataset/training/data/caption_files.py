"""The files in which captions are kept: the notes of a run that goes on, and ``metadata.jsonl`` at its end.

Called by ``captioning``.
"""

from __future__ import annotations

import codecs
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from img2dataset.errors import Img2datasetError, InputError, one_line
from img2dataset.reading.columns import without_surrogates
from img2dataset.storage.putting import put_whole
from img2dataset.training.load.captions import is_missing


def noted(notes: Path, name: str) -> dict[str, str]:
    """What an earlier run of the captioner has made; the line in which it was killed does not count."""
    captions: dict[str, str] = {}
    if not notes.exists():
        return captions
    text = notes.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    if len(whole) < len(text):
        os.truncate(notes, len(whole))
    for note in map(_object, whole.splitlines()):
        # An image whose note is damaged is captioned again.
        if note.get("captioner") == name and "image" in note and "caption" in note:
            captions[str(note["image"])] = str(note["caption"])
    return captions


def refuse_to_rewrite(metadata: Path) -> None:
    """Refuse a metadata file that would lose what cannot be read of it.

    Raises:
        InputError: it is there, and has a line that is no row, or is not UTF-8.
    """
    if not metadata.exists():
        return
    for number, line in enumerate(metadata.read_bytes().removeprefix(codecs.BOM_UTF8).split(b"\n"), start=1):
        if line.strip() and not _object(line):
            raise InputError(
                f"line {number} of {str(metadata)!r} would be lost, since it is no JSON object in UTF-8; mend"
                " or remove it first"
            )


def write_metadata(metadata: Path, rows: list[dict[str, Any]], temporary: Path) -> None:
    """Put the rows, each with its ``image`` as ``file_name``, in place of what stands there.

    Raises:
        Img2datasetError: there are values that JSON cannot hold.
    """
    try:
        lines = [_line({"file_name": row.get("image"), **_others(row)}) for row in rows]
    except TypeError as error:
        raise Img2datasetError(
            f"the rows of {str(metadata)!r} cannot be kept as JSON: {one_line(error)}; give columns of text,"
            " numbers and lists of them"
        ) from error
    with put_whole(metadata, temporary):
        temporary.write_text("".join(lines), encoding="utf-8")


def _line(row: Mapping[str, Any]) -> str:
    text = json.dumps(row, ensure_ascii=False)
    # Half of a surrogate pair, which UTF-8 cannot hold, stays as JSON writes it.
    return (text if without_surrogates(text) == text else json.dumps(row)) + "\n"


def _object(line: bytes) -> dict[str, Any]:
    """The object in a line of JSON; empty where there is none."""
    try:
        found = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _others(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: None if is_missing(value) else value
        for name, value in row.items()
        if name not in ("image", "file_name")
    }
