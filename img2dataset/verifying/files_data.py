"""The folder of the files format.

In: the names in a shard's folder. Out: its samples, compared with the metadata. Called by ``checking``.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from img2dataset.verifying.findings import Findings
from img2dataset.verifying.samples import (
    CAPTION_ENDING,
    JSON_ENDING,
    FoundSample,
    SampleComparison,
    read_json,
)
from img2dataset.verifying.shard_files import FolderEntry, ShardFiles


def check_files(files: ShardFiles, folder: str, comparison: SampleComparison, findings: Findings) -> None:
    """Compare every sample of a folder.

    Raises:
        UnreadableShard: the disk or the store fails.
    """
    entries = []
    for entry in files.list(folder):
        if entry.is_file and "." in entry.name:
            entries.append(entry)
        else:
            findings.add(f"{folder} has something that belongs to no sample", entry.name)
    wanted = [entry for entry in entries if comparison.wants_images or _is_text(entry)]
    contents = files.read_many(folder, wanted)
    for key, group in groupby(entries, key=_key):
        comparison.add(
            _sample(
                key,
                [
                    (entry, next(contents) if comparison.wants_images or _is_text(entry) else None)
                    for entry in group
                ],
                findings,
            )
        )
    comparison.finish()


def _key(entry: FolderEntry) -> str:
    return entry.name.partition(".")[0]


def _ending(entry: FolderEntry) -> str:
    return entry.name.partition(".")[2]


def _is_text(entry: FolderEntry) -> bool:
    return _ending(entry) in (JSON_ENDING, CAPTION_ENDING)


def _sample(key: str, parts: Iterable[tuple[FolderEntry, bytes | None]], findings: Findings) -> FoundSample:
    by_ending = {_ending(entry): (entry, contents) for entry, contents in parts}
    document, caption = by_ending.pop(JSON_ENDING, None), by_ending.pop(CAPTION_ENDING, None)
    images = list(by_ending.values())
    for other, _ in images[1:]:
        findings.add("more than one image for a key", other.name)
    return FoundSample(
        key=key,
        image_bytes=images[0][0].size if images else None,
        image=images[0][1] if images else None,
        caption=caption[1] if caption else None,
        repeated=read_json(document[1] or b"", document[0].name, findings) if document else None,
    )
