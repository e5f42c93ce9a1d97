"""Options by position: 1.47.0's order, in which scripts give them in Python and on the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from img2dataset.errors import OptionError

# Options that 1.47.0 did not have are given by name only, so that a new one never moves the others.
POSITIONS = (
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


def by_name(values: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a call by name.

    Raises:
        OptionError: more values than there are places, or an option given twice.
    """
    if len(values) > len(POSITIONS):
        raise OptionError(
            f"{len(values)} options are given by position, and {len(POSITIONS)} have one; name the others"
        )
    placed = dict(zip(POSITIONS, values, strict=False))
    for name in placed:
        if name in named:
            raise OptionError(f"--{name} is given twice, by position and by name")
    return {**placed, **named}
