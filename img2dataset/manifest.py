"""What a folder was made with and from, so that two datasets are never mixed in it without a word.

Comes in: the options that shape the output and the files of the list. Goes out: the difference to what the
folder's earlier runs used, in words, or the earlier run that this one continues. Used by the api; kept in
the output folder under a name that no glob for data or statistics matches.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shlex
import socket
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from importlib import metadata
from typing import Any, Protocol

from img2dataset.counted import counted
from img2dataset.options import Options, option_specs, resolve
from img2dataset.shown_names import shown_name
from img2dataset.version import __version__

MANIFEST_NAME = ".img2dataset_manifest"
MANIFEST_VERSION = 1
EDGE_BYTES = 65536
# Runs that begin behind the highest shard there is.
MODES_THAT_ADD = ("extend", "new_only")
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
    its rows once they are known. ``left_out_fingerprint`` is that of the URLs that a ``new_only`` run left
    out: only a run that leaves out the same ones continues it. ``gaps`` are the numbers below
    ``first_shard_id`` that it gave to its first shards. ``url_list`` is the list as it was given, for people.
    Times in Unix seconds, ``ended`` only where every shard was made.
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
    left_out_fingerprint: str | None = None
    gaps: list[int] = field(default_factory=list)
    url_list: str | None = None

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
        try:
            document = json.loads(text)
        except RecursionError:
            raise ValueError("it is nested too deeply") from None
        if not isinstance(document, dict) or document.get("manifest_version") != MANIFEST_VERSION:
            raise ValueError(f"not a manifest of version {MANIFEST_VERSION}")
        runs = document.get("runs")
        if not isinstance(runs, list):
            raise ValueError("its runs are no list")
        return cls([_record_from(run) for run in runs])

    def to_text(self) -> str:
        """The manifest as it is kept."""
        runs = [_document_of(run) for run in self.runs]
        return json.dumps({"manifest_version": MANIFEST_VERSION, "runs": runs}, indent=2)

    def find(self, new: RunRecord) -> RunRecord | None:
        """The earlier run that ``new`` goes on with: the latest with the same options and list."""
        whole = (run for run in reversed(self.runs) if run.mode != "new_only")
        return next((run for run in whole if not run.differences(new)), None)

    def made_by_later_runs(self, record: RunRecord) -> OthersShards:
        """The shards that runs after ``record`` have made, or will make."""
        later = [run for run in self.runs[self.runs.index(record) + 1 :] if run.mode in MODES_THAT_ADD]
        begin = min((run.first_shard_id for run in later), default=None)
        return OthersShards(begin, frozenset(number for run in later for number in run.gaps))


@dataclass(frozen=True, slots=True)
class OthersShards:
    """Contains the numbers from ``begin`` on, and some before it."""

    begin: int | None = None
    before: frozenset[int] = frozenset()

    def __contains__(self, shard_id: object) -> bool:
        if not isinstance(shard_id, int):
            return False
        return shard_id in self.before or (self.begin is not None and shard_id >= self.begin)


_TYPES: dict[str, tuple[type, ...]] = {
    "first_shard_id": (int,),
    "options": (dict,),
    "files": (list,),
    "mode": (str,),
    "version": (str,),
    "packages": (dict,),
    "python": (str,),
    "host": (str,),
    "started": (int, float),
    "ended": (int, float, type(None)),
    "known": (str, type(None)),
    "gaps": (list,),
    "url_list": (str, type(None)),
}
# Keys in the file, of which folders have some already, where the field of ``RunRecord`` has another name.
_FIELDS_BY_KEY = {"known": "left_out_fingerprint"}
_KEYS_BY_FIELD = {field: key for key, field in _FIELDS_BY_KEY.items()}
_FILE_FIELDS = ("name", "size", "modified", "edges")


def _document_of(run: RunRecord) -> dict[str, Any]:
    return {_KEYS_BY_FIELD.get(field, field): value for field, value in asdict(run).items()}


def _record_from(run: Any) -> RunRecord:
    """One run as it was kept.

    Raises:
        ValueError: something in it is missing or of another type than it was written with.
    """
    if not isinstance(run, dict):
        raise ValueError("a run of it is no object")
    for name, value in run.items():
        if name not in _TYPES:
            raise ValueError(f"it has {name!r}, which this version does not know")
        if not isinstance(value, _TYPES[name]) or isinstance(value, bool):
            raise ValueError(f"its {name} is {value!r}")
    for file in run.get("files", ()):
        if not isinstance(file, dict) or any(name not in file for name in _FILE_FIELDS):
            raise ValueError(f"a file of its list is {file!r}")
    if not all(isinstance(number, int) for number in run.get("gaps", ())):
        raise ValueError(f"its gaps are {run['gaps']!r}")
    fields: dict[str, Any] = {_FIELDS_BY_KEY.get(key, str(key)): value for key, value in run.items()}
    try:
        return RunRecord(**fields)
    except TypeError as error:  # one that has no default is missing
        raise ValueError(str(error).partition("() ")[2]) from error


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
        url_list=shown_list(options.url_list),
    )


def shown_list(url_list: Any) -> str | None:
    """The list for people; of an address, without what may be a secret in it."""
    if not isinstance(url_list, (str, os.PathLike)):
        return None
    return shown_name(os.fspath(url_list))


def command_line(record: RunRecord, output_folder: str, mode: str | None) -> str:
    """The command that goes on with a run, for people to copy; options of access and speed are not in it.

    Args:
        record: of the run.
        output_folder: where its shards lie.
        mode: the incremental mode to name, None for the default.
    """
    defaults = shaping_options(resolve({"url_list": "any"}))
    given: dict[str, Any] = {
        "url_list": record.url_list or " ".join(file["name"] for file in record.files) or "LIST",
        "output_folder": output_folder,
        **{name: value for name, value in record.options.items() if defaults.get(name) != value},
    }
    if mode is not None:
        given["incremental_mode"] = mode
    words = (f"--{name} {shlex.quote(_as_word(value))}" for name, value in given.items())
    return f"img2dataset {' '.join(words)}"


def _as_word(value: Any) -> str:
    return json.dumps(value) if isinstance(value, (list, dict)) else str(value)


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
        return [f"the list had {counted(len(before), 'file')} and has {counted(len(now), 'file')}"]
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
    return "an unknown size" if size is None else counted(size, "byte")
