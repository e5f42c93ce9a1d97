"""The domain names that gave most content, and what else the summary says of the images: columns → counts.

The template asks for the top tenth of all domain names by the size of their content. What a picture weighed
when it was downloaded is in no column; its width and height then are, and the pixels stand for its size.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from img2dataset.consenting.domain_names import domain_name_of
from img2dataset.consenting.folder import OnProblem, readable_batches, shards_with_metadata
from img2dataset.fetching.listed_hosts import listed_host
from img2dataset.reporting.report.columns import texts_of
from img2dataset.reporting.report.folder import Folder
from img2dataset.reporting.report.scripts import scripts_of
from img2dataset.storage.folders import side_by_side
from img2dataset.types import SUCCESS

if TYPE_CHECKING:
    import pyarrow as pa

# Some 300 MB; of more domains, those that have given least so far are given up.
MOST_DOMAINS = 1_000_000
MOST_OF_SMES = 1000
_SIZES = (("original_width", "original_height"), ("width", "height"))
_COLUMNS = ("url", "status", "caption", *(name for pair in _SIZES for name in pair))


@dataclass
class Domain:
    """What one domain name gave: ``pixels`` of its images as they were downloaded, where that is known."""

    images: int = 0
    pixels: int = 0


@dataclass
class Contents:
    """What the images of a folder are.

    ``domains`` by name; ``given_up`` counts those beyond ``MOST_DOMAINS``. ``captions``: images that have
    one; ``scripts``: captions by what they are written in. ``without_size``: images of which none is known;
    ``without_domain``: those of no host, such as of ``data:`` URLs.
    """

    domains: dict[str, Domain] = field(default_factory=dict)
    given_up: int = 0
    captions: int = 0
    scripts: Counter[str] = field(default_factory=Counter)
    images: int = 0
    without_size: int = 0
    without_domain: int = 0

    @property
    def domains_count(self) -> int:
        """How many domain names there are."""
        return len(self.domains) + self.given_up

    def take(self, batch: pa.RecordBatch) -> None:
        """Count these rows."""
        import pyarrow.compute as pc

        names = batch.schema.names
        is_image = pc.equal(texts_of(batch["status"]), SUCCESS)
        batch = batch.filter(is_image)
        pixels = _pixels(batch)
        for url, size in zip(texts_of(batch["url"]).to_pylist(), pixels, strict=True):
            name = domain_name_of(listed_host(url))
            if not name:
                self.without_domain += 1
                continue
            domain = self.domains.get(name)
            if domain is None:
                domain = self.domains[name] = Domain()
            domain.images += 1
            domain.pixels += size
        self.images += batch.num_rows
        self.without_size += pixels.count(0)
        if "caption" in names:
            captions = texts_of(batch["caption"])
            captions = captions.filter(pc.greater(pc.fill_null(pc.utf8_length(captions), 0), 0))
            self.captions += len(captions)
            self.scripts.update(scripts_of(captions))

    def add(self, other: Contents) -> None:
        """Take the counts of other images in."""
        for name, there in other.domains.items():
            here = self.domains.setdefault(name, Domain())
            here.images += there.images
            here.pixels += there.pixels
        self.captions += other.captions
        self.scripts.update(other.scripts)
        self.images += other.images
        self.without_size += other.without_size
        self.without_domain += other.without_domain
        if len(self.domains) > MOST_DOMAINS:
            kept = dict(self.by_size()[: MOST_DOMAINS * 3 // 4])
            self.given_up += len(self.domains) - len(kept)
            self.domains = kept

    def by_size(self) -> list[tuple[str, Domain]]:
        """All domains, those that gave most first."""
        return sorted(self.domains.items(), key=lambda item: (-item[1].pixels, -item[1].images, item[0]))

    def top(self, *, of_sme: bool) -> list[tuple[str, Domain]]:
        """Those that the summary names: a tenth; of small and medium-sized providers, fewer."""
        count = -(-self.domains_count // 20) if of_sme else -(-self.domains_count // 10)
        return self.by_size()[: min(count, MOST_OF_SMES) if of_sme else count]


def contents_of(folder: Folder, on_problem: OnProblem, on_shard: Callable[[int], object]) -> Contents:
    """What the images of a folder are; arguments as of ``counting.count``."""

    def of_shard(shard: str) -> Contents:
        counted = Contents()
        for batch in readable_batches(folder, shard, _COLUMNS, on_problem, ("url", "status")):
            if batch is not None:
                counted.take(batch)
        return counted

    contents = Contents()
    for counted in side_by_side(folder.location, of_shard, shards_with_metadata(folder, on_problem)):
        contents.add(counted)
        on_shard(1)
    return contents


def _pixels(batch: pa.RecordBatch) -> list[int]:
    """Of each row; 0 where its size is not known."""
    for width, height in _SIZES:
        if width in batch.schema.names and height in batch.schema.names:
            return [_whole(wide) * _whole(high) for wide, high in _pairs(batch[width], batch[height])]
    return [0] * batch.num_rows


def _pairs(widths: pa.Array, heights: pa.Array) -> Iterable[tuple[object, object]]:
    return zip(widths.to_pylist(), heights.to_pylist(), strict=True)


def _whole(value: object) -> int:
    """A size; 1.47.0 writes floats, and NaN, where some are missing."""
    return int(value) if isinstance(value, (int, float)) and 0 < value < 1 << 30 else 0
