"""One sample of a dataset, by its key: everything that is known of it.

In: a ``Dataset`` and a key. Out: a ``FoundSample``, plain values beside the bytes of its image.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from img2dataset.errors import OutputError
from img2dataset.formats import OutputFormat
from img2dataset.formats.dataset import metadata_name
from img2dataset.formats.findings import Findings
from img2dataset.formats.format import StoredSample
from img2dataset.formats.forward_files import ForwardFiles
from img2dataset.imaging import ImageFailure
from img2dataset.inspecting.dataset import Dataset
from img2dataset.inspecting.failure_meaning import meaning_of
from img2dataset.types import SUCCESS
from img2dataset.verifying.inventory import FoundShard

# An image that says it has more is not decoded to see whether it is whole.
MOST_PIXELS = 200_000_000


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """An image as it is stored.

    ``fault``: why it cannot be decoded, None where it can; without a size where not even its header is one.
    """

    format: str | None
    width: int | None
    height: int | None
    bytes: int
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class FoundSample:
    """One row of a dataset.

    ``row``: its number in its shard, from 0. ``data``: the file or folder of its shard's data, ``files`` its
    members or files there. ``metadata``: its row, without EXIF, which is ``exif``, by tag. ``document``: what
    the data repeat of the metadata: its KEY.json, or the features of its record; None where they do not.
    ``meaning``: of its failure. ``image_bytes``: the image itself.
    """

    key: str
    shard: str
    row: int
    status: str | None
    metadata: Mapping[str, Any]
    data: str | None = None
    files: tuple[str, ...] = ()
    image: ImageFacts | None = None
    caption: str | None = None
    document: Mapping[str, Any] | None = None
    exif: Mapping[str, Any] = field(default_factory=dict)
    error_message: str | None = None
    meaning: str | None = None
    image_bytes: bytes | None = None

    def to_document(self) -> dict[str, Any]:
        """This for JSON, without the image itself."""
        names = [each.name for each in fields(self) if each.name not in ("image", "image_bytes")]
        image = asdict(self.image) if self.image is not None else None
        return {**{name: getattr(self, name) for name in names}, "image": image}


def find_sample(dataset: Dataset, key: str) -> FoundSample:
    """The row of a key, in a shard that is done.

    Raises:
        OutputError: there is none, or what is there cannot be read.
        MissingDependency: a package that the dataset's format needs is not installed.
    """
    shard, number = _row_of(dataset, key)
    row = dataset.rows_at(shard, [number])[0]
    status, message = row.get("status"), row.get("error_message")
    exif = _exif(row.pop("exif", None))
    found = dataset.format_of(shard)
    data_name = found.data_name(shard.name)
    stored = None
    if status == SUCCESS and data_name is not None:
        with dataset.reading(data_name):
            stored = _stored(dataset, found, data_name, key, list(row))
    image = bytes(stored.image) if stored is not None and stored.image is not None else None
    return FoundSample(
        key=key,
        shard=shard.name,
        row=number,
        status=status,
        metadata=row,
        data=data_name if status == SUCCESS else None,
        files=stored.files if stored is not None else (),
        image=image_facts(image) if image is not None else None,
        caption=_caption(stored, row),
        document=(stored.repeated or None) if stored is not None else None,
        exif=exif,
        error_message=message,
        meaning=meaning_of(message, status) if message else None,
        image_bytes=image,
    )


def image_facts(body: bytes) -> ImageFacts:
    """Format, upright size and soundness of an image file."""
    from img2dataset.imaging.at_size import decode_at_size, size_of
    from img2dataset.imaging.header import image_format

    width, height, fault = None, None, None
    try:
        width, height = size_of(body)
        decode_at_size(body, lambda size: size, MOST_PIXELS)
    except ImageFailure as failure:
        fault = str(failure.failure)
    return ImageFacts(image_format(body), width, height, len(body), fault)


def _row_of(dataset: Dataset, key: str) -> tuple[FoundShard, int]:
    """The shard of a key and the number of its row: a key begins with its shard's name."""
    by_name = {shard.name: shard for shard in dataset.shards}
    looked_at = []
    for length in range(len(key), 0, -1):
        shard = by_name.get(key[:length])
        if shard is None or not dataset.has_metadata(shard):
            continue
        looked_at.append(metadata_name(shard.name))
        if numbers := dataset.row_numbers(shard, "key", key):
            return shard, numbers[0]
    if looked_at:
        raise OutputError(f"{dataset.name!r} has no key {key!r}: it is not in {' or '.join(looked_at)}")
    with_rows = [shard for shard in dataset.shards if dataset.has_metadata(shard)]
    if not with_rows:
        raise OutputError(f"{dataset.name!r} keeps nothing of single rows, so there is no key {key!r}")
    example = dataset.rows_at(with_rows[0], [0])
    shown = f", such as {example[0].get('key')!r}" if example else ""
    raise OutputError(
        f"{dataset.name!r} has no finished shard that the key {key!r} is of; its keys begin with the number"
        f" of a shard, {with_rows[0].name} to {with_rows[-1].name}{shown}"
    )


def _stored(
    dataset: Dataset, found: OutputFormat, data_name: str, key: str, columns: list[str]
) -> StoredSample | None:
    """The sample as its data have it, read forwards to it."""
    source = ForwardFiles(dataset.location.file_system, dataset.location.path, (key,))
    samples = found.samples(source, data_name, columns=columns, with_images=True, findings=Findings())
    return next((sample for sample in samples if sample.key == key), None)


def _caption(stored: StoredSample | None, row: Mapping[str, Any]) -> str | None:
    if stored is not None and stored.caption is not None:
        return stored.caption.decode(errors="replace")
    caption = row.get("caption")
    return caption if isinstance(caption, str) else None


def _exif(text: Any) -> dict[str, Any]:
    """The tags of the column ``exif``, which is JSON."""
    try:
        tags = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        tags = None
    return tags if isinstance(tags, dict) else {}
