"""What findings say of the speed of a run: what its workers wait for, and memory. One function a finding."""

from __future__ import annotations

from img2dataset.counted import counted
from img2dataset.reporting.facts import Facts
from img2dataset.reporting.findings.finding import Finding, FindingKind, Rule
from img2dataset.reporting.surroundings import Surroundings

# Of the rows of a list, a host that has more of them limits the run by its own bounds.
LARGE_SHARE_OF_HOST = 0.3
# Of the time of the workers, what is waited for longer limits the run.
SHARE_OF_TIME = 0.4
# A worker that waits less has always something to do: its core is what limits.
LEAST_WAITING = 0.15
# What is said of speed matters less than rows that are lost: at most so much.
WEIGHT_OF_SPEED = 0.08
# A run that is shorter says nothing of speed, in seconds of all workers.
LEAST_WORKER_S = 20.0
SHARE_OF_MEMORY = 0.85
GIGABYTE = 1e9


def memory(facts: Facts, surroundings: Surroundings) -> Finding | None:
    if not surroundings.memory or surroundings.engine not in ("multiprocessing", "ranks"):
        return None
    share = facts.memory * surroundings.processes / surroundings.memory
    if share < SHARE_OF_MEMORY:
        return None
    return Finding(
        FindingKind.MEMORY,
        0.3,
        f"{surroundings.processes} worker processes had up to {facts.memory / GIGABYTE:.1f} GB each, this"
        f" machine has {surroundings.memory / GIGABYTE:.1f} GB",
        "each process decodes an image at a time, and holds downloads and open shards",
        "fewer --processes_count, a lower --body_memory or --max_decoded_pixels",
        {"memory": facts.memory, "limit": surroundings.memory},
    )


def _waited(facts: Facts, what: str) -> float:
    return sum(s for name, s in facts.waited_s.items() if name == what) / facts.worker_s


def _of_speed(
    facts: Facts, kind: FindingKind, share: float, title: str, cause: str, remedy: str
) -> Finding | None:
    if facts.worker_s < LEAST_WORKER_S:
        return None
    waits = {name: round(seconds / facts.worker_s, 3) for name, seconds in facts.waited_s.items()}
    return Finding(kind, WEIGHT_OF_SPEED * share, title, cause, remedy, {"share_of_time": waits})


def names_slow(facts: Facts, surroundings: Surroundings) -> Finding | None:
    if not facts.worker_s or (share := _waited(facts, "names")) < SHARE_OF_TIME / 2:
        return None
    servers = ", ".join(surroundings.name_servers) or "none is set"
    return _of_speed(
        facts,
        FindingKind.NAMES_SLOW,
        1.0,
        f"{share:.0%} of the workers' time they waited for names",
        f"the name servers ({servers}) are slow for so many names",
        "--dns_servers 1.1.1.1 8.8.8.8, or a resolver of your own on this machine",
    )


def bound_by_cpu(facts: Facts, surroundings: Surroundings) -> Finding | None:
    waited = sum(facts.waited_s.values())
    if not facts.worker_s or waited > LEAST_WAITING * facts.worker_s:
        return None
    each = f", {facts.cpu_s * 1000 / facts.count:.1f} ms of CPU a row" if facts.count else ""
    return _of_speed(
        facts,
        FindingKind.BOUND_BY_CPU,
        0.5,
        f"the {counted(surroundings.processes, 'worker process', 'worker processes')} had work"
        f" {1 - waited / facts.worker_s:.0%} of the time{each}",
        "cores limit this run, which is as it should be",
        "more cores, or machines (--distributor), make it faster; so does a smaller --image_size",
    )


def _bound_by(what: str, kind: FindingKind, title: str, cause: str, remedy: str) -> Rule:
    def rule(facts: Facts, surroundings: Surroundings) -> Finding | None:
        if not facts.worker_s or (share := _waited(facts, what)) < SHARE_OF_TIME:
            return None
        return _of_speed(facts, kind, share, f"{share:.0%} of the workers' time {title}", cause, remedy)

    return rule


bound_by_network = _bound_by(
    "network",
    FindingKind.BOUND_BY_NETWORK,
    "they waited for downloads, with as many under way as may be",
    "the line is full, servers are slow, or too few downloads are under way at once",
    "a higher --thread_count where the line is not full; a faster line where it is",
)
bound_by_store = _bound_by(
    "store",
    FindingKind.BOUND_BY_STORE,
    "they waited for the store of the output folder",
    "shards are made faster than they are uploaded",
    "a store or a line that takes more, or a smaller --image_size or --encode_quality",
)
bound_by_list = _bound_by(
    "list",
    FindingKind.BOUND_BY_LIST,
    "they waited for rows of the list",
    "the list is read slower than it is downloaded, or has fewer shards than there are workers",
    "parquet is read fastest; a smaller --number_sample_per_shard gives a short list to more workers",
)


def bound_by_hosts(facts: Facts, surroundings: Surroundings) -> Finding | None:
    if not facts.worker_s or not facts.measured:
        return None
    share = _waited(facts, "hosts") + _waited(facts, "last answers")
    host, rows = facts.hosts.most_common(1)[0] if facts.hosts else ("", 0)
    of_list = rows / facts.measured
    if share < SHARE_OF_TIME or of_list < LARGE_SHARE_OF_HOST:
        return None
    return _of_speed(
        facts,
        FindingKind.BOUND_BY_HOSTS,
        share,
        f"{share:.0%} of the workers' time they waited for few hosts; {host or 'one'} has {of_list:.0%} of"
        " the list",
        "a host is asked for no more at once than it takes, whatever the other settings",
        "mix the rows of the list; --max_connections_per_host higher, where the host is yours",
    )


RULES: tuple[Rule, ...] = (
    memory,
    names_slow,
    bound_by_store,
    bound_by_list,
    bound_by_hosts,
    bound_by_network,
    bound_by_cpu,
)
