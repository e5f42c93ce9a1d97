"""Every fault we can make, on this program and on 1.47.0: ``python -m tests.reliability.faults``, minutes.

Prints a markdown table: the fault, how often it was tried, what each program came to. A try is a run (or
several) over 200 pictures in ten shards with two processes; what it came to is counted on the disk. Killing
comes at random moments, spread over the run. Exit status 0 only if this program never hangs, never leaves an
unreadable file, a process, a row missing or doubled. Linux only; as root where disks are to be full.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from tests.pictures import photograph
from tests.reliability import WORK
from tests.reliability import fault_trials as trials
from tests.reliability.fault_network import connections_ended, in_own_network
from tests.reliability.fault_place import Place, Trial
from tests.reliability.fault_trials import NotPossible
from tests.reliability.programs import Program, peer_program, this_program
from tests.servers import ImageServer

# Runs that work share the cores with few others, those that wait with many.
WORKING, WAITING = 3, 5


@dataclass(frozen=True)
class Fault:
    """A fault, how often it is tried, and how.

    ``waits``: most of its time is waiting. ``memory``: the peak belongs into the table. ``ends_short``: a run
    that ends with an error and rows missing has done right.
    """

    name: str
    times: int
    attempt: Callable[[Place], Trial]
    waits: bool = False
    memory: bool = False
    ends_short: bool = False


FAULTS = (
    Fault("none", 2, trials.nothing),
    Fault("a worker killed (SIGKILL)", 10, trials.worker_killed, waits=True),
    Fault("the whole tree killed, then the same command again", 20, trials.tree_killed),
    Fault("SIGTERM, then the same command again", 4, trials.terminated),
    Fault(
        "Ctrl-C within a list of one shard, then the same command again", 3, trials.interrupted_in_one_shard
    ),
    Fault("a worker stopped (SIGSTOP)", 2, trials.worker_stopped, waits=True),
    Fault("64 open files, 200 transfers", 2, trials.few_descriptors),
    Fault("the name server away for 3 s", 2, in_own_network("name server away once"), waits=True),
    Fault(
        "the name server away four times for 3 s",
        2,
        in_own_network("name server away four times"),
        waits=True,
    ),
    Fault("the interface down for 8 s", 2, in_own_network("interface down for 8 s"), waits=True),
    Fault("the interface down for 20 s", 2, in_own_network("interface down for 20 s"), waits=True),
    Fault("an https server that ends connections after three answers", 2, connections_ended),
    Fault("killed half-way, then another shard size", 2, trials.other_shard_size),
    Fault(
        "a server that drips",
        2,
        trials.served_badly("/drip-body?interval=1", "/drip-headers?interval=1"),
        waits=True,
    ),
    Fault(
        "a server that hangs",
        2,
        trials.served_badly("/hang-before-headers", "/hang-in-body"),
        waits=True,
    ),
    Fault("an endless body", 2, trials.served_badly("/endless-body"), memory=True),
    Fault(
        f"a gzip bomb of {trials.BOMB_MEGABYTES} MB",
        2,
        trials.served_bodies(trials.bomb, (("Content-Encoding", "gzip"),)),
        memory=True,
    ),
    Fault("a truncated image", 2, trials.served_bodies(trials.truncated_picture)),
    Fault("a body shorter than its Content-Length", 2, trials.served_badly("/close-in-body?size=50000")),
    Fault(
        "a picture whose Content-Encoding is utf-8",
        2,
        trials.served_bodies(lambda: photograph(400, 300, seed=9), (("Content-Encoding", "utf-8"),)),
    ),
    Fault("a redirect loop", 2, trials.served_badly("/redirect-loop")),
    Fault("no HTTP at all", 2, trials.served_badly("/not-http")),
    Fault(
        "a slow server (6 s) among fast ones",
        2,
        trials.served_bodies(lambda: photograph(400, 300, seed=9), latency_s=6.0),
        waits=True,
    ),
    Fault("a full disk, then the same command with room", 2, trials.full_disk),
    Fault("a read-only disk", 2, trials.read_only_disk, ends_short=True),
    Fault("a comma in a txt list", 2, trials.comma_in_a_txt_list),
    Fault("a timestamp among the additional columns", 2, trials.timestamp_column),
)


def attempt(fault: Fault, program: Program, number: int, seed: int) -> Trial:
    """One try, in a folder and against a server of its own."""
    folder = WORK / "faults" / f"{FAULTS.index(fault):02d}-{number:02d}-{program.name.replace(' ', '-')}"
    folder.mkdir(parents=True)
    # The same for both programs: their runs are broken at the same moments.
    chance = random.Random(f"{seed} {fault.name} {number}")
    part = (number + chance.random()) / fault.times
    with ImageServer() as server:
        return fault.attempt(Place(program, folder, server, chance, part))


def spread(values: Iterable[int]) -> str:
    """The range of some figures."""
    known = sorted(values)
    return str(known[0]) if known[0] == known[-1] else f"{known[0]} to {known[-1]}"


def counted(words: Sequence[str]) -> str:
    """What was seen, and how often if not always."""
    found = Counter(words).most_common()
    return found[0][0] if len(found) == 1 else ", ".join(f"{word} ({count} times)" for word, count in found)


def wrongs(each: Sequence[dict[str, int]]) -> list[str]:
    """What was wrong in any of them: the range where it was, and in how many."""
    parts = []
    for name in each[0]:
        values = [found[name] for found in each if found[name]]
        if values:
            parts.append(
                f"{name}: {spread(values)}"
                + (f" ({len(values)} of {len(each)} times)" if len(values) < len(each) else "")
            )
    return parts


def outcome(fault: Fault, tried: Sequence[Trial]) -> str:
    """A cell of the table."""
    parts = [f"{counted([each.end for each in tried])}, {spread(round(each.seconds) for each in tried)} s"]
    if interrupted := [each.before for each in tried if each.before is not None]:
        unreadable = sum(bool(each.unreadable) for each in interrupted)
        parts.append(f"unreadable files left by it: {f'{unreadable} times' if unreadable else 'none'}")
    if any(each.processes_left for each in tried):
        parts.append(f"processes left: {spread(each.processes_left for each in tried)}")
    parts += wrongs([each.account.wrong() for each in tried]) or ["every row once, every sample readable"]
    bad = sum((each.account.bad for each in tried), Counter[str]())
    if bad:
        parts.append("the bad rows: " + ", ".join(word for word, _ in bad.most_common(3)))
    if fault.memory:
        parts.append(f"at most {max(each.peak for each in tried) / 1e6:,.0f} MB")
    notes = Counter(note for each in tried for note in each.notes)
    parts += [note if count == len(tried) else f"{note} ({count} times)" for note, count in notes.items()]
    return "; ".join(parts)


def is_well(fault: Fault, trial: Trial) -> bool:
    """Whether this program did what it promises."""
    if not trial.end.startswith("exit") or trial.processes_left:
        return False
    if trial.account.unreadable or (trial.before and trial.before.unreadable):
        return False
    if fault.ends_short:
        return trial.end != "exit 0"
    return trial.end == "exit 0" and not any(trial.account.wrong().values())


def cell_of(fault: Fault, futures: Sequence[Future[Trial]]) -> tuple[str, bool]:
    """A cell, and whether every try was well; a fault that cannot be made here has its reason there."""
    try:
        tried = [future.result() for future in futures]
    except NotPossible as error:
        return f"skipped: {error}", True
    return outcome(fault, tried), all(is_well(fault, each) for each in tried)


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.reliability.faults", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--without-peer", action="store_true", help="leave img2dataset 1.47.0 out")
    parser.add_argument("--only", default="", metavar="WORDS", help="faults whose name has these words")
    parser.add_argument("--seed", type=int, default=5, help="of the moments (default: 5)")
    return parser.parse_args(arguments)


def main() -> int:
    chosen = parse(sys.argv[1:])
    faults = [fault for fault in FAULTS if chosen.only in fault.name]
    if not faults:
        names = "\n    ".join(fault.name for fault in FAULTS)
        print(f"no fault has {chosen.only!r} in its name; there are\n    {names}", file=sys.stderr)
        return 2
    programs = [this_program()] if chosen.without_peer else [this_program(), peer_program()]
    shutil.rmtree(WORK / "faults", ignore_errors=True)
    print(f"| fault | times tried | {' | '.join(program.name for program in programs)} |")
    print("| --- | --- |" + " --- |" * len(programs), flush=True)
    well = True
    with ThreadPoolExecutor(WORKING) as working, ThreadPoolExecutor(WAITING) as waiting:
        tries = {
            (fault, program.name): [
                (waiting if fault.waits else working).submit(attempt, fault, program, number, chosen.seed)
                for number in range(fault.times)
            ]
            for fault in faults
            for program in programs
        }
        for fault in faults:
            cells = [cell_of(fault, tries[fault, program.name]) for program in programs]
            well = well and cells[0][1]
            print(f"| {fault.name} | {fault.times} | {' | '.join(cell for cell, _ in cells)} |", flush=True)
    print(f"no hang, no unreadable file, no row lost or doubled: {'met' if well else 'NOT met'}")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
