"""A shard whose metadata hold the images too: one table, and an image beside each success.

In: a path on the local disk. Out: the shard's rows, and findings about its images, or ``BrokenFile``.
Called by ``checking``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from img2dataset.formats.findings import Findings
from img2dataset.formats.format import OutputFormat
from img2dataset.formats.tables import image_bytes, read_table
from img2dataset.types import SUCCESS
from img2dataset.verifying.images import ImageCheck
from img2dataset.verifying.metadata import ShardRows

if TYPE_CHECKING:
    import pyarrow as pa


def check_images_in_table(
    path: str,
    output_format: OutputFormat,
    rows: ShardRows,
    encode_format: str | None,
    image_check: ImageCheck | None,
    findings: Findings,
) -> None:
    """Read every row of a shard whose metadata hold the images, and look at its image.

    Raises:
        BrokenFile: the file is not whole.
    """
    column: str | None = None
    for number, batch in enumerate(read_table(path)):
        if number == 0:
            column = output_format.image_column(batch.schema, encode_format)
            if column is None:
                findings.add(
                    f"the table has no column of images{f' {encode_format!r}' if encode_format else ''}"
                )
            if not rows.begin(batch.schema, column):
                return
        first = rows.count
        rows.add(batch)
        if column is not None:
            _check_images(batch.column(column), rows, first, image_check, findings)
    rows.finish()


def _check_images(
    images: pa.Array, rows: ShardRows, first: int, image_check: ImageCheck | None, findings: Findings
) -> None:
    contents = image_bytes(images)
    statuses, keys = rows.values["status"], rows.values["key"]
    for position in range(len(images)):
        row = first + position
        is_there = images[position].is_valid and contents[position].is_valid
        if (statuses[row] == SUCCESS) != is_there:
            findings.add(
                "image beside a row that failed" if is_there else "success without an image", str(keys[row])
            )
        elif is_there:
            image = memoryview(contents[position].as_buffer())
            if not image and rows.was_decoded(row):
                findings.add("empty image", str(keys[row]))
            elif image_check is not None:
                image_check.look_at(image, rows, row, str(keys[row]))
