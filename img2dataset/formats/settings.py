"""What a shard's files shall look like: the options of the output, and what of the run's others shapes files.

Built once by the api, pickled to every worker, read by every file of this room.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from img2dataset.errors import OutputError
from img2dataset.formats import output_format
from img2dataset.formats.dataset import computed_columns
from img2dataset.formats.format import OutputFormat
from img2dataset.options import ImageOptions, NumberingOptions, OutputOptions
from img2dataset.storage.locations import Location, locate
from img2dataset.storage.patience import Patience

# What it is called in messages.
STORE_OF_OUTPUT = "the store of the output folder"


@dataclass(frozen=True, kw_only=True)
class WriteSettings(OutputOptions, NumberingOptions):
    """How and where shards are written: the options of the output and of its numbers, and these.

    Args:
        image: how images are encoded and described; it names columns.
        consent_column: the metadata has a column of what was said of training.
        save_captions: each sample also gets its caption as ``KEY.txt``, or as the feature ``txt``.
        run_id: from ``new_run_id``; names the run's temporary files.

    Raises:
        OptionError: there is no such output format.
        MissingDependency: the output format needs a package that is not installed: said before a run, not by
            each shard.
    """

    image: ImageOptions
    save_captions: bool
    run_id: str
    consent_column: bool = False

    def __post_init__(self) -> None:
        self.format.check_installed()

    @property
    def format(self) -> OutputFormat:
        """What writes the data."""
        return output_format(self.output_format)

    @property
    def shard_digits(self) -> int:
        """Digits of the shard's number in names."""
        return self.oom_shard_count

    @property
    def rows_per_shard(self) -> int:
        """Rows of a full shard; sets the digits of keys."""
        return self.number_sample_per_shard

    @property
    def encode_format(self) -> str:
        """Names the image column (parquet) or feature (tfrecord)."""
        return self.image.encode_format

    @property
    def extract_exif(self) -> bool:
        """The metadata has a column ``exif``."""
        return self.image.extract_exif

    @property
    def hash_column(self) -> str | None:
        """Name of the hash column, None for no such column."""
        return self.image.compute_hash

    @property
    def computed_columns(self) -> list[str]:
        """The columns of the metadata that the run computes, in their order."""
        return computed_columns(self.extract_exif, self.hash_column, self.consent_column)

    def locate(self) -> Location:
        """Where the output folder is.

        Raises:
            MissingDependency: its file system's package is not installed.
            OutputError: its file system is unknown or cannot be set up.
        """
        return locate(self.output_folder, "output_folder", OutputError)

    def locate_patiently(self, is_stopped: Callable[[], bool]) -> Location:
        """The same, for the program of a run: a store that is away is waited for as the options say.

        Args:
            is_stopped: whether the run is to stop: then nothing is waited for.

        Raises:
            MissingDependency, OutputError: as ``locate``.
        """
        patience = Patience(self.store_patience, STORE_OF_OUTPUT, "the run waits for it", is_stopped)
        return replace(self.locate(), patience=patience)
