"""The end of a soak: is every row there once, and every image the right one?

Comes in: the folder and the seed. Goes out: an ``Account``. Reads with pyarrow, tarfile, json and Pillow,
not with the program that wrote.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from tests.reliability.misbehaving import fault_of
from tests.reliability.pictures import NotNumbered, read_number, size_of


@dataclass
class Account:
    """What was found in a dataset. ``wrong`` has a line for everything that is not as it must be."""

    shards: int = 0
    rows: list[int] = field(default_factory=list)
    images: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Account) -> None:
        self.shards += other.shards
        self.rows += other.rows
        self.images += other.images
        self.statuses += other.statuses
        self.failures += other.failures
        self.wrong += other.wrong


def numbers_in(rows: int) -> list[int]:
    """The number in the address of each row: its own, but that some take that of a row before.

    One row in two hundred has the address of the row before it, and one that of a row in another shard.
    """
    return [row - 1 if row % 200 == 7 else row // 2 if row % 200 == 107 else row for row in range(rows)]


def check_dataset(folder: Path, seed: int, rows: int, processes: int) -> Account:
    """Check every shard of ``folder``, and that together they have each of ``rows`` once."""
    account = Account()
    paths = sorted(folder.glob("*_stats.json"))
    with ProcessPoolExecutor(processes) as pool:
        for part in pool.map(partial(check_shard, seed=seed, numbers=numbers_in(rows)), paths):
            account.add(part)
    counts = Counter(account.rows)
    lost = [row for row in range(rows) if not counts[row]]
    doubled = [row for row, count in counts.items() if count > 1]
    account.wrong += [f"{len(lost)} rows lost, the first {lost[0]}"] if lost else []
    account.wrong += [f"{len(doubled)} rows doubled, the first {doubled[0]}"] if doubled else []
    if left := [path for path in folder.glob(".tmp/**/*") if path.is_file()]:
        account.wrong.append(f"{len(left)} temporary files are left, the first {left[0]}")
    return account


def check_shard(statistics_path: Path, seed: int, numbers: list[int]) -> Account:
    """Check one shard: statistics against metadata, metadata against samples, pixels against numbers."""
    shard = statistics_path.name.removesuffix("_stats.json")
    account = Account(shards=1)
    try:
        metadata = pq.read_table(statistics_path.with_name(f"{shard}.parquet")).to_pylist()
        samples = dict(read_samples(statistics_path.with_name(f"{shard}.tar")))
    except Exception as error:
        account.wrong.append(f"shard {shard} cannot be read: {error!r}")
        return account
    account.rows = [row["row"] for row in metadata]
    account.statuses = Counter(row["status"] for row in metadata)
    account.failures = Counter(row["error_message"] for row in metadata if row["error_message"])
    said = Counter(row["error_message"] or "success" for row in metadata)
    account.wrong += wrong_statistics(shard, json.loads(statistics_path.read_text()), account, said)
    keys = [row["key"] for row in metadata]
    if len(set(keys)) != len(keys) or any(not key.startswith(shard) for key in keys):
        account.wrong.append(f"shard {shard}: keys doubled or of another shard")
    succeeded = {row["key"] for row in metadata if row["status"] == "success"}
    if succeeded != samples.keys():
        account.wrong.append(f"shard {shard}: {len(samples)} samples, {len(succeeded)} successes")
    for row in metadata:
        reason = wrong_row(row, samples.get(row["key"]), numbers[row["row"]], seed)
        account.wrong += [f"row {row['row']}: {reason}"] if reason else []
    account.images = len(samples)
    return account


def wrong_statistics(
    shard: str, statistics: dict[str, Any], account: Account, said: Counter[str]
) -> list[str]:
    """Where the statistics of a shard and its metadata disagree."""
    statuses = account.statuses
    expected = {
        "count": len(account.rows),
        "successes": statuses["success"],
        "failed_to_download": statuses["failed_to_download"],
        "failed_to_resize": statuses["failed_to_resize"],
        "status_dict": dict(said),
    }
    return [
        f"shard {shard}: statistics say {name} {statistics[name]}, the metadata {value}"
        for name, value in expected.items()
        if statistics[name] != value
    ]


def read_samples(tar_path: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Key and files by ending of each sample of a tar."""
    samples: dict[str, dict[str, bytes]] = {}
    with tarfile.open(tar_path) as tar:
        for member in tar:
            key, _, ending = member.name.partition(".")
            content = tar.extractfile(member)
            if content is None or ending in samples.setdefault(key, {}):
                raise ValueError(f"{member.name} is there twice, or is no file")
            samples[key][ending] = content.read()
    yield from samples.items()


def wrong_row(row: dict[str, Any], sample: dict[str, bytes] | None, number: int, seed: int) -> str | None:
    """What is wrong with one row at the end of a soak, when all that passes has passed; None: nothing."""
    fault = fault_of(seed, number)
    if fault is not None and not fault.times:
        if row["status"] == "success":
            return f"a success where the server answers {fault.name!r}"
        if not (row["error_message"] or "").startswith(fault.said):
            return f"{row['error_message']!r} where the server answers {fault.name!r}"
        return None
    if sample is None:
        return f"{row['error_message']!r} where the server answers {fault.name if fault else 'well'!r}"
    if sample["txt"].decode() != f"row {row['row']}" or json.loads(sample["json"])["row"] != row["row"]:
        return "the caption or the json of another row"
    if (row["original_width"], row["original_height"]) != size_of(number):
        return "an image of another size than it was drawn with"
    try:
        found = read_number(np.asarray(Image.open(io.BytesIO(sample["jpg"])).convert("RGB")), size_of(number))
    except (NotNumbered, OSError) as error:
        return f"the image: {error}"
    return None if found == number else f"the image of {found}, not of {number}"
