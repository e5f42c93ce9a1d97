"""Facts of a dataset, and one of its samples, as people read them in a terminal of 80 columns.

In: ``DatasetFacts`` or a ``FoundSample``. Out: lines, not yet made safe to print (``printable``).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any

from img2dataset.counted import counted
from img2dataset.inspecting.facts import DatasetFacts
from img2dataset.inspecting.failure_meaning import PASSES_NOT
from img2dataset.inspecting.one_sample import FoundSample, ImageFacts
from img2dataset.printable import printable
from img2dataset.types import SUCCESS

WIDTH = 80
SHOWN_FAILURES = 10
_LONGEST_NAME = 24
_LONGEST_TYPE = 14
# Of a row that is shown under its key; the rest has --key.
_ROW_COLUMNS = ("url", "caption")


def lines_of_facts(facts: DatasetFacts) -> list[str]:
    """A whole dataset."""
    return [
        *_wrapped(f"output: {facts.output_folder}"),
        *_made_from(facts),
        f"format: {facts.output_format or 'not known'}{_images(facts)}",
        *_shards(facts),
        *_counts(facts),
        *_failures(facts),
        *_columns(facts),
        *_rows(facts),
    ]


def lines_of_sample(sample: FoundSample) -> list[str]:
    """One sample, everything known of it."""
    found = [f"key: {sample.key}, row {sample.row:,} of shard {sample.shard}", f"status: {sample.status}"]
    if sample.error_message is not None:
        found += _wrapped(f"failure: {sample.error_message}")
        found += _wrapped(f"  {sample.meaning}", "  ")
    if sample.data is not None:
        members = f": {', '.join(sample.files)}" if sample.files else ""
        found += _wrapped(f"in: {sample.data}{members}")
    if sample.image is not None:
        found += _wrapped(f"image: {_image(sample.image)}")
    elif sample.status == SUCCESS:
        found.append("image: none is there")
    if sample.caption is not None:
        found += _wrapped(f"caption: {_flat(sample.caption)}")
    found += _table("metadata:", sample.metadata.items())
    found += _table("in the data beside the image:", _others(sample))
    return [*found, *_table("EXIF of the original:", sample.exif.items())]


def _others(sample: FoundSample) -> list[tuple[str, Any]]:
    """What the data say otherwise than the metadata: mostly nothing."""
    document = sample.document or {}
    return [
        (name, value)
        for name, value in document.items()
        if name != "exif" and _flat(value) != _flat(sample.metadata.get(name))
    ]


def _made_from(facts: DatasetFacts) -> list[str]:
    if not facts.runs:
        return ["list: not known, there is no record of the run (as in folders of 1.47.0)"]
    runs = f", the last of {facts.runs:,} runs" if facts.runs > 1 else ""
    return _wrapped(f"list: {facts.url_list or 'not known'}{runs}")


def _images(facts: DatasetFacts) -> str:
    return f", images in the column {facts.image_column}" if facts.image_column else ""


def _shards(facts: DatasetFacts) -> list[str]:
    parts = [f"{facts.shards_done:,} done"]
    if facts.shards_not_done:
        parts.append(f"{facts.shards_not_done:,} not done")
    if facts.shards_kept:
        parts.append(f"{facts.shards_kept:,} kept unfinished")
    if facts.complete and (facts.shards_not_done or facts.shards_unreadable):
        parts.append("the last run made every one of the list, and not all are whole now")
    elif facts.complete:
        parts.append("every one of the list is done")
    elif facts.complete is False:
        parts.append("the run has not come to its end (img2dataset status tells more)")
    found = _wrapped(f"shards: {', '.join(parts)}")
    if facts.shards_unreadable:
        found += _wrapped(
            f"WARNING: the statistics of {counted(facts.shards_unreadable, 'shard')} are broken; img2dataset"
            " verify says more"
        )
    return found


def _counts(facts: DatasetFacts) -> list[str]:
    if not facts.rows:
        return ["rows: none yet"]
    of = ""
    if facts.shards_counted < facts.shards_done:
        of = f" in {facts.shards_counted:,} of the shards, chosen by chance"
    return _wrapped(
        f"rows: {facts.rows:,}{of}: {_share(facts.successes, facts.rows)} succeeded,"
        f" {_share(facts.failed_to_download, facts.rows)} failed to download,"
        f" {_share(facts.failed_to_resize, facts.rows)} failed to resize"
    )


def _failures(facts: DatasetFacts) -> list[str]:
    found = ["failures:"] if facts.failures else []
    for failure in facts.failures[:SHOWN_FAILURES]:
        found.append(_cut(f"  {failure.rows:>10,}  {_flat(failure.message)}", WIDTH))
        if failure.meaning != PASSES_NOT:
            found += _wrapped(f"              {failure.meaning}", " " * 14)
    rest = sum(failure.rows for failure in facts.failures[SHOWN_FAILURES:]) + facts.other_failures
    if rest:
        found.append(f"  {rest:>10,}  others (--json has more)")
    return found


def _columns(facts: DatasetFacts) -> list[str]:
    if not facts.columns:
        return [] if not facts.shards_done else ["columns: none, this format keeps nothing of single rows"]
    names = min(_LONGEST_NAME, max(_width(_flat(column.name)) for column in facts.columns))
    types = min(_LONGEST_TYPE, max(_width(column.type) for column in facts.columns))
    found = ["columns, with an example:"]
    for column in facts.columns:
        if column.name == facts.image_column:
            example = "(the image)"
        else:
            example = "" if column.example is None else _flat(column.example)
        name, of_type = _padded(_flat(column.name), names), _padded(column.type, types)
        found.append(_cut(f"  {name}  {of_type}  {example}", WIDTH).rstrip())
    return found


def _rows(facts: DatasetFacts) -> list[str]:
    found = ["rows, by chance (--key shows one with everything):"] if facts.sample_rows else []
    for row in facts.sample_rows:
        size = f", {row['width']}x{row['height']}" if row.get("width") and row.get("height") else ""
        message = f", {_flat(row['error_message'])}" if row.get("error_message") else ""
        found.append(_cut(f"  {row.get('key')}  {row.get('status')}{size}{message}", WIDTH))
        found += [_cut(f"    {name}: {_flat(row[name])}", WIDTH) for name in _ROW_COLUMNS if row.get(name)]
    return found


def _image(image: ImageFacts) -> str:
    size = f", {image.width}x{image.height} pixels" if image.width else ""
    fault = f"; it cannot be decoded: {image.fault}" if image.fault else ", decodes"
    return f"{image.format or 'of no known format'}{size}, {image.bytes:,} bytes{fault}"


def _table(title: str, values: Iterable[tuple[str, Any]]) -> Iterator[str]:
    shown = [(_flat(name), _flat(value)) for name, value in values if value is not None]
    if not shown:
        return
    yield title
    width = min(_LONGEST_NAME, max(_width(name) for name, _ in shown))
    for name, value in shown:
        indent = " " * (width + 4)
        parts = _broken(value, WIDTH - len(indent), WIDTH - len(indent)) or [""]
        yield f"  {_padded(name, width)}  {parts[0]}".rstrip()
        yield from (indent + part for part in parts[1:])


def _share(part: int, whole: int) -> str:
    return f"{part:,} ({part / whole:.1%})"


def _wrapped(text: str, indent: str = "  ") -> list[str]:
    """The text on lines of ``WIDTH`` columns; those after the first are indented."""
    start = text[: len(text) - len(text.lstrip(" "))]
    first, *others = _broken(text, WIDTH - len(start), WIDTH - len(indent)) or [""]
    return [start + first, *(indent + part for part in others)]


def _broken(text: str, first: int, others: int) -> list[str]:
    """The words of a text on lines of so many columns, safe to print; a longer word, as a URL, is broken."""
    lines: list[str] = []
    line = ""
    for word in printable(text).split():
        room = (others if lines else first) - _width(line) - (1 if line else 0)
        if line and _width(word) > room:
            lines.append(line)
            line, room = "", others
        line = f"{line} " if line else ""
        while _width(word) > room:
            begun = _fitting(word, room)
            lines.append(line + begun)
            word, line, room = word[len(begun) :], "", others
        line += word
    return [*lines, line] if line else lines


def _flat(value: Any) -> str:
    """A value on one line, safe to print."""
    return printable(" ".join(str(value).split()))


def _padded(text: str, width: int) -> str:
    cut = _cut(text, width)
    return cut + " " * (width - _width(cut))


def _cut(text: str, width: int) -> str:
    """The beginning of a text that takes so many columns of a terminal; wide letters take two."""
    if _width(text) <= width:
        return text
    return _fitting(text, width - 1) + "…"


def _fitting(text: str, width: int) -> str:
    """As much of the beginning of a text as takes no more columns than these."""
    for number, character in enumerate(text):
        width -= _width(character)
        if width < 0:
            return text[:number]
    return text


def _width(text: str) -> int:
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )
