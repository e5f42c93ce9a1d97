"""The few values that cross from one room to another, in the order a row meets them.

``ShardSpec`` or ``RowsSpec`` → ``Shard`` → ``Row`` → ``Fetched`` → ``ProcessedImage`` → ``Sample`` →
``ShardStats`` → ``ShardReport``.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from img2dataset.failures import Failure, of_text

if TYPE_CHECKING:
    import pyarrow as pa

Status = Literal["success", "failed_to_download", "failed_to_resize"]
# What the thread of pixels of a worker waits for: full transfers, names, hosts that take no more requests at
# present, the last answers, the store of the output folder, rows of the list.
WaitsFor = Literal["network", "names", "hosts", "last answers", "store", "list"]
SUCCESS: Status = "success"
FAILED_TO_DOWNLOAD: Status = "failed_to_download"
FAILED_TO_RESIZE: Status = "failed_to_resize"

# What a signal says of training: no, only under conditions, yes, or nothing that is known; the most
# restrictive first.
Says = Literal["no", "conditions", "yes", "unknown"]
SAYS: tuple[Says, ...] = get_args(Says)

# Names of columns in ``Shard.rows`` that steer the work and are not copied to the metadata.
BBOX_COLUMN = "__bbox__"
EXPECTED_HASH_COLUMN = "__expected_hash__"


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file of a list, as it was when it was found: to know it again by.

    ``size`` in bytes and ``modified``, a time or etag, are None where the file system does not tell;
    ``modified_key`` is what the file system calls that mark.
    """

    path: str
    size: int | None
    modified: str | float | None
    modified_key: str | None = None


@dataclass(frozen=True, slots=True)
class ShardSpec:
    """One shard by place: where in the list its rows lie, as plain values that any machine can be told.

    ``first_row`` counts the rows of ``file`` from 0. ``hint`` is what the list's format needs to enter there
    (``reading/places.py``), of JSON values alone.
    """

    shard_id: int
    file: InputFile
    first_row: int
    rows: int
    hint: Mapping[str, Any]

    def to_json(self) -> str:
        """This as text; ``spec_of_json`` makes it a spec again."""
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True)
class RowsSpec:
    """One shard of a list that cannot be entered in the middle: the rows themselves."""

    shard: Shard

    @property
    def shard_id(self) -> int:
        """The number of the shard."""
        return self.shard.shard_id

    def to_json(self) -> str:
        """This as text; ``spec_of_json`` makes it a spec again."""
        invalid_urls = {str(index): reason for index, reason in self.shard.invalid_urls.items()}
        rows = base64.b64encode(_stream_of(self.shard.rows)).decode()
        return json.dumps({"shard_id": self.shard_id, "rows": rows, "invalid_urls": invalid_urls})


# What an engine is given of each shard; ``ShardReader`` makes it the ``Shard``, on any machine.
PlannedShard: TypeAlias = ShardSpec | RowsSpec


def spec_of_json(text: str) -> PlannedShard:
    """The spec whose ``to_json`` this is."""
    fields = json.loads(text)
    if "hint" in fields:
        return ShardSpec(**{**fields, "file": InputFile(**fields["file"])})
    invalid_urls = {int(index): of_text(reason) for index, reason in fields["invalid_urls"].items()}
    return RowsSpec(_shard_of_stream(fields["shard_id"], base64.b64decode(fields["rows"]), invalid_urls))


@dataclass(frozen=True, slots=True)
class Shard:
    """Consecutive rows of the input that become one output shard.

    ``rows`` has the columns of the metadata that come from the input, in their final order and under
    their final names: the additional columns, ``caption`` if captions were asked for, ``url``; then
    ``BBOX_COLUMN`` and ``EXPECTED_HASH_COLUMN`` where the options need them. ``url`` and ``caption``
    are of type string; a URL that is null or not a string is null, with its reason in ``invalid_urls``
    when it was not simply missing.
    """

    shard_id: int
    rows: pa.Table
    invalid_urls: Mapping[int, Failure] = field(default_factory=dict)

    def __reduce__(self) -> tuple[object, ...]:
        # Arrow pickles the whole buffers behind a slice (35 MB for 100 rows of a million): send the slice.
        return _shard_of_stream, (self.shard_id, _stream_of(self.rows), dict(self.invalid_urls))


def _stream_of(rows: pa.Table) -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as stream:
        stream.write_table(rows)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _shard_of_stream(shard_id: int, rows: bytes, invalid_urls: dict[int, Failure]) -> Shard:
    import pyarrow as pa

    with pa.ipc.open_stream(rows) as stream:
        return Shard(shard_id, stream.read_all(), invalid_urls)


@dataclass(frozen=True, slots=True)
class Row:
    """One URL to fetch: the ``index``-th row of shard ``shard_id``.

    ``headers``: lines that go with its request only, ``Name: value`` of printable ASCII.
    """

    shard_id: int
    index: int
    url: str
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConsentSignal:
    """What a site, an answer or a picture says of being taken for training, as it was seen.

    ``signal`` names the kind, ``where`` the place that it stood in, ``value`` is its text as it stands,
    ``seen_at`` the Unix second at which it was read. ``is_honoured``: the run's options honour this kind, so
    that a no refuses the row; of a no, whether they let it.
    """

    signal: str
    where: str
    value: str
    says: Says
    is_honoured: bool
    seen_at: float


@dataclass(frozen=True, slots=True)
class Fetched:
    """The outcome of one row's download: a body, or a failure in the small language of failures.

    ``size`` is what the body counts for against the memory budget until it is given back. ``headers``: the
    values of the answer's fields that ``kept_headers`` of the fetcher's settings names, None where it has
    none; empty without an answer. ``signals``: what was said of training, where the settings keep that.
    """

    row: Row
    body: bytes | bytearray | None
    failure: Failure | None = None
    size: int = 0
    headers: tuple[str | None, ...] = ()
    signals: tuple[ConsentSignal, ...] = ()


@dataclass(frozen=True, slots=True)
class ProcessedImage:
    """An image ready to be stored; sizes in pixels, of the stored and of the upright original image.

    ``extension`` is the ending it is stored under, without a dot. ``exif`` is a JSON string.
    """

    image: bytes | bytearray | memoryview
    extension: str
    width: int | None
    height: int | None
    original_width: int | None
    original_height: int | None
    exif: str | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One finished row on its way to a writer. ``image`` is None for a row that failed.

    ``index`` is the row's number in its shard. ``metadata`` maps every metadata column to its Python
    value, in column order.
    """

    index: int
    key: str
    image: bytes | bytearray | memoryview | None
    extension: str
    caption: str | None
    metadata: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ShardStats:
    """What ``NNNNN_stats.json`` says of one shard. Times in Unix seconds, duration in seconds."""

    shard_id: int
    count: int
    successes: int
    failed_to_download: int
    failed_to_resize: int
    start_time: float
    end_time: float
    status_dict: dict[str, int]

    @property
    def duration(self) -> float:
        return self.end_time - self.start_time

    @property
    def rows(self) -> Counter[Status]:
        """The rows of the shard by status."""
        return Counter(
            {
                SUCCESS: self.successes,
                FAILED_TO_DOWNLOAD: self.failed_to_download,
                FAILED_TO_RESIZE: self.failed_to_resize,
            }
        )

    def as_json(self) -> dict[str, object]:
        """The fields of the statistics file, in its order."""
        return {
            "count": self.count,
            "successes": self.successes,
            "failed_to_download": self.failed_to_download,
            "failed_to_resize": self.failed_to_resize,
            "duration": self.duration,
            "start_time": self.start_time,
            "end_time": self.end_time,
            "status_dict": self.status_dict,
        }


@dataclass(frozen=True, slots=True)
class ShardMeasures:
    """What was seen while a shard was made: for people, who ask why a run is slow or has few images.

    Of the shard: ``hosts`` are its rows by the hosts that have most of them; ``troubles`` its rows that were
    not downloaded, by host and failure, of the hosts that have most of them; ``not_images`` its bodies that
    are no image, by what they are; ``repeated`` its rows whose URL an earlier row of it has. ``bytes_in``: of
    bodies, ``bytes_out``: of images stored. ``taken_over``: its rows that stand as an earlier run has left
    them, and are in none of these.

    Of its worker since it has reported the shard before: ``seconds``; ``cpu_s`` of the process; ``waited_s``
    of the thread that makes pixels, by what it has waited for. ``memory`` is the most that the process has
    had, in bytes.
    """

    hosts: Mapping[str, int] = field(default_factory=dict)
    troubles: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    not_images: Mapping[str, int] = field(default_factory=dict)
    repeated: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    taken_over: int = 0
    seconds: float = 0.0
    cpu_s: float = 0.0
    waited_s: Mapping[WaitsFor, float] = field(default_factory=dict)
    memory: int = 0


@dataclass(frozen=True, slots=True)
class ShardReport:
    """How one shard ended: with statistics, or with the reason why it could not be made.

    ``unfinished`` has the statistics of one that a stop has cut short and that is kept for the next run.
    ``measures``: what was seen meanwhile, where it was made in this run. ``traceback`` is of an error that is
    a mistake in the program, and neither the user's, the disk's nor a store's.
    """

    shard_id: int
    stats: ShardStats | None = None
    error: str | None = None
    traceback: str | None = None
    unfinished: ShardStats | None = None
    measures: ShardMeasures | None = None

    def to_json(self) -> str:
        """This as text; ``report_of_json`` makes it a report again."""
        return json.dumps(asdict(self))


def report_of_json(text: str) -> ShardReport:
    """The report whose ``to_json`` this is."""
    fields = json.loads(text)
    for name in ("stats", "unfinished"):
        if fields[name] is not None:
            fields[name] = ShardStats(**fields[name])
    if fields["measures"] is not None:
        fields["measures"] = ShardMeasures(**fields["measures"])
    return ShardReport(**fields)
