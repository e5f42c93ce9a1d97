"""Small runs of the real command line with the options of the contract, and plain readers of what they wrote.

Used by the tests of the contract's options through the fixtures of ``conftest.py``.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from tests.pictures import photograph
from tests.program.runs import run_here

# Wide, tall, and smaller than the default size of 256 pixels.
SIZES = ((400, 300), (300, 420), (120, 90))
BODIES = [photograph(width, height, seed=width) for width, height in SIZES]


class Maker:
    """Runs the command line over the addresses, or another list, into a new folder each time.

    Without a report, unless it is asked for: it takes a quarter of so small a run.
    """

    def __init__(self, addresses: list[str], folder: Path) -> None:
        self.addresses = addresses
        self.folder = folder
        self.runs = 0

    def __call__(self, urls: list[str] | None = None, /, **options: Any) -> Path:
        """Returns the output folder of a run that succeeded."""
        self.runs += 1
        url_list, output = self.folder / f"list-{self.runs}.txt", self.folder / f"out-{self.runs}"
        url_list.write_text("\n".join(urls or self.addresses))
        given = {"url_list": url_list, "output_folder": output, "processes_count": 1, "report": False}
        given.update(options)
        result = run_here(**given)
        assert result.returncode == 0, result.stderr
        return Path(given["output_folder"])


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """The metadata of all shards in the order of their keys."""
    rows = [row for path in folder.glob("*.parquet") for row in pq.read_table(path).to_pylist()]
    return sorted(rows, key=lambda row: str(row["key"]))


def column(folder: Path, *names: str) -> list[Any]:
    values = [tuple(row[name] for name in names) for row in rows_of(folder)]
    return [value[0] for value in values] if len(names) == 1 else values


def files(folder: Path, ending: str = "jpg") -> list[bytes]:
    """The stored files of that ending, in the order of their keys."""
    return [path.read_bytes() for path in sorted(folder.glob(f"*/*.{ending}"))]


def pixels(data: bytes) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def png(array: np.ndarray[Any, Any]) -> bytes:
    encoded = io.BytesIO()
    Image.fromarray(array).save(encoded, "PNG")
    return encoded.getvalue()


# Every option of 1.47.0 and its default.
DEFAULTS = {
    "url_list": None,
    "image_size": 256,
    "output_folder": "images",
    "processes_count": None,  # one a core: a difference on purpose
    "thread_count": 256,
    "resize_mode": "border",
    "resize_only_if_bigger": False,
    "upscale_interpolation": "lanczos",
    "downscale_interpolation": "area",
    "encode_format": "jpg",
    "encode_quality": 95,
    "skip_reencode": False,
    "disable_all_reencoding": False,
    "output_format": "files",
    "input_format": "txt",
    "url_col": "url",
    "caption_col": None,
    "bbox_col": None,
    "number_sample_per_shard": 10000,
    "oom_shard_count": 5,
    "extract_exif": True,
    "save_additional_columns": None,
    "timeout": 10,
    "retries": 0,
    "compute_hash": "sha256",
    "verify_hash": None,
    "enable_wandb": False,
    "wandb_project": "img2dataset",
    "distributor": "multiprocessing",
    "subjob_size": 1000,
    "min_image_size": 0,
    "max_image_area": float("inf"),
    "max_aspect_ratio": float("inf"),
    "incremental_mode": "incremental",
    "max_shard_retry": 1,
    "user_agent_token": None,
    "disallowed_header_directives": ("noai", "noimageai", "noindex", "noimageindex"),
    "ignore_ssl_certificate": False,
}
