"""What an output format is: the files of a shard, how they are written, read again, and checked.

A new one is one file with a class ``Format(OutputFormat)``: here, under a name that ``OutputFormat`` of
``options/dataset.py`` lists; or in a package of its own, named by an entry point of the group
``img2dataset.formats``. Downloads, retries of failed rows (``retry_failed``), ``verify`` and the datasets of
the training side work with it then: they ask this class, and know no format by name.

A shard is named by its number, ``00000``. Beside what the format writes stand ``00000.parquet``, the metadata
of all rows, and ``00000_stats.json``; both are written by others. Only successful samples reach a format.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, Protocol

from img2dataset.types import Sample

if TYPE_CHECKING:
    import pyarrow as pa

    from img2dataset.formats.findings import Findings
    from img2dataset.formats.metadata import ShardMetadata
    from img2dataset.formats.settings import WriteSettings

Contents = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class KeptSample:
    """A success that stays as it is: its row, and whether its image was decoded when it was made."""

    index: int
    was_decoded: bool

    def may_be_empty(self, contents: str) -> bool:
        """Whether its ``image``, ``caption`` or ``metadata`` can be whole without a byte in it.

        A caption can, and an image that was stored as it came. What was decoded was not empty then: a power
        cut leaves such files.
        """
        return contents == "caption" or (contents == "image" and not self.was_decoded)


class FinishedData(Protocol):
    """The data of a finished shard, of which a writer keeps samples.

    Attributes:
        name: of the shard.
        in_place: whether it stands in the output folder itself; else it is what a stop has kept, and is
            to be taken from there.
    """

    name: str
    in_place: bool

    def local_data(self, folder: str, name: str) -> AbstractContextManager[str]:
        """The path of the file ``name`` on the local disk: itself, or a copy in ``folder`` for that time.

        The copy has another name.

        Raises:
            ValueError: it is not there.
        """

    def file_sizes(self) -> dict[str, int]:
        """The sizes in bytes of the files in the folder of the shard's name.

        Raises:
            ValueError: the folder is not there.
        """

    def take_file(self, name: str, target: str) -> None:
        """Have one file of that folder stand at ``target`` too."""


class SampleWriter(Protocol):
    """Writes the samples of one shard, into files of the shard's temporary folder under their final names.

    All calls come from one thread. Whatever is raised fails the shard, and nothing of it is left.
    """

    row_failures: dict[int, str]
    """Why a row cannot be written in this format, whatever its image, for each such row."""

    def write(self, sample: Sample) -> None:
        """Write one successful sample, in any order.

        Raises:
            OSError: the disk is full, or the like; the shard is lost.
        """

    def keep(self, finished: FinishedData, samples: Mapping[str, KeptSample]) -> None:
        """Take these samples over from a finished shard, by key, bit for bit and without decoding them.

        Raises:
            ValueError: the shard's data are not whole, or lack one of them; the message says what.
            OSError: the disk is full, or the like.
        """

    def finish(self, metadata: pa.Table) -> None:
        """Complete and close the output; ``metadata`` is the table of all rows."""

    def abandon(self) -> None:
        """Close whatever is open, of a shard that will not be; never raises."""


@dataclass(frozen=True, slots=True)
class StoredSample:
    """A sample as it lies in the data.

    Attributes:
        key: of the sample.
        image_bytes: the size of its image; None where it has none.
        image: None where images are not asked for.
        caption: its bytes; None where it has none.
        repeated: the columns that it repeats from the metadata; None where they are missing. A format that
            repeats none gives an empty dictionary.
        files: the names of its files, or members, where it has some of its own.
    """

    key: str
    image_bytes: int | None
    image: Contents | None
    caption: bytes | None
    repeated: Mapping[str, Any] | None
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FolderEntry:
    """A name in a folder; ``size`` in bytes."""

    name: str
    size: int
    is_file: bool


class DataSource(Protocol):
    """Where the data of shards are read from: an output folder on any file system."""

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        """A file, read from its beginning; it can be sought in. What needs a path copies it."""

    def list(self, folder: str) -> Sequence[FolderEntry]:
        """What is in a folder, sorted by name."""

    def read_many(self, folder: str, entries: Sequence[FolderEntry]) -> Iterator[bytes]:
        """The contents of files of a folder, in order."""


class StoredImages(Protocol):
    """The images of one shard by key, for reading them in any order; on this machine."""

    def read(self, key: str) -> bytes | None:
        """An image; None where there is none.

        Raises:
            BrokenFile: what lies there is no image of a sample.
        """


class OutputFormat(ABC):
    """One output format. Made without arguments; it keeps nothing of a shard.

    Class attributes:
        name: the value of ``output_format``; that of the entry point.
        ending: what the file of a shard's data ends in, after the shard's name: ``.tar``. Empty: a folder of
            the shard's name. None: there are no data. No other format's, nor the metadata's.
        holds_metadata: the file of data is the metadata table itself, ``00000.parquet``, with a column of
            images (``image_column``): there is no other.
        repeats_short_floats: the data repeat floats of the metadata in 32 bits.
    """

    name: ClassVar[str]
    ending: ClassVar[str | None]
    holds_metadata: ClassVar[bool] = False
    repeats_short_floats: ClassVar[bool] = False

    @property
    def is_folder(self) -> bool:
        """Whether a shard's data are a folder of files."""
        return self.ending == ""

    @property
    def keeps_metadata(self) -> bool:
        """Whether anything is kept of a shard's rows, so that some can be retried."""
        return self.ending is not None or not self.holds_metadata

    def data_name(self, shard: str) -> str | None:
        """The file or folder of a shard's data; None if there is none."""
        return None if self.ending is None else shard + self.ending

    def check_installed(self) -> None:
        """Check that what it needs is installed; called before a run, and not for each of its shards.

        Raises:
            MissingDependency: a package that it needs is not installed.
        """
        return

    @abstractmethod
    def writer(
        self, settings: WriteSettings, folder: str, shard: str, metadata: ShardMetadata
    ) -> SampleWriter:
        """Begin the data of a shard.

        Args:
            settings: the options of the output.
            folder: the shard's temporary folder; exists and is empty. Its file is ``data_name(shard)``.
            shard: the shard's name.
            metadata: of the shard; its input columns are read now, its computed ones sample by sample.

        Raises:
            OSError: its file cannot be made.
        """

    @abstractmethod
    def samples(
        self,
        source: DataSource,
        name: str,
        *,
        columns: Sequence[str],
        with_images: bool,
        findings: Findings,
    ) -> Iterator[StoredSample]:
        """The samples of a shard, in the order of its data; this is also its check.

        Args:
            source: the output folder.
            name: ``data_name`` of the shard.
            columns: of the metadata; none where images alone are wanted: captions and what is repeated may be
                left out then.
            with_images: whether the images are wanted too.
            findings: take what is wrong with single samples.

        Raises:
            BrokenFile: the data are not whole, as far as the format can tell (``formats.findings``).
            OSError: of the disk or the store: says nothing of the shard, which stays.
        """

    @abstractmethod
    def images(self, path: str) -> StoredImages:
        """The images of a shard's data on this machine.

        Raises:
            BrokenFile: the data are not whole.
        """

    def image_column(self, schema: pa.Schema, encode_format: str | None = None) -> str | None:
        """The column that holds the images, of a format that ``holds_metadata``; else None.

        Args:
            schema: of the table.
            encode_format: names the column, where it is known.
        """
        return None
