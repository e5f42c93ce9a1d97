"""From what was seen of a sample to what the whole list would give and take. Pure.

In: facts of the sample's download, the list's rows, the machine. Out: an ``Estimate``, plain values.

A small sample says little of speed when its rows are divided by its seconds: its beginning and its end, where
the slowest servers are waited for, are most of it, and a long run has them once. So two rates are reckoned:
that of the middle of the sample, and that at which the cores would be full, from the CPU that a row takes. A
long run comes to lie between them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from img2dataset.estimating.interval import design_effect, wilson_interval
from img2dataset.fetching.hosts.politeness import HostManners
from img2dataset.reporting.facts import Facts
from img2dataset.types import SUCCESS

MOST_FAILURES, MOST_HOSTS = 15, 10
# A host that has a larger share of the sample is looked at: its own bounds may limit the run.
LEAST_SHARE_OF_HOST = 0.02
# Of workers that have work for so much of the time, the cores limit.
BUSY = 0.75
# Those that had work, and a core for less of the time, had to share it.
HAD_A_CORE = 0.6
# How long an answer is taken to last.
ANSWER_S = 1.0
# Waits that a short sample has at its end, and a long run has not.
_OF_THE_END = ("last answers", "list")


@dataclass(frozen=True, slots=True)
class Machine:
    """What the run would have.

    ``in_flight``: downloads at once over all processes. ``manners``: what each host may be asked for.
    """

    processes: int
    cores: int
    in_flight: int
    manners: HostManners


@dataclass(frozen=True, slots=True)
class FailureShare:
    """One failure: its share of the sample with its interval, and so many rows of the list at that share."""

    message: str
    rows_of_sample: int
    share: float
    interval: tuple[float, float]
    rows_of_list: int


@dataclass(frozen=True, slots=True)
class HostShare:
    """A host that has many rows of the list.

    ``failures``: its rows of the sample that were not downloaded, by failure. ``hours``: the least time for
    its rows by the bounds of a host; None where there are none. ``limits``: whether that is longer than the
    rest takes.
    """

    host: str
    share: float
    failures: Mapping[str, int]
    hours: float | None
    limits: bool


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run would give and take.

    Shares from 0 to 1; ``success_interval`` of 95 %. ``design_effect``: how many times less the sample says,
    since rows of one part of the list are alike. Rates in rows a second: ``rate_seen`` of the middle of the
    sample, or of all of it where ``rate_is_settled`` is false; ``rate_of_cores`` where the cores are full.
    ``hours``: the shorter and the longer of the two. ``images_per_second``: rates times success share, lower
    first. Bytes of bodies and of files of the dataset, of a row and of the whole list. ``line_needed``:
    bytes a second of bodies at ``rate_of_cores``, ``line_seen`` at ``rate_seen``. ``waits``: shares of the
    workers' time; ``cpu_share``: the part of it for which they had a core. ``limit``: ``cores``, ``crowded``
    cores (there was work, and others had the cores, or the program was still starting), ``network``,
    ``names``, ``hosts``, ``store``, or None where the sample does not tell.
    """

    rows_of_list: int
    rows_of_sample: int
    successes: int
    success_share: float
    success_interval: tuple[float, float]
    design_effect: float
    rate_seen: float
    rate_is_settled: bool
    rate_of_cores: float | None
    images_per_second: tuple[float, float]
    hours: tuple[float, float]
    cpu_ms_per_row: float
    bytes_in_per_row: float
    bytes_out_per_row: float
    bytes_in: int
    bytes_out: int
    line_seen: float
    line_needed: float | None
    waits: dict[str, float]
    cpu_share: float
    limit: str | None
    processes: int
    cores: int
    sample_fits_in_flight: bool
    failures: list[FailureShare] = field(default_factory=list)
    hosts: list[HostShare] = field(default_factory=list)

    def to_document(self) -> dict[str, Any]:
        """This for JSON."""
        return asdict(self)


def reckon(
    facts: Facts,
    seconds: float,
    settled_rate: float | None,
    stored_bytes: int,
    rows_of_list: int,
    machine: Machine,
    succeeded: Sequence[bool] | None = None,
    part_of: Sequence[int] = (),
) -> Estimate:
    """What a run over the whole list would give and take.

    Args:
        facts: of the download of the sample, at least one row.
        seconds: that it took.
        settled_rate: rows a second of its middle; None where it was too short.
        stored_bytes: of the files that it made.
        rows_of_list: of the whole list.
        machine: what the run would have.
        succeeded, part_of: of each row of the sample, as ``design_effect`` takes them; None where they are
            not known.
    """
    rows, successes = facts.count, facts.successes
    effect = design_effect(succeeded, part_of) if succeeded and len(succeeded) == len(part_of) else 1.0
    rate_seen = settled_rate or rows / max(seconds, 1e-9)
    cpu_s_per_row = facts.cpu_s / rows
    used_cores = min(machine.processes, machine.cores)
    rate_of_cores = used_cores / cpu_s_per_row if cpu_s_per_row > 0 else None
    slow, fast = sorted((rate_seen, rate_of_cores or rate_seen))
    share = successes / rows
    bytes_in_per_row, bytes_out_per_row = facts.bytes_in / rows, stored_bytes / rows
    waits, cpu_share = _waits(facts)
    return Estimate(
        rows_of_list=rows_of_list,
        rows_of_sample=rows,
        successes=successes,
        success_share=share,
        success_interval=wilson_interval(successes, rows / effect, share),
        design_effect=effect,
        rate_seen=rate_seen,
        rate_is_settled=settled_rate is not None,
        rate_of_cores=rate_of_cores,
        images_per_second=(slow * share, fast * share),
        hours=(rows_of_list / fast / 3600, rows_of_list / slow / 3600),
        cpu_ms_per_row=cpu_s_per_row * 1000,
        bytes_in_per_row=bytes_in_per_row,
        bytes_out_per_row=bytes_out_per_row,
        bytes_in=round(bytes_in_per_row * rows_of_list),
        bytes_out=round(bytes_out_per_row * rows_of_list),
        line_seen=rate_seen * bytes_in_per_row,
        line_needed=None if rate_of_cores is None else rate_of_cores * bytes_in_per_row,
        waits=waits,
        cpu_share=cpu_share,
        limit=_limit(waits, cpu_share),
        processes=machine.processes,
        cores=machine.cores,
        sample_fits_in_flight=rows <= machine.in_flight,
        failures=_failures(facts, effect, rows_of_list),
        hosts=_hosts(facts, rows_of_list, fast, machine),
    )


def _waits(facts: Facts) -> tuple[dict[str, float], float]:
    """Shares of the workers' time without the end of the sample: what they waited for, and ``work``; and the
    part of it for which they had a core."""
    of_the_end = sum(waited_s for name, waited_s in facts.waited_s.items() if name in _OF_THE_END)
    seconds = facts.worker_s - of_the_end
    if seconds <= 0:
        return {}, 0.0
    waited: dict[str, float] = {
        str(name): waited_s / seconds
        for name, waited_s in facts.waited_s.items()
        if name not in _OF_THE_END and waited_s > 0
    }
    return {"work": max(0.0, 1 - sum(waited.values())), **waited}, facts.cpu_s / seconds


def _limit(waits: Mapping[str, float], cpu_share: float) -> str | None:
    """What the workers waited for most; the cores where they had work for most of the time."""
    if not waits:
        return None
    if waits["work"] >= BUSY:
        return "cores" if cpu_share >= HAD_A_CORE else "crowded"
    others = {name: share for name, share in waits.items() if name != "work"}
    return max(others, key=lambda name: others[name]) if others else None


def _failures(facts: Facts, effect: float, rows_of_list: int) -> list[FailureShare]:
    found = [(message, rows) for message, rows in facts.messages.most_common() if message != SUCCESS]
    return [
        FailureShare(
            message,
            rows,
            rows / facts.count,
            wilson_interval(rows, facts.count / effect, rows / facts.count),
            round(rows / facts.count * rows_of_list),
        )
        for message, rows in found[:MOST_FAILURES]
    ]


def _hosts(facts: Facts, rows_of_list: int, fast: float, machine: Machine) -> list[HostShare]:
    rest_hours = rows_of_list / fast / 3600
    found = []
    for host, rows in facts.hosts.most_common(MOST_HOSTS):
        share = rows / facts.count
        if share < LEAST_SHARE_OF_HOST or rows < 2:
            break
        bounds = machine.manners.bounds_of(host)
        rates = [bounds.connections / ANSWER_S] if bounds.connections else []
        rates += [bounds.requests_per_s] if bounds.requests_per_s else []
        if bounds.bytes_per_s and facts.bytes_in:
            rates.append(bounds.bytes_per_s * facts.count / facts.bytes_in)
        hours = share * rows_of_list / min(rates) / 3600 if rates else None
        limits = hours is not None and hours > rest_hours
        found.append(HostShare(host, share, dict(facts.troubles.get(host, {})), hours, limits))
    return found
