"""What a folder was made with and from, so that two datasets are never mixed in it without a word.

Comes in: the options that shape the output and the files of the list. Goes out: the difference to what the
folder's earlier runs used, in words, or the place where this run goes on. Used by the api; kept in the output
folder under a name that no glob for data or statistics matches.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import socket
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from importlib import metadata
from typing import Any, Protocol

from img2dataset.options import Options, option_specs
from img2dataset.version import __version__

MANIFEST_NAME = ".img2dataset_manifest"
MANIFEST_VERSION = 1
EDGE_BYTES = 65536
_PACKAGES = ("opencv-python-headless", "numpy", "pillow", "pyarrow", "pycurl")


class InputFile(Protocol):
    """What is known of one file of a list."""

    @property
    def path(self) -> str: ...
    @property
    def size(self) -> int | None: ...
    @property
    def modified(self) -> str | float | None: ...


@dataclass
class RunRecord:
    """One list that went into the folder: what with, what from, and from which shard on.

    ``mode`` is the incremental mode; of a ``new_only`` run, only the rows that were new became shards.
    ``files`` has a dictionary a file: name, size in bytes, modified (time or etag), a hash of its edges, and
    its rows once they are known. ``known`` is the fingerprint of the URLs that a ``new_only`` run left out:
    to go on with it, the same ones are. Times in Unix seconds, ``ended`` only where every shard was made.
    """

    first_shard_id: int
    options: dict[str, Any]
    files: list[dict[str, Any]]
    mode: str = "incremental"
    version: str = __version__
    packages: dict[str, str] = field(default_factory=dict)
    python: str = ""
    host: str = ""
    started: float = 0.0
    ended: float | None = None
    known: str | None = None

    def differences(self, other: RunRecord) -> list[str]:
        """What differs between the folder's run and ``other``, a new one, in words for people."""
        return self.option_differences(other) + _file_differences(self.files, other.files)

    def option_differences(self, other: RunRecord) -> list[str]:
        """The same of the options alone. An option that one of them does not know is no difference."""
        return [
            f"--{name} was {here!r} and is {there!r}"
            for name, here in self.options.items()
            if (there := other.options.get(name, here)) != here
        ]


@dataclass
class Manifest:
    """All lists that went into a folder, in the order of their shards."""

    runs: list[RunRecord]

    @classmethod
    def from_text(cls, text: str) -> Manifest:
        """Read a manifest.

        Raises:
            ValueError: it is not one, or of a later version.
        """
        document = json.loads(text)
        if not isinstance(document, dict) or document.get("manifest_version") != MANIFEST_VERSION:
            raise ValueError(f"not a manifest of version {MANIFEST_VERSION}")
        return cls([RunRecord(**run) for run in document["runs"]])

    def to_text(self) -> str:
        """The manifest as it is kept."""
        runs = [asdict(run) for run in self.runs]
        return json.dumps({"manifest_version": MANIFEST_VERSION, "runs": runs}, indent=2)

    def find(self, new: RunRecord) -> RunRecord | None:
        """The earlier run that ``new`` goes on with: the latest with the same options and list."""
        whole = (run for run in reversed(self.runs) if run.mode != "new_only")
        return next((run for run in whole if not run.differences(new)), None)


def new_record(options: Options, files: Iterable[InputFile], first_shard_id: int) -> RunRecord:
    """The record of the run that is about to begin."""
    return RunRecord(
        first_shard_id=first_shard_id,
        mode=options.incremental_mode,
        options=shaping_options(options),
        files=[_fingerprint(file) for file in files],
        packages={name: version for name in _PACKAGES if (version := _version_of(name)) is not None},
        python=platform.python_version(),
        host=socket.gethostname(),
        started=time.time(),
    )


def shaping_options(options: Options) -> dict[str, Any]:
    """The options in which two runs must agree to make one dataset, as JSON keeps them."""
    values = {
        spec.name: getattr(options, spec.name) for spec in option_specs().values() if spec.shapes_output
    }
    plain: dict[str, Any] = json.loads(json.dumps(values))
    return plain


def _fingerprint(file: InputFile) -> dict[str, Any]:
    return {
        "name": file.path.rstrip("/").rpartition("/")[2],
        "size": file.size,
        "modified": file.modified,
        "edges": _edges(file.path),
        "rows": None,
    }


def _edges(path: str) -> str | None:
    """A hash of a local file's first and last 64 KB: it tells a copy, with a new time, from another list."""
    if not os.path.isfile(path):
        return None
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        digest.update(file.read(EDGE_BYTES))
        file.seek(max(0, os.fstat(file.fileno()).st_size - EDGE_BYTES))
        digest.update(file.read(EDGE_BYTES))
    return digest.hexdigest()[:16]


def _version_of(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _file_differences(before: list[dict[str, Any]], now: list[dict[str, Any]]) -> list[str]:
    """In which files two lists differ. The folder they lie in may have another name: lists are moved."""
    if len(before) != len(now):
        return [f"the list had {_files(len(before))} and has {_files(len(now))}"]
    found = []
    for old, new in zip(before, now, strict=True):
        if old["name"] != new["name"]:
            found.append(f"a file of the list was {old['name']} and is {new['name']}")
        elif old["size"] != new["size"]:
            grown = old["size"] is not None and new["size"] is not None and new["size"] > old["size"]
            hint = " (--incremental_mode new_only adds the rows that are new in it)" if grown else ""
            found.append(f"{new['name']} had {_bytes(old['size'])} and has {_bytes(new['size'])}{hint}")
        elif old["modified"] != new["modified"] and (old["edges"] is None or old["edges"] != new["edges"]):
            found.append(f"{new['name']} has been modified")
    return found


def _bytes(size: int | None) -> str:
    return "an unknown size" if size is None else f"{size:,} bytes"


def _files(count: int) -> str:
    return f"{count} file" + ("" if count == 1 else "s")
