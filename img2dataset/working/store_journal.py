"""Replacing the files of a finished shard on an object store, where no move is one step but each put is.

In: a folder of new files that is complete. Out: the same objects in place of the old ones, and after a crash
at any moment the old shard or the new one, once ``finish_store_rewrite`` has been there. Called by the commit
and by ``rewriting``.

The journal is one object, ``.img2dataset_rewrites/00000``: a zip of the new metadata and statistics, and of
what the new data are to be. It is put before anything else and removed at the end. Who finds one looks at
the data. Are they the new ones, metadata and statistics are put too, from the journal; are they not (not all
of a ``files`` shard's new samples are there), the old shard stands, and the new samples go. So a rewrite
costs a put of the metadata's size more, and no second copy of the data.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import zipfile
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from img2dataset.formats.dataset import REWRITES_FOLDER, STATISTICS_ENDING
from img2dataset.storage.folders import names_in
from img2dataset.storage.locations import Location
from img2dataset.storage.retries import with_retries
from img2dataset.storage.runs import other_run_lives

_INTENT_NAME = "intent.json"
_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Intent:
    """What a rewrite puts and removes besides metadata and statistics.

    ``data`` are the new data objects, by name their size in bytes: the one data file of a shard, or the new
    samples of a ``files`` shard. ``digest`` is the SHA-256 of the one file, which can be as long as the old
    one; None for samples, none of which stands before. ``removals`` are names that go at the end. ``run_id``
    is of the run that is at it.
    """

    run_id: str
    data: dict[str, int]
    digest: str | None
    removals: list[str]


def store_journal_of(location: Location, shard: str) -> str:
    """The path of a shard's journal. Hidden, and met by no glob for data."""
    return f"{location.path}/{REWRITES_FOLDER}/{shard}"


def begin_store_rewrite(
    location: Location,
    run_id: str,
    folder: str,
    names: list[str],
    statistics: str,
    removals: list[str],
) -> None:
    """Put the journal. Until the data are there as well, the old shard stands.

    Args:
        location: of the output folder.
        run_id: of the run.
        folder: of the complete new files.
        names: data and metadata in it; the data come first.
        statistics: the name of the statistics in it.
        removals: names, under the output folder, of what is no part of the new shard.
    """
    shard = statistics.removesuffix(STATISTICS_ENDING)
    data, *metadata = names
    path = os.path.join(folder, data)
    if os.path.isdir(path):
        samples = {f"{data}/{name}": os.path.getsize(os.path.join(path, name)) for name in os.listdir(path)}
        intent = Intent(run_id, samples, None, removals)
    else:
        with open(path, "rb") as file:
            intent = Intent(run_id, {data: os.path.getsize(path)}, _digest(file), removals)
    journal = io.BytesIO()
    with zipfile.ZipFile(journal, "w") as archive:
        archive.writestr(_INTENT_NAME, json.dumps(asdict(intent)))
        for name in (*metadata, statistics):
            archive.write(os.path.join(folder, name), name)
    target = store_journal_of(location, shard)
    with_retries(lambda: location.file_system.makedirs(target.rpartition("/")[0], exist_ok=True))
    with_retries(lambda: location.file_system.pipe_file(target, journal.getvalue()))


def end_store_rewrite(location: Location, shard: str) -> None:
    """Remove the journal: the old shard stands whole, or the new one."""
    with contextlib.suppress(FileNotFoundError):
        with_retries(lambda: location.file_system.rm_file(store_journal_of(location, shard)))


def store_journals(location: Location) -> list[str]:
    """The names of the shards that have one."""
    names = names_in(location, f"{location.path}/{REWRITES_FOLDER}")
    return sorted(name for name in names if name.isdecimal())


def finish_store_rewrite(location: Location, shard: str, own_run: str | None = None) -> bool:
    """Bring a rewrite that was cut short to its end, forwards or back; whether there was one.

    A journal whose shard somebody has removed since then is dropped: the next run makes the shard again. That
    of another run which lives on this host is left to it: what it has put so far is not to be taken back.

    Args:
        location: of the output folder.
        shard: its name.
        own_run: the id of the run that asks, whose worker may have been killed a moment ago.

    Raises:
        Exception: the store fails; the next call goes on.
    """
    file_system = location.file_system
    file_system.invalidate_cache()
    try:
        journal = with_retries(lambda: file_system.cat_file(store_journal_of(location, shard)))
    except FileNotFoundError:
        return False
    try:
        with zipfile.ZipFile(io.BytesIO(journal)) as archive:
            contents = {name: archive.read(name) for name in archive.namelist()}
    except zipfile.BadZipFile:  # a store where puts are no single step; nothing else was put before this one
        end_store_rewrite(location, shard)
        return True
    intent = Intent(**json.loads(contents.pop(_INTENT_NAME)))
    if intent.run_id != own_run and other_run_lives(intent.run_id):
        return False
    statistics = f"{location.path}/{shard}{STATISTICS_ENDING}"
    if with_retries(lambda: file_system.exists(statistics)):
        if _data_are_there(location, intent):
            for name, text in contents.items():  # metadata, then statistics, as they were packed
                with_retries(partial(file_system.pipe_file, f"{location.path}/{name}", text))
            remove_from_store(location, intent.removals)
        elif intent.digest is None:
            remove_from_store(location, list(intent.data))
    end_store_rewrite(location, shard)
    return True


def remove_from_store(location: Location, names: list[str]) -> None:
    """Remove what is there of these names under the output folder."""
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            with_retries(partial(location.file_system.rm_file, f"{location.path}/{name}"))


def _data_are_there(location: Location, intent: Intent) -> bool:
    sizes: dict[str, int] = {}
    for folder in {name.rpartition("/")[0] for name in intent.data}:
        path = f"{location.path}/{folder}".rstrip("/")
        with contextlib.suppress(FileNotFoundError):
            for entry in with_retries(partial(location.file_system.ls, path, detail=True)):
                name = f"{folder}/{entry['name'].rpartition('/')[2]}".lstrip("/")
                sizes[name] = entry["size"]
    if any(sizes.get(name) != size for name, size in intent.data.items()):
        return False
    if intent.digest is None:
        return True
    (name,) = intent.data
    return bool(with_retries(lambda: _stored_digest(location, name)) == intent.digest)


def _stored_digest(location: Location, name: str) -> str:
    with location.file_system.open(f"{location.path}/{name}", "rb") as file:
        return _digest(file)


def _digest(file: Any) -> str:
    digest = hashlib.sha256()
    while block := file.read(_READ_BYTES):
        digest.update(block)
    return digest.hexdigest()
