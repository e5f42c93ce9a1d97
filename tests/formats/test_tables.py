"""Images in Parquet tables, of any size."""

from __future__ import annotations

import pyarrow as pa

from img2dataset.formats.tables import image_bytes_in_chunks


def test_the_images_of_a_row_group_may_be_more_than_2_gib() -> None:
    zeros = pa.py_buffer(bytes(1 << 30))  # pages that are never touched
    offsets = pa.array([0, 1, 1 << 30], pa.int32()).buffers()[1]
    chunk = pa.Array.from_buffers(pa.binary(), 2, [None, offsets, zeros])
    for chunks in ([chunk] * 3, [pa.StructArray.from_arrays([chunk], ["bytes"])] * 3):
        images = image_bytes_in_chunks(pa.chunked_array(chunks))
        assert images[4].as_py() == b"\0"
