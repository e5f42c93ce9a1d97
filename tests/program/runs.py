"""Running the real command line, and holding what it wrote against what must always be true of it."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import subprocess
import sys
import tarfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow.parquet as pq
from PIL import Image

from img2dataset.cli import run_command
from img2dataset.log_output import set_up_logging
from img2dataset.options.logs import LogSettings
from tests.pictures import photograph
from tests.servers import ImageServer

COMMAND = str(Path(sys.executable).with_name("img2dataset"))


def start(**options: Any) -> subprocess.Popen[str]:
    """Start the command line with these options, in a process group of its own."""
    environment = options.pop("environment", {})
    prefix = options.pop("prefix", [])
    largest_file = options.pop("largest_file", None)
    # A limit on the size of files fails a write as a full disk does.
    limit = ["prlimit", f"--fsize={largest_file}"] if largest_file else []
    return subprocess.Popen(
        [*prefix, *limit, COMMAND, *words(options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, **environment},
    )


def run(**options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    process = start(**options)
    try:
        stdout, stderr = process.communicate(timeout=240)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def run_here(**options: Any) -> subprocess.CompletedProcess[str]:
    """As ``run``, by ``command_here``."""
    environment = options.pop("environment", {})
    with mock.patch.dict(os.environ, environment):
        return command_here(*words(options))


def command_here(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the words of a command line to their end in this process, with workers of its own as always.

    For tests of what a run makes: an interpreter that starts and loads all libraries takes longer than the
    run. What the workers say themselves on standard error is not in ``stderr``. What a run leaves here that
    fails is taken for that of a run under way, as its process lives on.
    """
    stdout, stderr = io.StringIO(), io.StringIO()
    root = logging.getLogger()
    # Without pytest's, the command line sets up one of its own.
    handlers, root.handlers = root.handlers, []
    try:
        with (
            mock.patch.dict(os.environ),
            contextlib.redirect_stdout(stdout),
            contextlib.redirect_stderr(stderr),
        ):
            status = run_command(list(arguments))
    finally:
        root.handlers = handlers
        set_up_logging(LogSettings())
    return subprocess.CompletedProcess([COMMAND, *arguments], status, stdout.getvalue(), stderr.getvalue())


def words(options: dict[str, Any]) -> list[str]:
    return [f"--{name}={value}" for name, value in options.items()]


def serve_photographs(server: ImageServer, count: int = 24, folder: str = "photographs") -> list[str]:
    """Put different pictures of web-like sizes on a server; returns their addresses."""
    return [
        server.put(f"/{folder}/{n}.jpg", photograph(160 + 24 * (n % 7), 120 + 20 * (n % 5), seed=n))
        for n in range(count)
    ]


def write_list(path: Path, addresses: list[str], rows: int) -> Path:
    """A txt list of ``rows`` different URLs over these addresses."""
    path.write_text("".join(f"{addresses[n % len(addresses)]}?{n}\n" for n in range(rows)))
    return path


@dataclass
class Dataset:
    """What a finished webdataset or files output holds, read by programs other than ours."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    images: dict[str, bytes] = field(default_factory=dict)
    captions: dict[str, str] = field(default_factory=dict)
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    statistics: dict[str, dict[str, Any]] = field(default_factory=dict)

    def statuses(self) -> Counter[str]:
        return Counter(row["status"] for row in self.rows)

    def failures(self) -> Counter[str]:
        return Counter(row["error_message"] for row in self.rows if row["status"] != "success")


def read_dataset(folder: Path) -> Dataset:
    """Read every shard, asserting the invariants of a finished one on the way."""
    dataset = Dataset()
    for path in sorted(folder.glob("*_stats.json")):
        shard = path.name.removesuffix("_stats.json")
        dataset.statistics[shard] = json.loads(path.read_text())
        rows = pq.read_table(folder / f"{shard}.parquet").to_pylist()
        dataset.rows += rows
        _check_counts(dataset.statistics[shard], rows)
        members = _members(folder, shard)
        succeeded = {row["key"] for row in rows if row["status"] == "success"}
        assert {name.split(".")[0] for name in members} == succeeded
        for name, data in members.items():
            key, extension = name.split(".")
            if extension == "json":
                dataset.documents[key] = json.loads(data)
            elif extension == "txt":
                dataset.captions[key] = data.decode()
            else:
                assert key not in dataset.images
                dataset.images[key] = data
    keys = [row["key"] for row in dataset.rows]
    assert len(keys) == len(set(keys))
    for row in dataset.rows:
        if row["status"] == "success":
            assert dataset.documents[row["key"]]["url"] == row["url"]
            image = Image.open(io.BytesIO(dataset.images[row["key"]]))
            image.load()
            if row["width"] is not None:
                assert image.size == (row["width"], row["height"])
    assert not list(folder.glob(".tmp/*/*")), "temporary files are left"
    return dataset


def _check_counts(statistics: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    statuses = Counter(row["status"] for row in rows)
    messages = Counter(row["error_message"] if row["status"] != "success" else "success" for row in rows)
    assert statistics["count"] == len(rows)
    assert statistics["successes"] == statuses["success"]
    assert statistics["failed_to_download"] == statuses["failed_to_download"]
    assert statistics["failed_to_resize"] == statuses["failed_to_resize"]
    assert statistics["status_dict"] == dict(messages)


def _members(folder: Path, shard: str) -> dict[str, bytes]:
    if (folder / f"{shard}.tar").exists():
        members = {}
        with tarfile.open(folder / f"{shard}.tar") as tar:
            for member in tar:
                content = tar.extractfile(member)
                assert content is not None
                assert member.name not in members
                members[member.name] = content.read()
        return members
    return {path.name: path.read_bytes() for path in (folder / shard).glob("*")}
