"""A dataset that Hugging Face ``datasets`` saved to disk (``save_to_disk``), read with Arrow alone.

In: its folder. Out: rows by number. Called by ``lists``. Such a folder has ``state.json``, which names its
files, streams of Arrow record batches; one of several splits has ``dataset_dict.json`` and a folder each. The
files are mapped into memory: what is not looked up is not read.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from img2dataset.errors import InputError, one_line
from img2dataset.training.data.splits import chosen_split, refuse_split

if TYPE_CHECKING:
    import pyarrow as pa

_STATE = "state.json"
_SPLITS = "dataset_dict.json"


def is_saved_dataset(folder: Path) -> bool:
    """Whether a folder is what ``save_to_disk`` writes."""
    return (folder / _SPLITS).is_file() or (
        (folder / _STATE).is_file() and (folder / "dataset_info.json").is_file()
    )


def open_saved_dataset(folder: Path, split: str | None = None) -> SavedRows:
    """The rows of a saved dataset.

    Args:
        folder: where it was saved.
        split: which, of a ``DatasetDict``; None: the only one, or "train".

    Raises:
        InputError: it is not whole, or has no such split.
    """
    if (folder / _SPLITS).is_file():
        names = _document(folder / _SPLITS).get("splits")
        if not names or not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise InputError(f"{str(folder / _SPLITS)!r} names no splits")
        return SavedRows(folder / chosen_split(names, split, f"the saved dataset {str(folder)!r}"))
    refuse_split(split, f"the saved dataset {str(folder)!r}")
    return SavedRows(folder)


class SavedRows:
    """Rows of one saved dataset; see ``RowList``. Unpickled in another process, it maps its files anew."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._table = _table(folder)
        self.columns: tuple[str, ...] = tuple(self._table.column_names)

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def row(self, index: int) -> dict[str, Any]:
        return {name: self._table.column(name)[index].as_py() for name in self.columns}

    def values(self, column: str) -> list[Any]:
        """All values of a column."""
        values: list[Any] = self._table.column(column).to_pylist()
        return values

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self._folder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        SavedRows.__init__(self, state["folder"])


def _table(folder: Path) -> pa.Table:
    import pyarrow as pa

    listed = _document(folder / _STATE).get("_data_files")
    if listed == []:
        raise InputError(f"the saved dataset {str(folder)!r} is empty; it has no rows")
    entries = listed if isinstance(listed, list) else []
    names = [each.get("filename") for each in entries if isinstance(each, dict)]
    files = [folder / name for name in names if isinstance(name, str)]
    if not files or len(files) < len(entries):
        raise InputError(f"{str(folder / _STATE)!r} names no data files")
    try:
        return pa.concat_tables([_mapped(path) for path in files])
    except pa.ArrowException as error:
        raise InputError(
            f"the files of the saved dataset {str(folder)!r} do not fit together: {one_line(error)}"
        ) from error


def _mapped(path: Path) -> pa.Table:
    """The table in a file, which refers to the mapped file and is not read into memory."""
    import pyarrow as pa

    try:
        return pa.ipc.open_stream(pa.memory_map(str(path))).read_all()
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{str(path)!r}, of a saved dataset, cannot be read: {one_line(error)}") from error


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{str(path)!r} cannot be read: {one_line(error)}") from error
    if not isinstance(document, dict):
        raise InputError(f"{str(path)!r} is no JSON object")
    return document
