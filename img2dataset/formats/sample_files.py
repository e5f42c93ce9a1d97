"""A sample as files of its own, ``KEY.jpg``, ``KEY.json`` and ``KEY.txt``: in a folder, or in a tar.

In: a sample, or the files that bear its key. Out: the bytes of its KEY.json; or the sample again. Used by the
formats files and webdataset.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from img2dataset.formats.column_values import column_values
from img2dataset.formats.findings import Findings
from img2dataset.formats.format import Contents, KeptSample, StoredSample
from img2dataset.formats.json_text import json_text
from img2dataset.formats.metadata import ShardMetadata
from img2dataset.types import Sample

JSON_ENDING, CAPTION_ENDING = "json", "txt"


class SampleJson:
    """Writes the metadata of one shard's samples as JSON; input values are converted once a shard.

    Args:
        metadata: of the open shard.

    ``row_failures``: why a row cannot have one, for each such row.
    """

    def __init__(self, metadata: ShardMetadata) -> None:
        self._names = metadata.columns
        self.row_failures: dict[int, str] = {}
        columns = []
        for name, column in zip(
            metadata.input_columns.column_names, metadata.input_columns.columns, strict=True
        ):
            values, failures = column_values(column, for_json=True)
            columns.append(values)
            for index, reason in failures.items():
                self.row_failures.setdefault(index, f"{name}: {reason}")
        self._input_columns = columns
        self._computed_names = metadata.columns[len(columns) :]

    def encode(self, sample: Sample) -> bytes:
        """The text of the sample's KEY.json; ASCII, as ``json.dumps`` makes it by default."""
        index = sample.index
        computed = sample.metadata
        values = [column[index] for column in self._input_columns]
        values += [computed[name] for name in self._computed_names]
        return json_text(dict(zip(self._names, values, strict=True))).encode("ascii")


@dataclass(frozen=True, slots=True)
class SampleFile:
    """One file of a sample; ``contents`` is None where it was not asked for."""

    name: str
    size: int
    contents: bytes | None

    @property
    def key(self) -> str:
        return key_and_ending(self.name)[0]

    @property
    def ending(self) -> str:
        return key_and_ending(self.name)[1]


def key_and_ending(name: str) -> tuple[str, str]:
    """The key that a file is of, and what follows it, without the dot."""
    key, _, ending = name.partition(".")
    return key, ending


def is_image(ending: str) -> bool:
    """Whether a file with this ending is a sample's image: it is neither metadata nor caption."""
    return ending not in (JSON_ENDING, CAPTION_ENDING)


def may_be_empty(ending: str, sample: KeptSample) -> bool:
    """Whether a kept sample's file with this ending can be whole without a byte in it."""
    contents = {JSON_ENDING: "metadata", CAPTION_ENDING: "caption"}.get(ending, "image")
    return sample.may_be_empty(contents)


def check_endings(key: str, endings: Collection[str], with_captions: bool) -> None:
    """Refuse a sample that lacks one of its files.

    Raises:
        ValueError: there is no metadata, no image, or no caption where there should be one.
    """
    for ending in (JSON_ENDING, CAPTION_ENDING) if with_captions else (JSON_ENDING,):
        if ending not in endings:
            raise ValueError(f"{key}.{ending} is missing")
    if not any(map(is_image, endings)):
        raise ValueError(f"the image of {key} is missing")


def stored_sample(files: Iterable[SampleFile], findings: Findings, where: str) -> StoredSample:
    """The sample of the files of one key.

    Args:
        files: at least one.
        findings: take what there is too much of.
        where: what they lie in, for messages: ``tar``.
    """
    parts: dict[str, SampleFile] = {}
    key = ""
    names = []
    for file in files:
        key = file.key
        names.append(file.name)
        if file.ending in parts:
            findings.add(f"member twice in the {where}", file.name)
        parts[file.ending] = file
    document, caption = parts.pop(JSON_ENDING, None), parts.pop(CAPTION_ENDING, None)
    images = list(parts.values())
    for other in images[1:]:
        findings.add("more than one image for a key", other.name)
    image: Contents | None = images[0].contents if images else None
    return StoredSample(
        key=key,
        image_bytes=images[0].size if images else None,
        image=image,
        caption=caption.contents if caption else None,
        repeated=_json_object(document, findings) if document and document.contents is not None else None,
        files=tuple(names),
    )


def _json_object(file: SampleFile, findings: Findings) -> dict[str, Any]:
    """The object of a KEY.json; an empty one, with a finding, where it is none."""
    try:
        document = json.loads(file.contents or b"")
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict):
        return document
    findings.add("no JSON object", file.name)
    return {}
