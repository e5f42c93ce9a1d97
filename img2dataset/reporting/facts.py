"""What is known of a run, summed over its shards: reports come in; findings, summaries and reports read it.

Of bounded size, however long the list is: only the most frequent hosts and failures are kept. As JSON it is
what the event log says of shards, so that a run can be looked at from elsewhere, and later.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from img2dataset.types import ShardMeasures, ShardReport, ShardStats, WaitsFor

# Kept in memory of the hosts of a run, and told of in JSON; and of the failures of a host.
MOST_HOSTS, MOST_HOSTS_TOLD, MOST_TROUBLES = 10_000, 30, 5
MOST_MESSAGES = 200


@dataclass
class Facts:
    """What is known of a run, or of a part of it.

    ``messages``: rows by what became of them, ``success`` or a failure's text. ``hosts``: rows by host.
    ``troubles``: rows not downloaded, by host and failure. ``not_images``: bodies that are no image, by
    what they are. ``repeated``: rows whose URL an earlier row of their shard has. ``measured``: rows of
    the shards that came with measures; ``taken_over``: beside them, rows that stand as an earlier run
    has left them. ``bytes_in`` of bodies, ``bytes_out`` of images. ``worker_s``, ``cpu_s``,
    ``waited_s``: seconds, seconds of CPU, and seconds without work, over all workers. ``memory``: the
    most that one of them has had, bytes. ``errors``: shards that could not be made, by reason.
    """

    shards: int = 0
    failed_shards: int = 0
    count: int = 0
    successes: int = 0
    failed_to_download: int = 0
    failed_to_resize: int = 0
    messages: Counter[str] = field(default_factory=Counter)
    hosts: Counter[str] = field(default_factory=Counter)
    troubles: dict[str, Counter[str]] = field(default_factory=dict)
    not_images: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    measured: int = 0
    taken_over: int = 0
    repeated: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    worker_s: float = 0.0
    cpu_s: float = 0.0
    waited_s: dict[WaitsFor, float] = field(default_factory=dict)
    memory: int = 0

    def add_report(self, report: ShardReport) -> None:
        """Count a shard that has ended."""
        if report.stats is None:
            if report.error is not None:
                self.failed_shards += 1
                self.errors[report.error] += 1
            return
        self._add_stats(report.stats)
        if report.measures is not None:
            self._add_measures(report.measures, report.stats.count)
        self._bound()

    def _add_stats(self, stats: ShardStats) -> None:
        self.shards += 1
        self.count += stats.count
        self.successes += stats.successes
        self.failed_to_download += stats.failed_to_download
        self.failed_to_resize += stats.failed_to_resize
        self.messages.update(stats.status_dict)

    def _add_measures(self, measures: ShardMeasures, rows: int) -> None:
        self.measured += rows - measures.taken_over
        self.taken_over += measures.taken_over
        self.hosts.update(measures.hosts)
        self._add_troubles(measures.troubles)
        self.not_images.update(measures.not_images)
        self.repeated += measures.repeated
        self.bytes_in += measures.bytes_in
        self.bytes_out += measures.bytes_out
        self.worker_s += measures.seconds
        self.cpu_s += measures.cpu_s
        self._add_waits(measures.waited_s)
        self.memory = max(self.memory, measures.memory)

    def add(self, other: Facts) -> None:
        """Count what is known of another part of the run."""
        for name in _NUMBERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in _COUNTERS:
            getattr(self, name).update(getattr(other, name))
        self._add_troubles(other.troubles)
        self._add_waits(other.waited_s)
        self.memory = max(self.memory, other.memory)
        self._bound()

    def _add_troubles(self, troubles: Mapping[str, Mapping[str, int]]) -> None:
        for host, messages in troubles.items():
            self.troubles.setdefault(host, Counter()).update(messages)

    def _add_waits(self, waited_s: Mapping[WaitsFor, float]) -> None:
        for waits_for, seconds in waited_s.items():
            self.waited_s[waits_for] = self.waited_s.get(waits_for, 0.0) + seconds

    def _bound(self) -> None:
        for counter in (self.hosts, self.messages, self.errors):
            if len(counter) > MOST_HOSTS:
                kept = counter.most_common(MOST_HOSTS // 2)
                counter.clear()
                counter.update(dict(kept))
        if len(self.troubles) > MOST_HOSTS:
            self.troubles = dict(self.worst_hosts(MOST_HOSTS // 2))

    def worst_hosts(self, most: int) -> list[tuple[str, Counter[str]]]:
        """The hosts with the most rows that were not downloaded, and why not."""
        ordered = sorted(self.troubles.items(), key=lambda item: (-item[1].total(), item[0]))
        return ordered[:most]

    @property
    def failed_hosts(self) -> Counter[str]:
        """Rows that were not downloaded, by host."""
        return Counter({host: messages.total() for host, messages in self.troubles.items()})

    def to_document(self) -> dict[str, Any]:
        """This as JSON values, with what is rare left out."""
        document: dict[str, Any] = {name: getattr(self, name) for name in (*_NUMBERS, "memory")}
        for name in _COUNTERS:
            most = MOST_MESSAGES if name == "messages" else MOST_HOSTS_TOLD
            document[name] = dict(getattr(self, name).most_common(most))
        document["troubles"] = {
            host: dict(messages.most_common(MOST_TROUBLES))
            for host, messages in self.worst_hosts(MOST_HOSTS_TOLD)
        }
        document["waited_s"] = dict(self.waited_s)
        seconds = {name: round(value, 3) for name, value in document.items() if isinstance(value, float)}
        return {name: value for name, value in {**document, **seconds}.items() if value}


def facts_of_document(document: Mapping[str, Any]) -> Facts:
    """The facts whose ``to_document`` this is; what a later version adds is left out."""
    facts = Facts()
    for name in (*_NUMBERS, "memory"):
        value = document.get(name, 0)
        setattr(facts, name, value if isinstance(value, (int, float)) else 0)
    for name in _COUNTERS:
        getattr(facts, name).update(document.get(name, {}))
    facts._add_troubles(document.get("troubles", {}))
    facts._add_waits(document.get("waited_s", {}))
    return facts


_NUMBERS = (
    *("shards", "failed_shards", "count", "successes", "failed_to_download", "failed_to_resize", "measured"),
    *("taken_over", "repeated", "bytes_in", "bytes_out", "worker_s", "cpu_s"),
)
_COUNTERS = ("messages", "hosts", "not_images", "errors")
