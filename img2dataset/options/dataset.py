"""The options of what goes in and what comes out: the list and the packed dataset. Part of ``table.py``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Literal, get_args

from img2dataset.failures import PASSING, PASSING_CLASSES
from img2dataset.options.declaring import option
from img2dataset.plugins import FORMATS, LISTS

OutputFormat = Literal["files", "webdataset", "parquet", "tfrecord", "dummy"]
IncrementalMode = Literal["incremental", "overwrite", "extend", "retry_failed", "new_only"]

INPUT, OUTPUT = "Input", "Output"
LIST_FORMATS = os.path.join(os.path.dirname(os.path.dirname(__file__)), "reading", "formats")


def list_formats() -> tuple[str, ...]:
    """The built-in formats of lists: each is a file of its name in ``reading/formats``, not imported here."""
    names = (name.removesuffix(".py") for name in os.listdir(LIST_FORMATS) if name.endswith(".py"))
    return tuple(sorted(name for name in names if not name.startswith("_")))


@dataclass(frozen=True, kw_only=True)
class InputOptions:
    """The list: where it is, what it is, which of its columns are used."""

    url_list: Any = option(
        help="file, folder or glob with the URLs, on any fsspec file system; in Python also an iterable"
        " of URLs or rows, or an Arrow table",
        group=INPUT,
    )
    input_format: str = option(
        "txt",
        help="format of the URL list",
        group=INPUT,
        choices=list_formats,
        endings=(".gz",),
        plugins=LISTS,
        shapes_output=True,
    )
    url_col: str = option("url", help="column with the URLs", group=INPUT, shapes_output=True)
    caption_col: str | None = option(None, help="column with the captions", group=INPUT, shapes_output=True)
    bbox_col: str | None = option(
        None,
        help="column with lists of [x_min, y_min, x_max, y_max] in 0–1: regions to blur",
        group=INPUT,
        shapes_output=True,
    )
    save_additional_columns: tuple[str, ...] | None = option(
        None, help="columns of the list to carry into the metadata", group=INPUT, shapes_output=True
    )
    verify_hash: tuple[str, ...] | None = option(
        None, help="[column, hash type] that downloaded bytes must match", group=INPUT, shapes_output=True
    )
    input_columns: tuple[str, ...] | None = option(
        None,
        help="names of the columns of a csv or tsv without a header line",
        group=INPUT,
        shapes_output=True,
    )
    input_delimiter: str | None = option(
        None,
        help="what separates the fields of a csv or tsv",
        group=INPUT,
        shapes_output=True,
        default_text="',' for csv, tab for tsv",
    )
    input_escape: str | None = option(
        None,
        help="what stands before a quote that is plain text, such as \\; None: it is written twice",
        group=INPUT,
        shapes_output=True,
    )
    input_encoding: str | None = option(
        None,
        help="encoding of a text list, such as latin-1; None: UTF-8, or UTF-16 if the file says so",
        group=INPUT,
        shapes_output=True,
        default_text="UTF-8",
    )
    input_quote: str | None = option(
        '"',
        help="what quotes the fields of a csv or tsv; None: nothing does",
        group=INPUT,
        shapes_output=True,
    )


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """The dataset: where it goes, how it is packed, and what stands there already."""

    output_folder: str = option(
        "images", help="where the dataset goes, on any fsspec file system", group=OUTPUT
    )
    output_format: str = option(
        "files",
        help="how samples are packed; dummy writes statistics only",
        group=OUTPUT,
        choices=lambda: get_args(OutputFormat),
        plugins=FORMATS,
        shapes_output=True,
    )
    hugging_face_images: bool = option(
        False,
        help="in parquet output, store images as Hugging Face datasets does, so that they load as images",
        group=OUTPUT,
        shapes_output=True,
    )
    incremental_mode: IncrementalMode = option(
        "incremental",
        help="incremental: go on, skipping finished shards; overwrite: empty the folder first;"
        " extend: new shards after the highest; retry_failed: go on, and retry the rows whose failure can"
        " pass; new_only: extend with the rows whose URL is not there yet",
        group=OUTPUT,
    )
    retry_classes: tuple[str, ...] = option(
        PASSING,
        help="with retry_failed: beginnings of the failures that are retried",
        group=OUTPUT,
        default_text=f"[{', '.join(PASSING_CLASSES)}]",
    )
    spool_folder: str | None = option(
        None,
        help="where shards for an output folder that is not local wait for their upload, on the local disk:"
        " up to four finished ones of each process, beside the open ones",
        group=OUTPUT,
        default_text="the system's temporary folder",
    )
    store_patience: float = option(
        3600.0,
        help="how long a store that is away is waited for, of the output folder or the list; 0: not at all",
        unit="seconds",
        group=OUTPUT,
        minimum=0,
    )
    allow_mixing: bool = option(
        False, help="go on over a folder made with other options or from another list", group=OUTPUT
    )


@dataclass(frozen=True, kw_only=True)
class NumberingOptions:
    """How rows are counted into shards and get their keys, in a dataset and in a stream."""

    number_sample_per_shard: int = option(
        10000, help="rows a shard", unit="rows", group=OUTPUT, minimum=1, shapes_output=True
    )
    oom_shard_count: int = option(
        5,
        help="digits of the shard number",
        unit="digits",
        group=OUTPUT,
        minimum=0,
        maximum=18,
        shapes_output=True,
    )
