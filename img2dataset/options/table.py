"""The options themselves, put together from the files of their themes. The command line, the docstring of
``download``, the table in the README and the run manifest are all drawn from here.
"""

from __future__ import annotations

from dataclasses import dataclass

from img2dataset.options.dataset import InputOptions, OutputOptions
from img2dataset.options.declaring import option
from img2dataset.options.downloads import DownloadOptions, MannersOptions
from img2dataset.options.images import ImageOptions

RUN = "Run"


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Who does the work."""

    processes_count: int | None = option(
        None, help="worker processes", group=RUN, minimum=1, maximum=4096, default_text="one a core"
    )
    distributor: str = option(
        "multiprocessing",
        help="who runs the workers",
        group=RUN,
        choices=("multiprocessing", "pyspark", "ray"),
    )
    subjob_size: int = option(1000, help="shards a pyspark job", unit="shards", group=RUN, minimum=1)
    max_shard_retry: int = option(
        1, help="how often failed shards are tried again at the end", group=RUN, minimum=0
    )
    enable_wandb: bool = option(False, help="report to Weights & Biases", group=RUN)
    wandb_project: str = option("img2dataset", help="project of the W&B run", group=RUN)


# What could be given by position in 1.47.0, on the command line and in Python, in this order.
POSITIONAL = (
    "url_list",
    "image_size",
    "output_folder",
    "processes_count",
    "resize_mode",
    "resize_only_if_bigger",
    "upscale_interpolation",
    "downscale_interpolation",
    "encode_quality",
    "encode_format",
    "skip_reencode",
    "output_format",
    "input_format",
    "url_col",
    "caption_col",
    "bbox_col",
    "thread_count",
    "number_sample_per_shard",
    "extract_exif",
    "save_additional_columns",
    "timeout",
    "enable_wandb",
    "wandb_project",
    "oom_shard_count",
    "compute_hash",
    "verify_hash",
    "distributor",
    "subjob_size",
    "retries",
    "disable_all_reencoding",
    "min_image_size",
    "max_image_area",
    "max_aspect_ratio",
    "incremental_mode",
    "max_shard_retry",
    "user_agent_token",
    "disallowed_header_directives",
)


# Fields of a dataclass begin with those of its last base: this is the order of the help, from the end.
@dataclass(frozen=True, kw_only=True)
class Options(RunOptions, MannersOptions, DownloadOptions, OutputOptions, ImageOptions, InputOptions):
    """Every option of a run, checked. Built by ``resolve`` only."""
