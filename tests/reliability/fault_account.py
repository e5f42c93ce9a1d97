"""What is on the disk after a fault? A folder and the rows of its list come in, an ``Account`` goes out.

Read with pyarrow, tarfile and json, so that both programs are held against the same measure. Used by
``fault_trials.py``.
"""

from __future__ import annotations

import contextlib
import json
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

# Two blocks of zeros end a tar; Python's tarfile is content without them.
TAR_END = bytes(1024)
SHOWN_MESSAGE = 48


@dataclass
class Account:
    """What was found under final names. ``bad`` counts what became of the rows that a server spoils."""

    missing: int = 0
    doubled: int = 0
    doubled_keys: int = 0
    without_sample: int = 0
    good_rows_failed: int = 0
    unreadable: list[str] = field(default_factory=list)
    bad: Counter[str] = field(default_factory=Counter)

    @contextlib.contextmanager
    def reading(self, path: Path) -> Iterator[None]:
        """Whatever fails to be read within makes ``path`` unreadable."""
        try:
            yield
        except (OSError, ValueError, tarfile.TarError):  # ArrowInvalid is a ValueError
            self.unreadable.append(path.name)

    def wrong(self) -> dict[str, int]:
        """Each thing that can be wrong, and how often it is."""
        return {
            "rows missing": self.missing,
            "rows doubled": self.doubled,
            "keys doubled": self.doubled_keys,
            "successes without a sample": self.without_sample,
            "good rows failed": self.good_rows_failed,
            "unreadable files": len(self.unreadable),
        }


def account_of(folder: Path, urls: Iterable[str], bad: frozenset[str] = frozenset()) -> Account:
    """Hold a webdataset folder against the list it was made from.

    Args:
        folder: the output folder; one that is not there has no rows.
        urls: the URL of each row, all different.
        bad: those of them that cannot be had.
    """
    account = Account()
    rows: list[dict[str, Any]] = []
    keys: set[str] = set()
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        with account.reading(path):
            if path.suffix == ".parquet":
                rows += pq.read_table(path).to_pylist()
            elif path.suffix == ".tar":
                keys |= read_keys(path)
            elif path.name.endswith("_stats.json"):
                json.loads(path.read_text())
    found = Counter(row["url"] for row in rows)
    account.missing = sum(not found[url] for url in urls)
    account.doubled = sum(count > 1 for count in found.values())
    account.doubled_keys = len(rows) - len({row["key"] for row in rows})
    account.without_sample = sum(row["status"] == "success" and row["key"] not in keys for row in rows)
    account.good_rows_failed = sum(row["status"] != "success" and row["url"] not in bad for row in rows)
    account.bad = Counter(shown(row) for row in rows if row["url"] in bad)
    return account


def read_keys(tar_path: Path) -> set[str]:
    """The keys of the images of a tar, each read to its last byte.

    Raises:
        tarfile.TarError: it breaks off.
        OSError: it cannot be read.
    """
    keys = set()
    with tarfile.open(tar_path) as tar:
        for member in tar:
            content = tar.extractfile(member)
            if content is not None and len(content.read()) == member.size and member.name.endswith(".jpg"):
                keys.add(member.name.removesuffix(".jpg"))
    with open(tar_path, "rb") as opened:
        opened.seek(-len(TAR_END), 2)
        if opened.read() != TAR_END:
            raise tarfile.ReadError(f"{tar_path.name} has no end mark")
    return keys


def shown(row: dict[str, Any]) -> str:
    """The outcome of one row, short enough for a table."""
    if row["status"] == "success":
        return "stored as a success"
    message = " ".join(str(row["error_message"]).replace("|", "/").replace("`", "'").split())
    return f"`{message if len(message) <= SHOWN_MESSAGE else message[:SHOWN_MESSAGE] + '…'}`"
