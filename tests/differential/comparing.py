"""Two outputs come in, what differs goes out, in words; pure functions. Called by ``run.py``.

Failure messages are compared where the contract fixes them; times and durations are not compared.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from tests.differential.listed import reason, reason_of_columns, reason_of_names
from tests.differential.outputs import IMAGE_COLUMNS, Output

FIXED_MESSAGES = frozenset(
    {"success", "hash mismatch", "image too small", "image area too large", "aspect ratio too large"}
)
ANY_MESSAGE = "(a message of its own)"
LONGEST_TOLD = 160  # characters
UNCOMPARED_STATISTICS = ("duration", "start_time", "end_time")


@dataclass(frozen=True)
class Difference:
    """A line that names the place, what 1.47.0 has and what this program has; ``meant`` is why, if it is."""

    text: str
    meant: str | None = None


def differences(peer: Output, here: Output) -> Iterator[Difference]:
    """Each difference between two outputs.

    Args:
        peer: what 1.47.0 wrote.
        here: what this program wrote.
    """
    yield from _sets("files", set(peer.files), set(here.files))
    for shard in sorted(peer.schemas.keys() & here.schemas.keys()):
        if peer.schemas[shard] != here.schemas[shard]:
            one, other = peer.schemas[shard], here.schemas[shard]
            yield _told(f"columns of {shard}.parquet", one, other, reason_of_columns(one, other))
    yield from _statistics(peer, here)
    yield from _rows(peer, here)
    yield from _samples(peer, here)


def describe(output: Output) -> str:
    """What there was to compare, in a few words."""
    contents: Counter[str] = Counter()
    for sample in output.samples.values():
        if "key" in sample:
            contents["examples"] += 1
        for ending in sample:
            if ending in IMAGE_COLUMNS:
                contents["images"] += 1
            elif "key" not in sample:
                contents[ending] += 1
    rows = len(output.rows())
    columns = len(next(iter(output.schemas.values()), ()))
    parts = (
        [f"{len(output.files)} files", f"{rows} rows x {columns} columns"]
        if rows
        else [f"{len(output.files)} files"]
    )
    return ", ".join([*parts, *(f"{count} {what}" for what, count in sorted(contents.items()))])


def _sets(what: str, peer: set[str], here: set[str]) -> Iterator[Difference]:
    if missing := sorted(peer - here):
        yield Difference(f"{what}: only 1.47.0 has {_some_of(missing)}")
    if more := sorted(here - peer):
        yield Difference(f"{what}: only this program has {_some_of(more)}")


def _statistics(peer: Output, here: Output) -> Iterator[Difference]:
    for shard in sorted(peer.statistics.keys() & here.statistics.keys()):
        theirs, ours = peer.statistics[shard], here.statistics[shard]
        if list(theirs) != list(ours):
            yield _told(f"fields of {shard}_stats.json", list(theirs), list(ours))
        for name in theirs:
            if name in UNCOMPARED_STATISTICS:
                if type(theirs[name]) is not type(ours.get(name)):
                    yield _told(f"{name} of {shard}_stats.json", theirs[name], ours.get(name))
                continue
            one, other = theirs[name], ours.get(name)
            if name == "status_dict" and isinstance(other, dict):
                one, other = _fixed_counts(one), _fixed_counts(other)
            if one != other:
                yield _told(f"{name} of {shard}_stats.json", one, other)


def _fixed_counts(messages: dict[str, int]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for message, count in messages.items():
        counts[message if message in FIXED_MESSAGES else ANY_MESSAGE] += count
    return dict(counts)


def _rows(peer: Output, here: Output) -> Iterator[Difference]:
    theirs, ours = peer.rows(), here.rows()
    yield from _sets("keys in the metadata", set(theirs), set(ours))
    for key in sorted(theirs.keys() & ours.keys()):
        for name in theirs[key]:
            if name not in ours[key]:
                continue  # said by the columns
            one, other = theirs[key][name], ours[key][name]
            if name == "error_message":
                one, other = _fixed(one), _fixed(other)
            if not equal(one, other):
                place = f"{name} of row {key} ({theirs[key]['url']})"
                yield _told(place, one, other, reason(name, one, other, theirs[key]))


def _fixed(message: str | None) -> str | None:
    return message if message is None or message in FIXED_MESSAGES else ANY_MESSAGE


def _samples(peer: Output, here: Output) -> Iterator[Difference]:
    yield from _sets("samples", set(peer.samples), set(here.samples))
    for key in sorted(peer.samples.keys() & here.samples.keys()):
        theirs, ours = peer.samples[key], here.samples[key]
        yield from _sets(f"contents of sample {key}", set(theirs), set(ours))
        if "key" not in theirs and set(theirs) == set(ours) and peer.members[key] != here.members[key]:
            yield _told(f"order of the members of sample {key}", peer.members[key], here.members[key])
        for ending in sorted(theirs.keys() & ours.keys()):
            place = f"{ending} of sample {key}"
            if ending in IMAGE_COLUMNS:
                yield from _images(place, theirs[ending], ours[ending])
            else:
                yield from _contents(place, ending, theirs[ending], ours[ending])


def _contents(place: str, ending: str, theirs: Any, ours: Any) -> Iterator[Difference]:
    if equal(theirs, ours):
        return
    if ending == "json":
        one, other = json.loads(theirs), json.loads(ours)
        if list(one) != list(other):
            yield _told(f"names in {place}", list(one), list(other), reason_of_names(list(one), list(other)))
        fields = [name for name in one if name in other and not equal(one[name], other[name])]
        for name in fields:
            meant = reason(name, one[name], other[name], one)
            yield _told(f"{name} in {place}", one[name], other[name], meant)
        if list(one) == list(other) and not fields:
            yield _told(f"layout of {place}", theirs.decode(), ours.decode())
    else:
        yield _told(place, theirs, ours)


def _images(place: str, theirs: bytes, ours: bytes) -> Iterator[Difference]:
    """How two images differ: their encoded bytes only, their sizes, or their pixels."""
    if theirs == ours:
        return
    one, other = (_decoded(data) for data in (theirs, ours))
    if one is None or other is None:
        yield Difference(f"{place}: bytes differ, {len(theirs)} of 1.47.0 against {len(ours)}")
        return
    if one.shape != other.shape:
        yield Difference(f"{place}: 1.47.0 has shape {one.shape}, this program {other.shape}")
        return
    apart = np.abs(one.astype(np.int16) - other)
    error = float(np.mean(np.square(apart.astype(np.float64))))
    if not error:
        yield Difference(f"{place}: pixels are identical, the encoded bytes are not")
        return
    share, psnr = float(np.mean(apart > 0)), 10 * math.log10(255 * 255 / error)
    yield Difference(
        f"{place}: pixels differ, {share:.1%} of the values, by {apart.max()} at most, PSNR {psnr:.1f} dB"
    )


def _decoded(data: bytes) -> Any:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


def equal(one: Any, other: Any) -> bool:
    """Whether two values are equal and of one type; NaN equals itself."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return one == other or (math.isnan(one) and math.isnan(other))
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(equal(value, other[name]) for name, value in one.items())
    return bool(one == other)


def _told(place: str, theirs: Any, ours: Any, meant: str | None = None) -> Difference:
    one, other = repr(theirs), repr(ours)
    # Of long values, what follows the part they share.
    start = 0 if max(len(one), len(other)) <= LONGEST_TOLD else _first_difference(one, other)
    return Difference(f"{place}: 1.47.0 has {_part(one, start)}, this program {_part(other, start)}", meant)


def _first_difference(one: str, other: str) -> int:
    for n, (character, another) in enumerate(zip(one, other, strict=False)):
        if character != another:
            return max(0, n - 20)
    return max(0, min(len(one), len(other)) - 20)


def _part(text: str, start: int) -> str:
    shown = text[start : start + LONGEST_TOLD]
    return ("…" if start else "") + shown + ("…" if start + LONGEST_TOLD < len(text) else "")


def _some_of(names: list[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
