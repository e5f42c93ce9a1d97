"""Asking again what may have changed since the download: what sites' files and the headers of answers say.

In: a folder and the settings of a fetcher. Out: shard by shard, the rows that are reserved now, that are for
sale, and that nothing is known of. The fetcher is the one of downloads, with its manners and bounds, told to
take no body: each URL is asked for its first byte, and a transfer that brings more ends after the headers.
What stands in the bytes of a picture is not asked, since it cannot have changed in the same bytes: where the
column ``consent`` has kept it, and the settings heed pictures, it counts as it was seen.
"""

from __future__ import annotations

import dataclasses
import queue
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from img2dataset.consenting.counting import OPT_OUT
from img2dataset.consenting.folder import OnProblem, readable_batches, shards_with_metadata
from img2dataset.consenting.rows_with_image import (
    COLUMNS_OF_ROWS,
    NEEDED_COLUMNS,
    OPT_OUT_OF_PICTURES,
    refusals_in_picture,
    rows_with_image,
)
from img2dataset.failures import (
    EMPTY_BODY,
    OPT_OUT_ROBOTS_UNAVAILABLE,
    PAYMENT_REQUIRED,
    TOO_LARGE_BODY,
    Failure,
)
from img2dataset.fetching import Fetcher, FetchSettings
from img2dataset.formats import consent_ledger
from img2dataset.reporting.report.folder import Folder
from img2dataset.types import ConsentSignal, Fetched, Row

if TYPE_CHECKING:
    import pyarrow as pa

# What was found of a row: it is reserved, it is sold, nothing is known of it, or it may be taken.
Verdict = Literal["reserved", "sold", "not known", "free"]

# Rows that are out at once, beside those of one batch: as many as the fetcher looks ahead on, twice.
_ROWS_AHEAD = 8192
_FIRST_BYTE = ("Range: bytes=0-0",)
# How often it is seen whether to stop, and whether the fetcher lives.
_LOOK_S = 0.5


@dataclass(frozen=True, slots=True)
class Finding:
    """One row that is not free. ``signals`` are those that refuse it; ``failure`` says why it is listed."""

    key: str
    url: str
    verdict: Verdict
    failure: Failure
    signals: tuple[ConsentSignal, ...]

    @property
    def signal(self) -> str | None:
        """The kind of the signal that refuses the row; None of a row that is not known."""
        if self.verdict == "not known":
            return None
        return self.signals[0].signal if self.signals else str(self.failure)

    @property
    def value(self) -> str:
        """What the signal says, on one line; of a row that is not known, why."""
        if self.verdict == "not known" or not self.signals:
            return str(self.failure)
        return consent_ledger.shortened(self.signals[0].value)


@dataclass
class RecheckedShard:
    """A shard whose rows were asked again.

    ``findings``, in the order of their keys, are of the rows that are not free. ``verdicts`` counts all rows
    that were asked. ``is_whole``: each row with an image was asked, or is not known.
    """

    shard: str
    findings: list[Finding] = field(default_factory=list)
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    is_whole: bool = False


@dataclass
class _OpenShard:
    result: RecheckedShard
    rows_left: int = 0
    is_read: bool = False


def asking_settings(settings: FetchSettings) -> FetchSettings:
    """Those of a fetcher that asks for headers: it takes no body, and keeps every signal."""
    return dataclasses.replace(settings, max_download_bytes=1, save_consent=True, kept_headers=())


def recheck(
    folder: Folder,
    settings: FetchSettings,
    is_stopped: Callable[[], bool],
    on_problem: OnProblem,
    on_rows: Callable[[int], object],
) -> Iterator[RecheckedShard]:
    """Ask again for the rows with an image.

    Args:
        folder: theirs.
        settings: as a download has them.
        is_stopped: whether to end early; what was found so far still comes.
        on_problem: told of shards that cannot be read; they are not whole.
        on_rows: called with how many more rows are answered.

    Yields:
        Each shard when its last row is answered; when it is stopped, those that were begun.

    Raises:
        Img2datasetError: the fetcher has ended by an error, or cannot be set up.
    """
    answers: queue.SimpleQueue[Fetched] = queue.SimpleQueue()
    with Fetcher(asking_settings(settings), answers.put) as fetcher:
        asking = _Asking(folder, fetcher, on_problem, on_rows, heeds_pictures=settings.consent == "strict")
        looked_at = time.monotonic()
        while not is_stopped():
            yield from asking.submit_more(is_stopped)
            if not asking.rows_out:
                break
            if time.monotonic() - looked_at > _LOOK_S:
                fetcher.check()
                looked_at = time.monotonic()
            try:
                fetched = answers.get(timeout=_LOOK_S)
            except queue.Empty:
                on_rows(0)  # time passes, which is to be seen
                continue
            fetcher.release(fetched.size)
            on_rows(len(asking.rows_of(fetched)))
            yield from asking.take(fetched)
        yield from asking.begun()


class _Asking:
    """The rows that are out, and the shards that they are of."""

    def __init__(
        self,
        folder: Folder,
        fetcher: Fetcher,
        on_problem: OnProblem,
        on_rows: Callable[[int], object],
        *,
        heeds_pictures: bool,
    ) -> None:
        self._folder = folder
        self._fetcher = fetcher
        self._on_problem = on_problem
        self._on_rows = on_rows
        self._heeds_pictures = heeds_pictures
        self._batches = self._read()
        self._open: dict[int, _OpenShard] = {}
        self._waiting: dict[tuple[int, int], list[str]] = {}
        self._next_index = 0
        self._exhausted = False
        self._unreadable: set[str] = set()

    @property
    def rows_out(self) -> int:
        """URLs that are not answered yet."""
        return len(self._waiting)

    def rows_of(self, fetched: Fetched) -> list[str]:
        """The keys of the rows that an answer is for."""
        return self._waiting[fetched.row.shard_id, fetched.row.index]

    def submit_more(self, is_stopped: Callable[[], bool]) -> Iterator[RecheckedShard]:
        """Let as many rows be out as the fetcher looks ahead on; gives shards that have none."""
        while len(self._waiting) < _ROWS_AHEAD and not self._exhausted and not is_stopped():
            read = next(self._batches, None)
            if read is None:
                self._exhausted = True
                return
            number, shard, batch = read
            opened = self._open.setdefault(number, _OpenShard(RecheckedShard(shard)))
            if batch is None:
                opened.is_read = True
                yield from self._ended(number)
                continue
            refused, keys_by_url = _refused_and_left(batch, self._heeds_pictures)
            opened.result.findings += refused
            opened.result.verdicts["reserved"] += len(refused)
            self._on_rows(len(refused))
            rows = []
            for url, keys in keys_by_url.items():
                rows.append(Row(number, self._next_index, url, _FIRST_BYTE))
                self._waiting[number, self._next_index] = keys
                self._next_index += 1
            opened.rows_left += len(rows)
            self._fetcher.submit(rows)

    def take(self, fetched: Fetched) -> Iterator[RecheckedShard]:
        """An answer has come; gives its shard if that was the last one."""
        row = fetched.row
        keys = self._waiting.pop((row.shard_id, row.index))
        opened = self._open[row.shard_id]
        opened.rows_left -= 1
        verdict, failure, signals = verdict_of(fetched)
        opened.result.verdicts[verdict] += len(keys)
        if failure is not None:
            opened.result.findings += [Finding(key, row.url, verdict, failure, signals) for key in keys]
        yield from self._ended(row.shard_id)

    def begun(self) -> Iterator[RecheckedShard]:
        """The shards that are not through."""
        for opened in self._open.values():
            opened.result.findings.sort(key=lambda finding: finding.key)
            yield opened.result

    def _ended(self, number: int) -> Iterator[RecheckedShard]:
        opened = self._open[number]
        if opened.is_read and not opened.rows_left:
            del self._open[number]
            opened.result.findings.sort(key=lambda finding: finding.key)
            opened.result.is_whole = opened.result.shard not in self._unreadable
            yield opened.result

    def _read(self) -> Iterator[tuple[int, str, pa.RecordBatch | None]]:
        """Each shard's number and name, and its rows in batches; None at its end."""
        folder, on_problem = self._folder, self._on_problem
        for number, shard in enumerate(shards_with_metadata(folder, on_problem)):
            for batch in readable_batches(folder, shard, COLUMNS_OF_ROWS, on_problem, NEEDED_COLUMNS):
                if batch is None:
                    self._unreadable.add(shard)
                else:
                    yield number, shard, batch
            yield number, shard, None


def _refused_and_left(
    batch: pa.RecordBatch, heeds_pictures: bool
) -> tuple[list[Finding], dict[str, list[str]]]:
    """The rows whose pictures say no, as the column ``consent`` has it; the keys of the others by URL."""
    refused: list[Finding] = []
    left: dict[str, list[str]] = {}
    for key, url, cell in rows_with_image(batch):
        signals = refusals_in_picture(cell) if heeds_pictures and cell is not None else ()
        if signals:
            refused.append(Finding(key, url, "reserved", OPT_OUT_OF_PICTURES[signals[0].signal], signals))
        else:
            left.setdefault(url, []).append(key)
    return refused, left


def verdict_of(fetched: Fetched) -> tuple[Verdict, Failure | None, tuple[ConsentSignal, ...]]:
    """What an answer without its body says of a row: the verdict, why it is not free, and what refuses it."""
    failure = fetched.failure
    # A body that is longer than the one byte, or none, has come: nothing in its headers refuses it.
    if failure is None or failure in (TOO_LARGE_BODY, EMPTY_BODY):
        return "free", None, ()
    refusing = tuple(each for each in fetched.signals if each.says == "no" and each.is_honoured)
    if failure.startswith(PAYMENT_REQUIRED):
        asked = tuple(each for each in fetched.signals if each.says == "conditions" and each.is_honoured)
        return "sold", failure, asked
    if failure.startswith(OPT_OUT) and failure != OPT_OUT_ROBOTS_UNAVAILABLE:
        return "reserved", failure, refusing
    return "not known", failure, ()
