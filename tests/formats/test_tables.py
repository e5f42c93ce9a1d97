"""Images in Parquet tables, of any size."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from img2dataset.errors import OutputError
from img2dataset.formats import output_format
from img2dataset.formats.findings import BrokenFile, Findings
from img2dataset.formats.shard_files import ShardFiles
from img2dataset.formats.tables import image_bytes_in_chunks
from img2dataset.storage.locations import locate


def test_the_images_of_a_row_group_may_be_more_than_2_gib() -> None:
    zeros = pa.py_buffer(bytes(1 << 30))  # pages that are never touched
    offsets = pa.array([0, 1, 1 << 30], pa.int32()).buffers()[1]
    chunk = pa.Array.from_buffers(pa.binary(), 2, [None, offsets, zeros])
    for chunks in ([chunk] * 3, [pa.StructArray.from_arrays([chunk], ["bytes"])] * 3):
        images = image_bytes_in_chunks(pa.chunked_array(chunks))
        assert images[4].as_py() == b"\0"


@pytest.mark.parametrize("columns", [["jpg"], ["jpg", "url"]])
def test_a_table_without_keys_is_broken(tmp_path: Path, columns: list[str]) -> None:
    path = tmp_path / "00000.parquet"
    pq.write_table(pa.table({name: [b"image"] for name in columns}), path)
    parquet = output_format("parquet")
    with pytest.raises(BrokenFile, match="no column of keys"):
        parquet.images(str(path))
    source = ShardFiles(locate(str(tmp_path), "folder", OutputError))
    with pytest.raises(BrokenFile, match="no column of keys"):
        list(parquet.samples(source, path.name, columns=(), with_images=True, findings=Findings()))


def test_a_damaged_page_of_images_is_told_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "00000.parquet"
    pq.write_table(pa.table({"key": ["0"], "jpg": [bytes(5000)]}), path, use_dictionary=False)
    where = pq.read_metadata(path).row_group(0).column(1)
    with path.open("r+b") as file:
        file.seek(where.data_page_offset)
        file.write(b"\xff" * where.total_compressed_size)
    images = output_format("parquet").images(str(path))
    with pytest.raises(BrokenFile):
        images.read("0")
