"""Any list of images and captions in, rows by number out: what the map-style datasets stand on.

``open_list`` chooses by the path's ending. Formats: csv, tsv, json (an array of objects), jsonl, parquet (a
file or a folder of them), LMDB, a folder of images with caption files, and Hugging Face datasets. Rows are
kept as an Arrow table: forked workers share it, and a million rows take the memory of their text.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from img2dataset.errors import InputError
from img2dataset.training.requirements import require

if TYPE_CHECKING:
    import pyarrow as pa

LIST_FORMATS = ("csv", "tsv", "json", "jsonl", "parquet", "lmdb", "folder", "huggingface")
IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")
CAPTION_ENDINGS = (".txt", ".caption")
FOLDER_METADATA = ("metadata.jsonl", "metadata.csv", "metadata.parquet", "metadata.json")
ROWS_PER_BATCH = 65_536
LONGEST_FIELD = 128 << 20


class RowList(Protocol):
    """Rows by number. ``columns`` are the names that rows have; a row is a dictionary of plain values."""

    @property
    def columns(self) -> tuple[str, ...]: ...
    def __len__(self) -> int: ...
    def row(self, index: int) -> dict[str, Any]: ...


class ArrowRows:
    """Rows of an Arrow table."""

    def __init__(self, table: pa.Table):
        # One chunk a column where it fits: looking up a row is then one step.
        self._table = table.combine_chunks()
        self.columns: tuple[str, ...] = tuple(self._table.column_names)

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def row(self, index: int) -> dict[str, Any]:
        return {name: self._table.column(name)[index].as_py() for name in self.columns}

    def values(self, column: str) -> list[Any]:
        """All values of a column."""
        values: list[Any] = self._table.column(column).to_pylist()
        return values


class SequenceRows:
    """Rows of a sequence of dictionaries: a list, or a Hugging Face dataset."""

    def __init__(self, sequence: Any):
        self._sequence = sequence
        names = getattr(sequence, "column_names", None)
        self.columns: tuple[str, ...] = tuple(
            names if names is not None else (sequence[0] if len(sequence) else ())
        )

    def __len__(self) -> int:
        return len(self._sequence)

    def row(self, index: int) -> dict[str, Any]:
        return dict(self._sequence[index])


def open_list(source: Any, list_format: str | None = None, split: str = "train") -> RowList:
    """Open a list.

    Args:
        source: a path; or, in memory, a sequence of dictionaries, an Arrow table or a Hugging Face dataset.
        list_format: one of ``LIST_FORMATS``; None: told from the path. Endings may be followed by ``.gz``.
        split: which split, for Hugging Face datasets given by name.

    Raises:
        InputError: there is nothing, or it is not what it should be; names the file and the place.
        MissingDependency: LMDB or Hugging Face without their package.
    """
    if not isinstance(source, (str, os.PathLike)):
        return _rows_in_memory(source)
    if list_format == "huggingface":
        datasets = require("datasets", "a list from the Hugging Face hub", extra=None)
        return SequenceRows(datasets.load_dataset(os.fspath(source), split=split))
    path = Path(source).expanduser()
    if not path.exists():
        raise InputError(f"the list {str(source)!r} does not exist; give a file or a folder")
    chosen = list_format or _format_of(path)
    if chosen == "folder":
        return _folder_rows(path)
    if chosen == "lmdb":
        from img2dataset.training.data.lmdb_list import LmdbRows

        return LmdbRows(path)
    return ArrowRows(_read_table(path, chosen))


def list_folder(source: Any) -> Path | None:
    """The folder that relative paths in a list are relative to: its own; None for lists in memory."""
    if not isinstance(source, (str, os.PathLike)):
        return None
    path = Path(source).expanduser()
    return path if path.is_dir() else path.parent


def _rows_in_memory(source: Any) -> RowList:
    if hasattr(source, "num_rows") and hasattr(source, "combine_chunks"):
        return ArrowRows(source)
    if hasattr(source, "__len__") and hasattr(source, "__getitem__") and not isinstance(source, Mapping):
        if len(source) and not isinstance(source[0], Mapping):
            raise InputError(
                f"the first row of the list is a {type(source[0]).__name__}; rows are dictionaries"
            )
        return SequenceRows(source)
    raise InputError(
        f"a list cannot be a {type(source).__name__}; give a path, or a sequence of dictionaries"
    )


def _format_of(path: Path) -> str:
    if path.is_dir():
        if (path / "data.mdb").exists():
            return "lmdb"
        return "parquet" if any(path.glob("*.parquet")) and not _has_images(path) else "folder"
    name = path.name.lower().removesuffix(".gz")
    ending = name.rpartition(".")[2]
    known = {"csv": "csv", "tsv": "tsv", "json": "json", "jsonl": "jsonl", "ndjson": "jsonl"}
    known |= {"parquet": "parquet", "pq": "parquet", "lmdb": "lmdb", "mdb": "lmdb"}
    if ending not in known:
        raise InputError(
            f"the format of {str(path)!r} is not known; give format, one of {', '.join(LIST_FORMATS)}"
        )
    return known[ending]


def _read_table(path: Path, list_format: str) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if list_format not in LIST_FORMATS:
        raise InputError(f"format is {list_format!r}; it takes {', '.join(LIST_FORMATS)}")
    try:
        if list_format == "parquet":
            return pq.read_table(path, memory_map=path.is_file())
        if list_format == "json":
            return _table_of(_json_rows(path))
        if list_format == "jsonl":
            return _table_of(_json_lines(path))
        return _table_of(_delimited_rows(path, "," if list_format == "csv" else "\t"))
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, pa.ArrowException) as error:
        raise InputError(f"the list {str(path)!r} cannot be read as {list_format}: {error}") from error


def _table_of(rows: Iterator[dict[str, Any]]) -> pa.Table:
    """Rows as a table; a column whose rows are of different kinds keeps them as JSON text."""
    import pyarrow as pa

    columns: dict[str, list[Any]] = {}
    for count, row in enumerate(rows):
        for name in row:
            if name not in columns:
                columns[name] = [None] * count
        for name, values in columns.items():
            values.append(row.get(name))
    return pa.table({name: _array_of(values) for name, values in columns.items()})


def _array_of(values: list[Any]) -> Any:
    import pyarrow as pa

    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        pass
    # A string in some rows and a list of strings in others is a list of one string.
    if all(value is None or isinstance(value, (str, list)) for value in values):
        try:
            return pa.array([[value] if isinstance(value, str) else value for value in values])
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            pass
    return pa.array(
        [v if v is None or isinstance(v, str) else json.dumps(v, ensure_ascii=False) for v in values]
    )


def _json_rows(path: Path) -> Iterator[dict[str, Any]]:
    with _open_text(path) as file:
        try:
            document = json.load(file)
        except ValueError as error:
            raise InputError(f"the list {str(path)!r} is not JSON: {error}") from None
    if not isinstance(document, list):
        raise InputError(
            f"the list {str(path)!r} is a JSON {type(document).__name__}; it must be an array of objects"
        )
    for number, row in enumerate(document):
        if not isinstance(row, dict):
            raise InputError(f"entry {number} of {str(path)!r} is not an object")
        yield row


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    with _open_text(path) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise InputError(f"line {number} of {str(path)!r} is not JSON: {error}") from None
            if not isinstance(row, dict):
                raise InputError(f"line {number} of {str(path)!r} is not an object")
            yield row


def _delimited_rows(path: Path, delimiter: str) -> Iterator[dict[str, Any]]:
    csv.field_size_limit(LONGEST_FIELD)
    with _open_text(path) as file:
        reader = csv.reader(file, delimiter=delimiter)
        header = next(reader, None)
        if not header:
            raise InputError(f"the list {str(path)!r} is empty; its first line must name the columns")
        for fields in reader:
            if not fields:
                continue
            if len(fields) > len(header):
                raise InputError(
                    f"line {reader.line_num} of {str(path)!r} has {len(fields)} fields, its header"
                    f" {len(header)}; quote fields that hold the delimiter"
                )
            yield {name: _cell(field) for name, field in zip(header, fields, strict=False)}


def _cell(field: str) -> str | list[str] | None:
    """What a field holds: nothing, text, or a list of texts, which csv can say as JSON: ``["a", "b"]``."""
    if field.startswith("[") and field.endswith("]"):
        try:
            values = json.loads(field)
        except ValueError:
            return field
        if isinstance(values, list) and values and all(isinstance(value, str) for value in values):
            return values
    return field or None


def _open_text(path: Path) -> IO[str]:
    if path.name.lower().endswith(".gz"):
        return io.TextIOWrapper(gzip.open(path, "rb"), encoding="utf-8-sig", newline="")
    return open(path, encoding="utf-8-sig", newline="")


def _has_images(folder: Path) -> bool:
    return any(path.suffix.lower() in IMAGE_ENDINGS for path in folder.iterdir())


def _folder_rows(folder: Path) -> RowList:
    """Images anywhere below a folder, in the order of their paths, each with the caption file beside it.

    A ``metadata.jsonl`` (csv, parquet) with a column ``file_name`` is taken as the list, if there is one.
    """
    import pyarrow as pa

    for name in FOLDER_METADATA:
        if (folder / name).exists():
            table = _read_table(folder / name, _format_of(folder / name))
            if "file_name" in table.column_names:
                names = ["image" if column == "file_name" else column for column in table.column_names]
                return ArrowRows(table.rename_columns(names))
    if not folder.is_dir():
        raise InputError(f"{str(folder)!r} is not a folder")
    images: list[str] = []
    captions: list[str | None] = []
    for parent, folders, files in os.walk(folder):
        folders.sort()
        present = set(files)
        for file in sorted(files):
            stem, ending = os.path.splitext(file)
            if ending.lower() in IMAGE_ENDINGS:
                images.append(os.path.relpath(os.path.join(parent, file), folder))
                captions.append(_caption_beside(parent, stem, present))
    if not images:
        raise InputError(f"the folder {str(folder)!r} holds no images ({', '.join(IMAGE_ENDINGS)})")
    return ArrowRows(pa.table({"image": images, "caption": pa.array(captions, pa.string())}))


def _caption_beside(folder: str, stem: str, present: set[str]) -> str | None:
    for ending in CAPTION_ENDINGS:
        if stem + ending in present:
            return Path(folder, stem + ending).read_text(encoding="utf-8-sig").strip()
    return None


def column_values(rows: RowList, column: str) -> Sequence[Any]:
    """All values of one column, as quickly as the list allows."""
    values = getattr(rows, "values", None)
    if values is not None:
        return list(values(column))
    return [rows.row(index).get(column) for index in range(len(rows))]
