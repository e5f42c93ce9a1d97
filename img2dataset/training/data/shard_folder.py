"""A finished output folder: its shards that are done, their format and metadata. Called by ``shards``."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Literal

from img2dataset.errors import InputError, OptionError
from img2dataset.storage.locations import locate
from img2dataset.training.data.metadata_filter import filter_expression
from img2dataset.training.data.shard_images import image_column, tar_images, tfrecord_images

ShardFormat = Literal["files", "webdataset", "parquet", "tfrecord"]
FORMATS = ("files", "webdataset", "parquet", "tfrecord")
_ENDINGS = {"files": "", "webdataset": ".tar", "parquet": ".parquet", "tfrecord": ".tfrecord"}
_STATISTICS = re.compile(r"(\d+)_stats\.json")


class FinishedShards:
    """The shards of an output folder that are done: those whose statistics file is there.

    Args:
        folder: any fsspec path.
        shard_format: None: told from the files beside the first shard's statistics.

    Raises:
        InputError: no folder, no finished shard, or its images are not there.
        MissingDependency: the folder's file system needs a package that is not installed.
    """

    def __init__(self, folder: str, shard_format: str | None = None):
        if shard_format is not None and shard_format not in FORMATS:
            raise OptionError(f"format is {shard_format!r}; it takes {', '.join(map(repr, FORMATS))}")
        location = locate(folder, "folder", InputError)
        self.file_system, self.folder = location.file_system, location.path
        try:
            listed = [
                posixpath.basename(path.rstrip("/"))
                for path in self.file_system.ls(self.folder, detail=False)
            ]
        except OSError as error:
            raise InputError(f"the folder {folder!r} cannot be read: {error}") from error
        self.names = sorted((match[1] for name in listed if (match := _STATISTICS.fullmatch(name))), key=int)
        if not self.names:
            raise InputError(f"the folder {folder!r} has no finished shard (no NNNNN_stats.json)")
        present = set(listed)
        self.format = shard_format or self._told_format(present)
        missing = [name for name in self.names if name + _ENDINGS[self.format] not in present]
        if missing and self.format == "files":
            # A shard without a single success has no folder.
            self.names = [name for name in self.names if name not in missing]
        elif missing:
            raise InputError(f"the shard {missing[0]} of {folder!r} has no {_ENDINGS[self.format]} file")

    def _told_format(self, present: Collection[str]) -> str:
        for shard_format in ("webdataset", "tfrecord", "files", "parquet"):
            if any(name + _ENDINGS[shard_format] in present for name in self.names):
                return shard_format
        raise InputError(
            f"the folder {self.folder!r} has statistics but no images: it was written as 'dummy'"
        )

    def image_path(self, name: str) -> str:
        """The file or folder of a shard's images."""
        return posixpath.join(self.folder, name + _ENDINGS[self.format])

    def metadata(self, name: str, where: str | None, columns: Sequence[str] | None) -> Any:
        """The metadata of a shard's successes that meet ``where``: a ``pyarrow.Table``.

        Raises:
            OptionError: the condition or a column names what does not exist.
        """
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        with self.file_system.open(posixpath.join(self.folder, f"{name}.parquet"), "rb") as source:
            file = pq.ParquetFile(source)
            held = [column for column in file.schema_arrow.names if column != self._image_column(file)]
            for column in columns or ():
                if column not in held:
                    raise OptionError(f"columns has {column!r}; the metadata has {', '.join(held)}")
            table = file.read(columns=held)
        condition = pc.field("status") == "success"
        if where is not None:
            condition = condition & filter_expression(where, held)
        try:
            table = table.filter(condition)
        except (ValueError, TypeError, NotImplementedError) as error:
            raise OptionError(
                f"where is {where!r}, which cannot be asked of the metadata: {error}"
            ) from error
        if columns is None:
            return table
        kept = [column for column in held if column in columns or column in ("key", "caption")]
        return table.select(kept)

    def _image_column(self, file: Any) -> str | None:
        return image_column(file.schema_arrow) if self.format == "parquet" else None


def image_pairs(shards: FinishedShards, name: str, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """Key and bytes of the images of a shard, read forwards; at least those of the ``wanted`` keys.

    Raises:
        InputError: the shard's file is cut short or is not what it should be.
    """
    path = shards.image_path(name)
    if shards.format == "files":
        for file in sorted(shards.file_system.ls(path, detail=False)):
            key, _, ending = posixpath.basename(file).partition(".")
            if key in wanted and ending not in ("json", "txt"):
                yield key, shards.file_system.cat_file(file)
        return
    with shards.file_system.open(path, "rb") as file:
        if shards.format == "parquet":
            yield from _parquet_pairs(file)
        else:
            yield from tar_images(file) if shards.format == "webdataset" else tfrecord_images(file)


def _parquet_pairs(source: Any) -> Iterator[tuple[str, bytes]]:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(source)
    for batch in file.iter_batches(batch_size=64, columns=["key", image_column(file.schema_arrow)]):
        for key, image in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            if image is not None:
                yield key, image
