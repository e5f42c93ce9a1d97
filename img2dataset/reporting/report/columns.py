"""Rows counted by the columns of their metadata: batches of Arrow come in, counts of bounded size go out.

Of everything but two hashes a row (16 bytes) only counts are kept, and of texts the most frequent. Columns
that a folder does not have are left out: those of other versions, of other options.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

from img2dataset.fetching.listed_hosts import listed_host
from img2dataset.options.images import HashName
from img2dataset.reporting.facts import MOST_HOSTS
from img2dataset.reporting.report.histograms import Histogram
from img2dataset.reporting.report.scripts import scripts_of
from img2dataset.types import FAILED_TO_DOWNLOAD, SUCCESS

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

HASH_COLUMNS: tuple[str, ...] = get_args(HashName)
COLUMNS = (
    *("url", "caption", "status", "error_message"),
    *("width", "height", "original_width", "original_height", *HASH_COLUMNS),
)
MOST_EXAMPLES, MOST_MESSAGES = 3, 60
# Width by height: what is wider than the last bound or narrower than the first is the rest.
RATIO_BOUNDS = (1 / 3, 1 / 2, 2 / 3, 0.95, 1.05, 3 / 2, 2.0, 3.0)
RATIO_NAMES = (
    *("narrower than 1:3", "1:3 to 1:2", "1:2 to 2:3", "2:3 to 1:1", "square"),
    *("1:1 to 3:2", "3:2 to 2:1", "2:1 to 3:1", "wider than 3:1"),
)
_USUAL_ENDINGS = frozenset({".jpg", ".png"})
_LONGEST_ENDING = 5


@dataclass
class Sizes:
    """Images by the longer side and by width over height, before or after."""

    sides: Histogram = field(default_factory=Histogram)
    ratios: list[int] = field(default_factory=lambda: [0] * len(RATIO_NAMES))
    pixels: int = 0

    def add(self, other: Sizes) -> None:
        self.sides.add(other.sides)
        self.ratios = [here + there for here, there in zip(self.ratios, other.ratios, strict=True)]
        self.pixels += other.pixels


@dataclass
class ColumnCounts:
    """What is counted.

    ``hosts``: rows by host, ``host_successes`` those in the dataset. ``troubles``: rows that were not
    downloaded, by host and message. ``examples``: URLs by message. ``captions``: those of images.
    ``url_hashes`` of all rows, ``image_hashes`` of images, by the column ``hash_column``.
    """

    rows: int = 0
    images: int = 0
    hosts: Counter[str] = field(default_factory=Counter)
    host_successes: Counter[str] = field(default_factory=Counter)
    troubles: dict[str, Counter[str]] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)
    endings: Counter[str] = field(default_factory=Counter)
    before: Sizes = field(default_factory=Sizes)
    after: Sizes = field(default_factory=Sizes)
    has_captions: bool = False
    without_caption: int = 0
    captions: Histogram = field(default_factory=Histogram)
    scripts: Counter[str] = field(default_factory=Counter)
    url_hashes: list[NDArray[np.uint64]] = field(default_factory=list)
    image_hashes: list[NDArray[np.uint64]] = field(default_factory=list)
    hash_column: str | None = None

    def take(self, batch: pa.RecordBatch) -> None:
        """Count the rows of a batch, whose columns are of ``COLUMNS``."""
        import pyarrow.compute as pc

        names = batch.schema.names
        self.rows += batch.num_rows
        if "status" not in names or not batch.num_rows:
            return
        is_image = pc.fill_null(pc.equal(batch["status"], SUCCESS), False)
        images = batch.filter(is_image)
        self.images += images.num_rows
        if "url" in names:
            self._take_urls(batch)
        for sizes, prefix in ((self.before, "original_"), (self.after, "")):
            if {f"{prefix}width", f"{prefix}height"} <= set(names):
                _take_sizes(sizes, images[f"{prefix}width"], images[f"{prefix}height"])
        if "caption" in names:
            self._take_captions(images["caption"])
        for name in HASH_COLUMNS:
            if name in names:
                self.hash_column = name
                self.image_hashes.append(_short_hashes(texts_of(images[name]).to_pylist()))
                break
        self._bound()

    def add(self, other: ColumnCounts) -> None:
        """Count what another part of the folder has."""
        self.rows += other.rows
        self.images += other.images
        for name in ("hosts", "host_successes", "endings", "scripts"):
            getattr(self, name).update(getattr(other, name))
        for host, messages in other.troubles.items():
            known = self.troubles.get(host)
            if known is None:
                self.troubles[host] = messages
            else:
                for message, rows in messages.items():
                    known[message] += rows
        for message, urls in other.examples.items():
            self._add_examples(message, urls)
        self.before.add(other.before)
        self.after.add(other.after)
        self.has_captions |= other.has_captions
        self.without_caption += other.without_caption
        self.captions.add(other.captions)
        self.url_hashes += other.url_hashes
        self.image_hashes += other.image_hashes
        self.hash_column = self.hash_column or other.hash_column
        self._bound()

    def _take_urls(self, batch: pa.RecordBatch) -> None:
        urls: list[str | None] = texts_of(batch["url"]).to_pylist()
        self.url_hashes.append(_short_hashes(urls))
        hosts = [listed_host(url) for url in urls]
        self.hosts.update(hosts)
        statuses = texts_of(batch["status"]).to_pylist()
        self.host_successes.update(
            host for host, status in zip(hosts, statuses, strict=True) if status == SUCCESS
        )
        self.endings.update(
            _ending_of(url) for url, status in zip(urls, statuses, strict=True) if status == SUCCESS and url
        )
        if "error_message" not in batch.schema.names:
            return
        messages = texts_of(batch["error_message"]).to_pylist()
        pairs: Counter[tuple[str, str]] = Counter(
            (host, message or "")
            for host, message, status in zip(hosts, messages, statuses, strict=True)
            if status == FAILED_TO_DOWNLOAD
        )
        for (host, message), rows in pairs.items():
            known = self.troubles.get(host)
            if known is None:
                known = self.troubles[host] = Counter()
            known[message] += rows
        self._take_examples(urls, messages)

    def _take_examples(self, urls: list[str | None], messages: list[str | None]) -> None:
        wanted = {
            message
            for message in {message for message in messages if message}
            if len(self.examples.get(message, ())) < MOST_EXAMPLES
        }
        for url, message in zip(urls, messages, strict=True) if wanted else ():
            if message in wanted and message is not None:
                self._add_examples(message, [url])
                if len(self.examples.get(message, range(MOST_EXAMPLES))) >= MOST_EXAMPLES:
                    wanted.remove(message)
                    if not wanted:
                        break

    def _add_examples(self, message: str, urls: Iterable[str | None]) -> None:
        if message not in self.examples and len(self.examples) >= MOST_MESSAGES:
            return
        known = self.examples.setdefault(message, [])
        known += [url for url in dict.fromkeys(urls) if url and url not in known]
        del known[MOST_EXAMPLES:]

    def _take_captions(self, column: pa.Array) -> None:
        import pyarrow.compute as pc

        self.has_captions = True
        captions = texts_of(column).drop_null()
        lengths = pc.utf8_length(captions).to_numpy(zero_copy_only=False).astype("i8")
        self.without_caption += len(column) - int((lengths > 0).sum())
        if len(captions):
            self.captions.take(lengths[lengths > 0])
            self.scripts.update(scripts_of(captions.filter(pc.greater(pc.utf8_length(captions), 0))))

    def _bound(self) -> None:
        for counter in (self.hosts, self.host_successes):
            if len(counter) > 4 * MOST_HOSTS:
                kept = counter.most_common(MOST_HOSTS)
                counter.clear()
                counter.update(dict(kept))
        if len(self.troubles) > 4 * MOST_HOSTS:
            worst = sorted(self.troubles.items(), key=lambda item: -item[1].total())
            self.troubles = dict(worst[:MOST_HOSTS])


def _take_sizes(sizes: Sizes, width: pa.Array, height: pa.Array) -> None:
    import numpy as np

    wide, high = (_whole_numbers(each) for each in (width, height))
    known = (wide > 0) & (high > 0)
    wide, high = wide[known], high[known]
    if not len(wide):
        return
    sizes.sides.take(np.maximum(wide, high))
    sizes.pixels += int((wide * high).sum())
    at = np.searchsorted(np.array(RATIO_BOUNDS), wide / high, "right")
    counts = np.bincount(at, minlength=len(RATIO_NAMES)).tolist()
    sizes.ratios = [here + there for here, there in zip(sizes.ratios, counts, strict=True)]


def _whole_numbers(column: pa.Array) -> NDArray[np.int64]:
    """As whole numbers, 0 for what is none: 1.47.0 writes floats where some are missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_null(column.type):
        column = column.cast(pa.int64())
    numbers = pc.fill_null(pc.cast(column, pa.int64(), safe=False), 0)
    found: Any = numbers.to_numpy(zero_copy_only=False)
    return found.clip(0, 1 << 30)  # type: ignore[no-any-return]


def texts_of(column: pa.Array) -> pa.Array:
    """As strings; null where a column of another type has no text for a value."""
    import pyarrow as pa

    if pa.types.is_string(column.type):
        return column
    try:
        return column.cast(pa.string())
    except (pa.ArrowException, NotImplementedError):
        return pa.nulls(len(column), pa.string())


def _ending_of(url: str) -> str:
    """What the path of a URL ends in, behind a dot; empty where that is nothing like a format."""
    if url[-4:] in _USUAL_ENDINGS:
        return url[-3:]
    ending = url.partition("?")[0].partition("#")[0].rpartition("/")[2].rpartition(".")[2].lower()
    is_one = len(ending) <= _LONGEST_ENDING and ending.isascii() and ending.isalnum()
    return ending if is_one and url.count("/") > 2 else ""


def _short_hashes(texts: list[str | None]) -> NDArray[np.uint64]:
    """64 bits of each text that is there, the same for equal texts in this process."""
    import numpy as np

    present = [text for text in texts if text is not None]
    return np.fromiter(map(hash, present), np.int64, len(present)).view(np.uint64)
