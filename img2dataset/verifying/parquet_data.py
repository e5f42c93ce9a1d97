"""A shard of the parquet format: metadata of all rows, and an image beside each success.

In: a path on the local disk. Out: the shard's rows, and findings about its images, or ``BrokenFile``.
Called by ``checking``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from img2dataset.options.images import EncodeFormat
from img2dataset.types import SUCCESS
from img2dataset.verifying.findings import Findings
from img2dataset.verifying.images import ImageCheck
from img2dataset.verifying.metadata import ShardRows
from img2dataset.verifying.tables import read_table

if TYPE_CHECKING:
    import pyarrow as pa

_IMAGE_COLUMNS: tuple[str, ...] = get_args(EncodeFormat)


def image_column(schema: pa.Schema, encode_format: str | None = None) -> str | None:
    """The column that holds the images; None in a table of metadata alone.

    Args:
        schema: of the table.
        encode_format: names the column, where it is known.
    """
    from pyarrow import types

    for name in (encode_format,) if encode_format else _IMAGE_COLUMNS:
        data_type = schema.field(name).type if name in schema.names else None
        if data_type is not None and types.is_struct(data_type):
            position = data_type.get_field_index("bytes")
            data_type = data_type.field(position).type if position >= 0 else None
        if data_type is not None and (types.is_binary(data_type) or types.is_large_binary(data_type)):
            return name
    return None


def check_parquet(
    path: str,
    rows: ShardRows,
    encode_format: str | None,
    image_check: ImageCheck | None,
    findings: Findings,
) -> None:
    """Read every row of a shard, and look at its image.

    Raises:
        BrokenFile: the file is not whole.
    """
    column: str | None = None
    for number, batch in enumerate(read_table(path)):
        if number == 0:
            column = image_column(batch.schema, encode_format)
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
    contents = images
    if hasattr(images.type, "get_field_index"):  # as Hugging Face datasets store images: bytes, path
        contents = images.field(images.type.get_field_index("bytes"))
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
