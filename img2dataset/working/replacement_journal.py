"""The journal of a replacement: what is to stand in place of a finished shard.

In: a folder of new files that is complete. Out: one file, ``.img2dataset_rewrites/00000``. ``replacing`` puts
it before anything of the shard changes and removes it at the end.

Where files can be moved, the new ones are staged beside it, in a folder of the run. An object store has no
moves: there the journal holds metadata and statistics, and of the data only sizes and digest, so that they
are not kept twice.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from img2dataset.formats.dataset import REPLACEMENTS_FOLDER
from img2dataset.storage.folders import names_in
from img2dataset.storage.locations import Location

_PLAN_NAME = "plan.json"
_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Plan:
    """What a replacement moves or puts, and removes, beside metadata and statistics.

    ``run_id`` is of the run that is at it. ``data`` are the new data files, by name their size in bytes: the
    one data file of a shard, or the new samples of a ``files`` shard; ``vouching`` are the names of metadata
    and statistics. ``staged`` says whether all were there to be moved when the journal was put. If not,
    ``digest`` is the SHA-256 of the one data file, which can be as long as the old one; None for samples,
    none of which stands before. ``removals`` go at the end.
    """

    run_id: str
    data: dict[str, int]
    vouching: list[str]
    staged: bool
    digest: str | None
    removals: list[str]


@dataclass(frozen=True, slots=True)
class Journal:
    """A plan, and where files are not staged the contents of metadata and statistics by name."""

    plan: Plan
    contents: dict[str, bytes]

    def to_bytes(self) -> bytes:
        """The journal as a file."""
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(_PLAN_NAME, json.dumps(asdict(self.plan)))
            for name, contents in self.contents.items():
                archive.writestr(name, contents)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, file: bytes) -> Journal | None:
        """The journal in a file; None if it was not written to its end."""
        try:
            with zipfile.ZipFile(io.BytesIO(file)) as archive:
                contents = {name: archive.read(name) for name in archive.namelist()}
        except zipfile.BadZipFile:
            return None
        return cls(Plan(**json.loads(contents.pop(_PLAN_NAME))), contents)


def new_journal(
    run_id: str, folder: str, names: list[str], statistics: str, removals: list[str], staged: bool
) -> Journal:
    """The journal for the new files in a local folder.

    Args:
        run_id: of the run.
        folder: of the complete new files.
        names: data and metadata in it; the data come first.
        statistics: the name of the statistics in it.
        removals: names, under the output folder, of what is no part of the new shard.
        staged: whether all files will be there to be moved.
    """
    data, *metadata = names
    path, digest = os.path.join(folder, data), None
    if os.path.isdir(path):
        sizes = {f"{data}/{name}": os.path.getsize(os.path.join(path, name)) for name in os.listdir(path)}
    else:
        sizes = {data: os.path.getsize(path)}
        if not staged:
            with open(path, "rb") as file:
                digest = digest_of(file)
    vouching = [*metadata, statistics]
    contents = {} if staged else {name: Path(folder, name).read_bytes() for name in vouching}
    return Journal(Plan(run_id, sizes, vouching, staged, digest, removals), contents)


def digest_of(file: Any) -> str:
    """The SHA-256 of what an open file still holds."""
    digest = hashlib.sha256()
    for block in iter(partial(file.read, _READ_BYTES), b""):
        digest.update(block)
    return digest.hexdigest()


def journals_folder(location: Location) -> str:
    """Hidden, and met by no glob for data."""
    return f"{location.path}/{REPLACEMENTS_FOLDER}"


def journal_path(location: Location, shard: str) -> str:
    """Where the journal of a shard is."""
    return f"{journals_folder(location)}/{shard}"


def stage_path(location: Location, shard: str, run_id: str) -> str:
    """The folder of new files that a run has staged for a shard, named as in the output folder."""
    return f"{journals_folder(location)}/{shard}-{run_id}"


def shards_with_journal(location: Location) -> list[str]:
    """The names of the shards whose replacement is under way, or was cut short."""
    return sorted(name for name in names_in(location, journals_folder(location)) if name.isdecimal())


def stages(location: Location) -> list[tuple[str, str]]:
    """Of each folder of staged files, the shard and the id of the run."""
    found = (name.partition("-") for name in names_in(location, journals_folder(location)))
    return [(shard, run_id) for shard, _, run_id in found if shard.isdecimal() and run_id]
