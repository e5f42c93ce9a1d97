"""A finished output folder: its shards that are done, their format, metadata and images. Called by
``shards``."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from img2dataset.errors import InputError, OptionError
from img2dataset.formats import OutputFormat, built_in_formats, formats_with_own_data, output_format
from img2dataset.formats.dataset import finished_names, metadata_name
from img2dataset.formats.findings import BrokenFile, Findings
from img2dataset.formats.format import StoredImages
from img2dataset.formats.forward_files import ForwardFiles, open_to_seek
from img2dataset.plugins import FORMATS, plugin_names
from img2dataset.storage.locations import locate
from img2dataset.training.data.metadata_filter import filter_expression


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
        told = None if shard_format is None else _named_format(shard_format)
        location = locate(folder, "folder", InputError)
        self.file_system, self.folder = location.file_system, location.path
        try:
            listed = [
                posixpath.basename(path.rstrip("/"))
                for path in self.file_system.ls(self.folder, detail=False)
            ]
        except OSError as error:
            raise InputError(f"the folder {folder!r} cannot be read: {error}") from error
        self.names = finished_names(listed)
        if not self.names:
            raise InputError(f"the folder {folder!r} has no finished shard (no NNNNN_stats.json)")
        present = set(listed)
        self.format = told or self._told_format(present)
        missing = [name for name in self.names if self.format.data_name(name) not in present]
        if missing and self.format.is_folder:
            # A shard without a single success has no folder.
            self.names = [name for name in self.names if name not in missing]
        elif missing:
            raise InputError(f"the shard {missing[0]} of {folder!r} has no {self.format.ending} file")

    def _told_format(self, present: Collection[str]) -> OutputFormat:
        for ending, found in formats_with_own_data().items():
            if any(name + ending in present for name in self.names):
                return found
        if any(metadata_name(name) in present for name in self.names):
            return output_format("parquet")
        raise InputError(
            f"the folder {self.folder!r} has statistics but no images: it was written as 'dummy'"
        )

    def images(self, name: str) -> StoredImages:
        """The images of a shard by key; of a folder on this machine.

        Raises:
            InputError: its data are cut short or are not what they should be.
        """
        data_name = self.format.data_name(name) or ""
        try:
            return self.format.images(posixpath.join(self.folder, data_name))
        except (BrokenFile, OSError) as error:
            raise InputError(f"the shard {data_name} of {self.folder!r} cannot be read: {error}") from error

    def image(self, name: str, images: StoredImages, key: str) -> bytes | None:
        """One image of the open shard ``name``; None where there is none.

        Raises:
            InputError: what lies there is not what it should be.
        """
        try:
            return images.read(key)
        except (BrokenFile, OSError) as error:
            data_name = self.format.data_name(name)
            raise InputError(
                f"the image of {key} in the shard {data_name} of {self.folder!r} cannot be read: {error}"
            ) from error

    def image_pairs(self, name: str, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """Key and bytes of the images of a shard, read forwards; at least those of the ``wanted`` keys.

        Raises:
            InputError: its data are cut short or are not what they should be.
        """
        data_name = self.format.data_name(name) or ""
        source = ForwardFiles(self.file_system, self.folder, wanted)
        try:
            for sample in self.format.samples(
                source, data_name, columns=(), with_images=True, findings=Findings()
            ):
                if sample.image is not None:
                    yield sample.key, bytes(sample.image)
        except (BrokenFile, OSError) as error:
            raise InputError(f"the shard {data_name} of {self.folder!r} cannot be read: {error}") from error

    def metadata(self, name: str, where: str | None, columns: Sequence[str] | None) -> Any:
        """The metadata of a shard's successes that meet ``where``: a ``pyarrow.Table``.

        Raises:
            OptionError: the condition or a column names what does not exist.
        """
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        with open_to_seek(self.file_system, posixpath.join(self.folder, metadata_name(name))) as source:
            file = pq.ParquetFile(source)
            held = [
                column
                for column in file.schema_arrow.names
                if column != self.format.image_column(file.schema_arrow)
            ]
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


def _named_format(name: str) -> OutputFormat:
    """The format of this name that a dataset can be read from.

    Raises:
        OptionError: there is none.
    """
    built_in, added = built_in_formats(), plugin_names(FORMATS)
    if name in (*built_in, *added) and (found := output_format(name)).keeps_metadata:
        return found
    # Packages are not imported for the sake of a message.
    readable = [each for each in built_in if output_format(each).keeps_metadata]
    others = [each for each in added if each != name]
    raise OptionError(f"format is {name!r}; it takes {', '.join(map(repr, [*readable, *others]))}")
