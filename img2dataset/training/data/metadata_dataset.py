"""A map-style dataset of rows as they stand in their list, with pictures in place of sources.

For training code that works on metadata files: one object in place of its own loading. See ``datasets`` for
the dataset with transforms, tokens and buckets.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from img2dataset.errors import InputError, OptionError
from img2dataset.training.data.lists import list_folder, open_list
from img2dataset.training.data.row_lists import RowList
from img2dataset.training.load.loading import ImageLoader
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
        loader: ImageLoader | None = None,
        split: str | None = None,
    ):
        self.rows: RowList = open_list(path, format, split)
        columns = (image_columns,) if isinstance(image_columns, str) else tuple(image_columns)
        operators = dict(operators or {})
        for column in (*columns, *operators):
            if column not in self.rows.columns:
                raise InputError(f"the list has no column {column!r}; it has {', '.join(self.rows.columns)}")
        if repeat < 1:
            raise OptionError(f"repeat is {repeat!r}; it takes a whole number from 1")
        folder = base_path if base_path is not None else list_folder(path)
        self.loader = loader or ImageLoader(folder, cache=cache)
        self.operators: dict[str, Callable[[Any], Any]] = dict.fromkeys(columns, self.loader) | operators
        self.repeat = repeat

    def __len__(self) -> int:
        return len(self.rows) * self.repeat

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The row ``index`` (modulo the list), with pictures.

        Raises:
            ImageLoadError: an image of the row cannot be loaded.
        """
        row = self.rows.row(range(len(self))[index] % len(self.rows))
        return {
            name: self.operators[name](value) if name in self.operators else value
            for name, value in row.items()
        }
