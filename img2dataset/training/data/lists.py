"""Any list of images and captions in, rows by number out: what the map-style datasets stand on.

``open_list`` chooses by the path's ending. The formats of downloads are read as a download reads them
(``img2dataset.reading``); others are LMDB, a folder of images with caption files, and Hugging Face datasets.
Rows are kept as an Arrow table, or packed (``packed_rows``): forked workers share them, and a million rows
take the memory of their text.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from img2dataset.errors import InputError
from img2dataset.options import option_specs
from img2dataset.reading import format_of_path, read_objects, read_table
from img2dataset.training.data.image_folder import holds_images, table_of_folder
from img2dataset.training.data.packed_rows import PackedRows, is_plain
from img2dataset.training.requirements import require

if TYPE_CHECKING:
    import pyarrow as pa

# Formats of lists that a download does not read.
OWN_FORMATS = ("lmdb", "folder", "huggingface")
# Formats whose fields are text.
DELIMITED = ("csv", "tsv")
FOLDER_METADATA = ("metadata.jsonl", "metadata.csv", "metadata.parquet", "metadata.json")


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


class RenamedRows:
    """Rows with other names for some of their columns."""

    def __init__(self, rows: RowList, names: Mapping[str, str]):
        self._rows = rows
        self._names = dict(names)
        self.columns: tuple[str, ...] = tuple(self._names.get(name, name) for name in rows.columns)

    def __len__(self) -> int:
        return len(self._rows)

    def row(self, index: int) -> dict[str, Any]:
        return {self._names.get(name, name): value for name, value in self._rows.row(index).items()}


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
        list_format: an ``input_format`` of downloads, or one of ``OWN_FORMATS``; None: told from the path.
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
    if chosen not in OWN_FORMATS and not option_specs()["input_format"].has_choice(chosen):
        raise InputError(f"format is {list_format!r}; it takes {_formats()}")
    if chosen == "folder":
        return _folder_rows(path)
    if chosen == "lmdb":
        from img2dataset.training.data.lmdb_list import LmdbRows

        return LmdbRows(path)
    return _read_rows(path, chosen)


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
        if isinstance(source, (list, tuple)) and all(map(is_plain, source)):
            return PackedRows(source)
        return SequenceRows(source)
    raise InputError(
        f"a list cannot be a {type(source).__name__}; give a path, or a sequence of dictionaries"
    )


def _format_of(path: Path) -> str:
    if path.is_dir():
        if (path / "data.mdb").exists():
            return "lmdb"
        return "parquet" if any(path.glob("*.parquet")) and not holds_images(path) else "folder"
    if path.suffix.lower() in (".lmdb", ".mdb"):
        return "lmdb"
    told = format_of_path(path.name)
    if told is None:
        raise InputError(f"the format of {str(path)!r} is not known; give format, {_formats()}")
    return told


def _formats() -> str:
    return f"{option_specs()['input_format'].allowed()}; or {', '.join(OWN_FORMATS)}"


def _read_rows(path: Path, list_format: str) -> RowList:
    """The rows of a list in one of the formats of downloads."""
    if path.name.lower().endswith(".gz") and not list_format.endswith(".gz"):
        list_format += ".gz"
    objects = read_objects(str(path), list_format)
    if objects is not None:
        rows = PackedRows(objects)
        if not len(rows):
            raise InputError(f"the list {str(path)!r} is empty; it has no rows")
        return rows
    table = read_table(str(path), list_format)
    if not table.num_columns:
        raise InputError(f"the list {str(path)!r} is empty; it has no rows")
    return _with_lists(table) if list_format.removesuffix(".gz") in DELIMITED else ArrowRows(table)


def _with_lists(table: pa.Table) -> RowList:
    """Fields of csv and tsv as what they hold: nothing, text, or a list of texts as JSON: ``["a", "b"]``."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if any(pc.any(pc.starts_with(column, "[")).as_py() for column in table.columns):
        return PackedRows(
            {name: _cell(field) for name, field in row.items()}
            for batch in table.to_batches()
            for row in batch.to_pylist()
        )
    nothing = pa.scalar(None, pa.string())
    columns = [pc.if_else(pc.equal(fields, ""), nothing, fields) for fields in table.columns]
    return ArrowRows(pa.table(columns, names=table.column_names))


def _cell(field: str | None) -> str | list[str] | None:
    if field is not None and field.startswith("[") and field.endswith("]"):
        try:
            values = json.loads(field)
        except ValueError:
            return field
        if isinstance(values, list) and values and all(isinstance(value, str) for value in values):
            return values
    return field or None


def _folder_rows(folder: Path) -> RowList:
    """A folder's images; or its ``metadata.jsonl`` (csv, parquet) with a column ``file_name``, if there is
    one.
    """
    for name in FOLDER_METADATA:
        if (folder / name).exists():
            rows = _read_rows(folder / name, _format_of(folder / name))
            if "file_name" in rows.columns:
                return RenamedRows(rows, {"file_name": "image"})
    return ArrowRows(table_of_folder(folder))


def column_values(rows: RowList, column: str) -> Sequence[Any]:
    """All values of one column, as quickly as the list allows."""
    values = getattr(rows, "values", None)
    if values is not None:
        return list(values(column))
    return [rows.row(index).get(column) for index in range(len(rows))]
