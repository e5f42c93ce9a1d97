"""A map-style dataset of rows as they stand in their list, with pictures in place of sources.

For training code that works on metadata files: one object in place of its own loading. See ``datasets`` for
the dataset with transforms, tokens and buckets.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from img2dataset.counted import counted
from img2dataset.errors import InputError, OptionError
from img2dataset.training.data.lists import open_list
from img2dataset.training.data.loaders import LoaderLike, loader_of
from img2dataset.training.data.row_lists import RowList
from img2dataset.training.load.loading import ImageLoader
from img2dataset.training.load.operators import Operator
from img2dataset.training.representation import shown, shown_source
from img2dataset.training.requirements import require

if TYPE_CHECKING:
    from img2dataset.training.load.cache import ImageCache

torch = require("torch", "a dataset for PyTorch")


class MetadataDataset(torch.utils.data.Dataset):  # type: ignore[misc, name-defined]
    """Rows of a list as they are, with pictures in place of the sources in some columns.

    Args:
        path, format, base_path, split: as in ``ImageTextDataset``.
        image_columns: columns whose sources, or lists of sources, become pictures.
        operators: for other columns, or in place of the loader: a callable of the value, by column.
        repeat: how often the list is gone through in one epoch, for small lists.
        cache, loader: as in ``ImageTextDataset``.

    A sample is the row's dictionary. None stays None.
    """

    def __init__(
        self,
        path: Any,
        *,
        image_columns: Sequence[str] = ("image",),
        base_path: str | os.PathLike[str] | None = None,
        operators: Mapping[str, Callable[[Any], Any]] | None = None,
        repeat: int = 1,
        format: str | None = None,
        cache: str | os.PathLike[str] | ImageCache | None = None,
        loader: LoaderLike = None,
        split: str | None = None,
    ):
        self.rows: RowList = open_list(path, format, split)
        self._source = shown_source(path)
        columns = (image_columns,) if isinstance(image_columns, str) else tuple(image_columns)
        operators = dict(operators or {})
        for column in (*columns, *operators):
            if column not in self.rows.columns:
                raise InputError(f"the list has no column {column!r}; it has {', '.join(self.rows.columns)}")
        if repeat < 1:
            raise OptionError(f"repeat is {repeat!r}; it takes a whole number from 1")
        self.loader = loader_of(loader, path, base_path, cache)
        self.operators: dict[str, Callable[[Any], Any]] = dict.fromkeys(columns, self.loader) | operators
        self.repeat = repeat

    def __len__(self) -> int:
        return len(self.rows) * self.repeat

    def __repr__(self) -> str:
        rows = f"{counted(len(self.rows), 'row')} of {self._source}"
        repeat = None if self.repeat == 1 else self.repeat
        return shown(self, rows, operators=self.operators, repeat=repeat)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The row ``index`` (modulo the list), with pictures.

        Raises:
            ImageLoadError: an image of the row cannot be loaded.
        """
        return self.__getitems__([range(len(self))[index]])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[dict[str, Any]]:
        """The rows of several numbers, with pictures; all downloads run at once."""
        return self.load_batch(indices)()

    def load_batch(self, indices: Sequence[int]) -> Callable[[], list[dict[str, Any]]]:
        """Load the images of several rows; what is returned gives the rows, and runs what follows loading.

        In two steps, so that the datasets of a ``ConcatDataset`` load at the same time.
        """
        rows = [dict(self.rows.row(index % len(self.rows))) for index in indices]
        parts = {column: _around_loader(operator) for column, operator in self.operators.items()}
        fields = [(row, column) for row in rows for column in row if column in parts]
        for loader in dict.fromkeys(loader for _, loader, _ in parts.values() if loader is not None):
            mine = [(row, column) for row, column in fields if parts[column][1] is loader]
            pictures = loader([_through(parts[column][0], row[column]) for row, column in mine])
            for (row, column), picture in zip(mine, pictures, strict=True):
                row[column] = picture

        def finished() -> list[dict[str, Any]]:
            for row, column in fields:
                row[column] = _through(parts[column][2], row[column])
            return rows

        return finished


def _around_loader(operator: Callable[[Any], Any]) -> tuple[list[Any], ImageLoader | None, list[Any]]:
    """What an operator does before it loads, its loader, and what it does afterwards."""
    steps = operator.operators if isinstance(operator, Operator) else [operator]
    for number, step in enumerate(steps):
        if isinstance(step, ImageLoader):
            return steps[:number], step, steps[number + 1 :]
    return [], None, steps


def _through(steps: Sequence[Callable[[Any], Any]], value: Any) -> Any:
    for step in steps:
        value = step(value)
    return value
