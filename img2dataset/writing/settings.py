"""What a shard's files shall look like: the part of the run's options that the writers need.

Built once by the api, pickled to every worker, read by every file of this room.
"""

from __future__ import annotations

from dataclasses import dataclass

from img2dataset.errors import OptionError, OutputError
from img2dataset.storage.locations import Location, locate

OUTPUT_FORMATS = ("files", "webdataset", "parquet", "tfrecord", "dummy")


@dataclass(frozen=True, kw_only=True)
class WriteSettings:
    """How and where shards are written.

    Args:
        output_folder: any fsspec path.
        output_format: one of ``OUTPUT_FORMATS``.
        run_id: from ``new_run_id``; names the run's temporary files.
        encode_format: names the image column (parquet) or feature (tfrecord).
        shard_digits: digits of the shard's number in names (``oom_shard_count``).
        rows_per_shard: rows of a full shard; sets the digits of keys.
        save_captions: each sample also gets its caption as ``KEY.txt``, or as the feature ``txt``.
        extract_exif: the metadata has a column ``exif``.
        hugging_face_images: the image column of ``parquet`` is a struct of ``bytes`` and ``path``, which
            ``datasets.load_dataset`` shows as images by itself, in place of plain binary.
        hash_column: name of the hash column (``md5``, ``sha256``, ``sha512``), None for no such column.

    Raises:
        OptionError: the output format is unknown.
        MissingDependency: it needs a package that is not installed: said before a run, not by each shard.
    """

    output_folder: str
    output_format: str
    run_id: str
    encode_format: str = "jpg"
    shard_digits: int = 5
    rows_per_shard: int = 10000
    save_captions: bool = False
    extract_exif: bool = True
    hash_column: str | None = "sha256"
    hugging_face_images: bool = False

    def __post_init__(self) -> None:
        if self.output_format not in OUTPUT_FORMATS:
            raise OptionError(
                f"output_format is {self.output_format!r}; it must be one of {', '.join(OUTPUT_FORMATS)}"
            )
        if self.output_format == "tfrecord":
            # Here, because that file has its settings from this one.
            from img2dataset.writing.tfrecord_format import checksum_function

            checksum_function()

    def locate(self) -> Location:
        """Where the output folder is.

        Raises:
            MissingDependency: its file system's package is not installed.
            OutputError: its file system is unknown or cannot be set up.
        """
        return locate(self.output_folder, "output_folder", OutputError)
