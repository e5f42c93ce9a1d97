"""The metadata of one shard: one row each row of the list, under the keys of the contract.

In: record batches. Out: ``ShardRows``, against which the data and the statistics are held, and findings.
Called by ``checking`` and ``images_in_table``.

A key is the shard's number as in its file names, followed by the row's place in fixed digits. So keys that
are right and unique within each shard are unique across shards: no key of another shard need be remembered,
be there six billion of them.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, get_args

from img2dataset.counted import counted
from img2dataset.formats.dataset import COMPUTED_COLUMNS
from img2dataset.formats.findings import Findings
from img2dataset.options.images import HashName
from img2dataset.types import FAILED_TO_DOWNLOAD, FAILED_TO_RESIZE, SUCCESS

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = ("url", *COMPUTED_COLUMNS)
HASHES = get_args(HashName)
_STATUSES = (SUCCESS, FAILED_TO_DOWNLOAD, FAILED_TO_RESIZE)


class ShardRows:
    """The metadata of one shard, row by row in the file's order.

    Args:
        shard: the shard's name, with which its keys begin.
        findings: take what is wrong.

    Attributes:
        values: the columns that another file repeats and that compare simply: text, numbers, booleans.
        place_of: the row of each key of a success.
        statuses, messages: how often each occurs, as the statistics count them.
    """

    def __init__(self, shard: str, findings: Findings) -> None:
        self._shard = shard
        self._findings = findings
        self._seen_places: set[int] = set()
        self._lengths: Counter[int] = Counter()
        self._failed_keys: set[str] = set()
        self._has_wrong_keys = False
        self.columns: list[str] = []
        self.values: dict[str, list[Any]] = {}
        self.place_of: dict[str, int] = {}
        self.statuses: Counter[str] = Counter()
        self.messages: Counter[str] = Counter()

    @property
    def count(self) -> int:
        return self.statuses.total()

    @property
    def key_digits(self) -> int | None:
        """Digits that a row's place takes in the keys; None if no key could be read."""
        return self._lengths.most_common(1)[0][0] if self._lengths else None

    @property
    def has_captions(self) -> bool:
        return "caption" in self.columns

    def begin(self, schema: pa.Schema, image_column: str | None = None) -> bool:
        """Take the columns; whether rows can be read from them."""
        self.columns = [name for name in schema.names if name != image_column]
        missing = [name for name in COLUMNS if name not in self.columns]
        for name in missing:
            self._findings.add("the metadata has no column", name)
        self.values = {name: [] for name in self.columns if _compares_simply(schema.field(name).type)}
        if not missing and not {"key", "status", "error_message", "url"} <= self.values.keys():
            self._findings.add("the columns of the metadata have other types than they should")
            return False
        return not missing

    def add(self, batch: pa.RecordBatch) -> None:
        """Take more rows."""
        first = self.count
        for name, values in self.values.items():
            values += batch.column(name).to_pylist()
        keys, statuses, messages = (self.values[name] for name in ("key", "status", "error_message"))
        for row in range(first, first + batch.num_rows):
            status = statuses[row]
            self.statuses[status] += 1
            self.messages[SUCCESS if status == SUCCESS else _as_json_key(messages[row])] += 1
            self._take_key(keys[row], row, status)

    def finish(self) -> None:
        """What can only be said of all rows."""
        if len(self._lengths) > 1:
            self._findings.add("keys of different lengths")
        for status, count in self.statuses.items():
            if status not in _STATUSES:
                self._findings.add(f"{counted(count, 'row has', 'rows have')} the status {status!r}")
        if self._has_wrong_keys:
            return  # which rows are absent cannot be said
        for place in range(self.count):
            if place not in self._seen_places:
                self._findings.add("no row in the metadata for key", self._key_of(place))

    def failed(self, key: str) -> bool:
        """Whether this is the key of a row that failed."""
        return key in self._failed_keys

    def was_decoded(self, row: int) -> bool:
        """Whether the row's image was one when it was stored; what was stored as it came can be anything."""
        width = self.values.get("width")
        return width is not None and width[row] is not None

    def _take_key(self, key: Any, row: int, status: Any) -> None:
        place = self._place_in(key)
        if place is None:
            self._has_wrong_keys = True
            self._findings.add("no key of this shard in the metadata", repr(key))
            return
        self._lengths[len(key) - len(self._shard)] += 1
        if place in self._seen_places:
            self._has_wrong_keys = True
            self._findings.add("key twice in the metadata", key)
        self._seen_places.add(place)
        if status == SUCCESS:
            self.place_of[key] = row
        else:
            self._failed_keys.add(key)

    def _place_in(self, key: Any) -> int | None:
        if not isinstance(key, str) or not key.startswith(self._shard):
            return None
        digits = key[len(self._shard) :]
        if digits == "":
            return 0
        return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 18 else None

    def _key_of(self, place: int) -> str:
        return f"{self._shard}{place:0{self.key_digits}d}" if self.key_digits else self._shard


def _compares_simply(data_type: pa.DataType) -> bool:
    from pyarrow import types

    return any(
        is_type(data_type)
        for is_type in (
            types.is_null,
            types.is_boolean,
            types.is_integer,
            types.is_float32,
            types.is_float64,
            types.is_string,
            types.is_large_string,
        )
    )


def _as_json_key(message: Any) -> str:
    """How a message stands in the statistics: JSON knows no null as a key."""
    return "null" if message is None else str(message)
