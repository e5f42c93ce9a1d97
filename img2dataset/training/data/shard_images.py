"""Where the image of each key lies in a finished shard, and its bytes: one class a format.

Called by ``ShardDataset`` (by key) and ``ShardStream`` (in the order of the file).
"""

from __future__ import annotations

import mmap
import os
import struct
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from img2dataset.errors import InputError

# What the image's column, feature or ending can be called, with ``encode_format`` and true endings.
IMAGE_NAMES = ("jpg", "png", "webp", "jpeg", "gif", "bmp", "tif", "tiff", "avif", "jp2", "ico")
_NO_IMAGE_ENDINGS = ("json", "txt")


class FolderImages:
    """``files``: a folder a shard, a file an image."""

    def __init__(self, path: str):
        self._path = Path(path)
        self._names = {
            name.partition(".")[0]: name
            for name in os.listdir(path)
            if name.rpartition(".")[2] not in _NO_IMAGE_ENDINGS
        }

    def keys(self) -> list[str]:
        return sorted(self._names)

    def read(self, key: str) -> bytes | None:
        name = self._names.get(key)
        return None if name is None else (self._path / name).read_bytes()


class TarImages:
    """``webdataset``: the headers of the tar are read once, images by their place in it."""

    def __init__(self, path: str):
        self._path = path
        self._places: dict[str, tuple[int, int]] = {}
        try:
            with tarfile.open(path, "r:") as tar:
                for member in tar:
                    key, _, ending = member.name.rpartition("/")[2].partition(".")
                    if member.isfile() and ending not in _NO_IMAGE_ENDINGS:
                        self._places[key] = (member.offset_data, member.size)
        except (tarfile.TarError, OSError) as error:
            raise InputError(f"the shard {path!r} cannot be read: {error}") from error
        self._file: Any = None

    def keys(self) -> list[str]:
        return list(self._places)

    def read(self, key: str) -> bytes | None:
        place = self._places.get(key)
        if place is None:
            return None
        if self._file is None:
            self._file = open(self._path, "rb")  # noqa: SIM115 - stays open with the shard
        # pread: several processes may have inherited the file.
        return os.pread(self._file.fileno(), place[1], place[0])


class ParquetImages:
    """``parquet``: the image column, a row group at a time."""

    def __init__(self, path: str):
        import pyarrow.parquet as pq

        self._file = pq.ParquetFile(path, memory_map=True)
        self._column = image_column(self._file.schema_arrow)
        keys = self._file.read(columns=["key"]).column("key").to_pylist()
        self._rows = {key: row for row, key in enumerate(keys)}
        self._group = -1
        self._images: Any = None
        self._starts = [0]
        for group in range(self._file.num_row_groups):
            self._starts.append(self._starts[-1] + self._file.metadata.row_group(group).num_rows)

    def keys(self) -> list[str]:
        return list(self._rows)

    def read(self, key: str) -> bytes | None:
        import bisect

        row = self._rows.get(key)
        if row is None:
            return None
        group = bisect.bisect_right(self._starts, row) - 1
        if group != self._group:
            self._images = self._file.read_row_group(group, columns=[self._column]).column(0)
            self._group = group
        value: bytes | None = self._images[row - self._starts[group]].as_py()
        return value


def image_column(schema: Any) -> str:
    """The column of a parquet shard that holds the images.

    Raises:
        InputError: there is none.
    """
    import pyarrow as pa

    binary = [
        field.name
        for field in schema
        if pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type)
    ]
    found = next((name for name in IMAGE_NAMES if name in binary), None)
    if found is None:
        raise InputError(
            f"a parquet shard has no column of images ({', '.join(IMAGE_NAMES[:3])}); it has {schema.names}"
        )
    return found


class TfrecordImages:
    """``tfrecord``: the records are walked once for their keys; no TensorFlow."""

    def __init__(self, path: str):
        self._places: dict[str, tuple[int, int]] = {}
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            self._data: Any = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
        at = 0
        while at + 12 <= size:
            (length,) = struct.unpack_from("<Q", self._data, at)
            if at + 16 + length > size:
                raise InputError(f"the shard {path!r} is cut short; make it again")
            place = (at + 12, at + 12 + length)
            key = feature_bytes(self._data, *place, b"key")
            if key is not None:
                self._places[key.decode()] = place
            at = place[1] + 4

    def keys(self) -> list[str]:
        return list(self._places)

    def read(self, key: str) -> bytes | None:
        place = self._places.get(key)
        return None if place is None else _image_feature(self._data, *place)


def _image_feature(data: Any, start: int, end: int) -> bytes | None:
    images = (feature_bytes(data, start, end, name.encode()) for name in IMAGE_NAMES)
    return next((image for image in images if image is not None), None)


def feature_bytes(data: Any, start: int, end: int, name: bytes) -> bytes | None:
    """The first byte string of feature ``name`` in the ``tf.train.Example`` at ``data[start:end]``.

    The schema: tensorflow/core/example/feature.proto. Example.features = 1; Features.feature = 1, entries of
    key = 1 and value = 2; Feature.bytes_list = 1; BytesList.value = 1.
    """
    for features in _fields(data, start, end, 1):
        for entry in _fields(data, *features, 1):
            key = next(_fields(data, *entry, 1), None)
            if key is not None and data[key[0] : key[1]] == name:
                for feature in _fields(data, *entry, 2):
                    for texts in _fields(data, *feature, 1):
                        for value in _fields(data, *texts, 1):
                            return bytes(data[value[0] : value[1]])
    return None


def _fields(data: Any, at: int, end: int, wanted: int) -> Iterator[tuple[int, int]]:
    """Where the length-delimited fields numbered ``wanted`` begin and end, within a message."""
    while at < end:
        tag, at = _varint(data, at)
        if tag & 7 != 2:
            return  # these messages have no others where images and keys are
        length, at = _varint(data, at)
        if tag >> 3 == wanted:
            yield at, min(at + length, end)
        at += length


def _varint(data: Any, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def tar_images(file: Any) -> Iterator[tuple[str, bytes]]:
    """Key and bytes of each image of a tar that can only be read forwards."""
    with tarfile.open(fileobj=file, mode="r|") as tar:
        for member in tar:
            key, _, ending = member.name.rpartition("/")[2].partition(".")
            if member.isfile() and ending not in _NO_IMAGE_ENDINGS:
                content = tar.extractfile(member)
                yield key, content.read() if content is not None else b""


def tfrecord_images(file: Any) -> Iterator[tuple[str, bytes]]:
    """Key and bytes of each image of a tfrecord that can only be read forwards."""
    while len(head := file.read(12)) == 12:
        (length,) = struct.unpack_from("<Q", head)
        record = file.read(length + 4)
        if len(record) < length + 4:
            raise InputError("a tfrecord shard is cut short; make it again")
        key = feature_bytes(record, 0, length, b"key")
        image = _image_feature(record, 0, length)
        if key is not None and image is not None:
            yield key.decode(), image
