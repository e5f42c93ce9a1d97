"""Which options a stream takes follows from the part that declares them."""

from __future__ import annotations

from typing import Any

import pytest

from img2dataset.errors import OptionError
from img2dataset.training.streaming.rows import stream_options


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("output_format", "parquet"),
        ("incremental_mode", "extend"),
        ("hugging_face_images", True),
        ("retry_classes", ["timeout"]),
        ("allow_mixing", True),
        ("max_shard_retry", 2),
        ("enable_wandb", True),
    ],
)
def test_what_says_how_a_dataset_is_written_or_made_is_refused(name: str, value: Any) -> None:
    with pytest.raises(OptionError, match=f"{name} is for runs that write a dataset"):
        stream_options("a.txt", {name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("number_sample_per_shard", 7), ("oom_shard_count", 3), ("image_size", 64), ("dns", "system")],
)
def test_what_says_how_rows_are_numbered_fetched_and_resized_is_taken(name: str, value: Any) -> None:
    assert getattr(stream_options("a.csv.gz", {name: value}), name) == value
    assert stream_options("a.csv.gz", {}).input_format == "csv.gz"
