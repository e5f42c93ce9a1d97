"""The sizes of all images of a list: from its columns where it says them, else from the images' headers.

Called by ``ImageTextDataset.bucket_ids``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from img2dataset.training.data.row_lists import RowList, column_values
from img2dataset.training.load.image_bytes import DecodeFailed, image_size
from img2dataset.training.load.loading import ImageLoader
from img2dataset.training.load.sources import ImageLoadError, flat

ROWS_AT_ONCE = 256


def image_sizes(rows: RowList, columns: Mapping[str, str], loader: ImageLoader) -> tuple[Any, Any]:
    """Widths and heights, int64 of shape (rows,) each, pixels of the upright images; 0 where unknown.

    Of a row with several images, the first counts.
    """
    import numpy as np

    widths, heights = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
    if "width" in columns and "height" in columns:
        for array, column in ((widths, columns["width"]), (heights, columns["height"])):
            array[:] = [_whole_number(value) for value in column_values(rows, column)]
    unknown = np.flatnonzero((widths <= 0) | (heights <= 0))
    for start in range(0, len(unknown), ROWS_AT_ONCE):
        part = [int(index) for index in unknown[start : start + ROWS_AT_ONCE]]
        for index, size in zip(part, _sizes_of_images(rows, part, columns["image"], loader), strict=True):
            widths[index], heights[index] = size
    return widths, heights


def _sizes_of_images(
    rows: RowList, part: list[int], column: str, loader: ImageLoader
) -> list[tuple[int, int]]:
    sources = [next(flat(rows.row(index).get(column)), None) for index in part]
    bodies = iter(loader.read_many([source for source in sources if not hasattr(source, "convert")]))
    sizes = []
    for source in sources:
        if source is not None and hasattr(source, "convert"):
            try:
                sizes.append(loader(source).size)
            except ImageLoadError:
                sizes.append((0, 0))
            continue
        body = next(bodies)
        try:
            sizes.append((0, 0) if isinstance(body, ImageLoadError) else image_size(body))
        except DecodeFailed:
            sizes.append((0, 0))
    return sizes


def _whole_number(value: Any) -> int:
    try:
        return int(float(value))
    except (TypeError, ValueError, OverflowError):
        return 0
