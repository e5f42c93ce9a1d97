"""Run a command and measure its whole process tree: time, CPU, memory. Used by ``run.py`` and ``memory.py``.

CPU is what the kernel adds to the waiter (``RUSAGE_CHILDREN``): exact, of every descendant that was waited
for. Descendants whose parent died are handed to this process (it makes itself their reaper) and waited for
here, so none is missed; the last figures seen in /proc are kept as a check. Memory is sampled: the sum over
the tree of PSS, in which a page that n processes share counts 1/n in each. Linux only.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SAMPLE_INTERVAL_S = 0.25  # smaps_rollup of a 500 MB process takes 2 ms: under 1 % of one core
PR_SET_CHILD_SUBREAPER = 36
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass
class Usage:
    """What one command took. Memory is the highest sum over the tree of any sample, in bytes."""

    exit_status: int = 0
    stopped: bool = False  # by ``stop_when`` or the time limit
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    cpu_seconds_seen: float = 0.0
    peak_pss: int = 0
    peak_rss: int = 0
    peak_uss: int = 0
    peak_processes: int = 0
    seen: dict[int, float] = field(default_factory=dict, repr=False)

    @property
    def cpu_complete(self) -> bool:
        """Whether the waiter's figure covers what /proc showed (ticks of 10 ms leave a little play)."""
        return self.cpu_seconds >= 0.97 * self.cpu_seconds_seen - 0.1


@dataclass(frozen=True)
class ProcessFigures:
    """One line of /proc/PID/stat: whose child it is, its session, its own CPU so far."""

    process_id: int
    parent_id: int
    session_id: int
    cpu_seconds: float


def parse_stat(text: str) -> ProcessFigures:
    """Read /proc/PID/stat; the name in it may hold spaces and brackets (proc(5))."""
    process_id, _, rest = text.partition(" ")
    fields = rest.rpartition(")")[2].split()
    cpu_seconds = (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND
    return ProcessFigures(int(process_id), int(fields[1]), int(fields[3]), cpu_seconds)


def all_processes() -> list[ProcessFigures]:
    """Every process that can be seen now."""
    processes = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                processes.append(parse_stat(Path("/proc", entry, "stat").read_text()))
            except OSError:
                continue  # it has just ended
    return processes


def tree_of(root: int, processes: Sequence[ProcessFigures]) -> list[ProcessFigures]:
    """``root``, its descendants, and everything in a session one of them leads."""
    members = {root}
    while True:
        more = {
            each.process_id
            for each in processes
            if (each.parent_id in members or each.session_id in members) and each.process_id not in members
        }
        if not more:
            return [each for each in processes if each.process_id in members]
        members |= more


def memory_of(process_id: int) -> tuple[int, int, int]:
    """PSS, RSS and USS of a process in bytes; zeros when it has ended."""
    try:
        lines = Path("/proc", str(process_id), "smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return 0, 0, 0
    sizes = {name.rstrip(":"): int(value) * 1024 for name, value, *_ in map(str.split, lines)}
    private = sizes.get("Private_Clean", 0) + sizes.get("Private_Dirty", 0)
    return sizes.get("Pss", 0), sizes.get("Rss", 0), private


def cpu_seconds_of_tree(root: int) -> float:
    """CPU of a running tree so far, in seconds: for servers, which are not waited for between runs."""
    return sum(each.cpu_seconds for each in tree_of(root, all_processes()))


def measure(
    command: Sequence[str],
    log: Path,
    environment: Mapping[str, str] | None = None,
    time_limit_s: float = 1800.0,
    stop_when: Callable[[], bool] | None = None,
) -> Usage:
    """Run ``command`` to its end and measure its tree.

    Args:
        command: program and arguments.
        log: file that takes its output; its folder is where the command runs.
        environment: its whole environment; None: this process's.
        time_limit_s: seconds after which the tree is ended.
        stop_when: asked at each sample; when true, the tree is ended.

    Returns:
        The figures; ``exit_status`` is that of the command, negative for a signal.
    """
    become_reaper()
    usage = Usage()
    cpu_before = _children_cpu_seconds()
    with open(log, "wb") as output:
        start = time.monotonic()
        root = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment) if environment is not None else None,
            cwd=log.parent,  # not the checkout: no contender shall find its packages by chance
            start_new_session=True,
        )
        ended = os.pidfd_open(root.pid)
        try:
            _watch(root, ended, usage, start + time_limit_s, stop_when)
            if usage.stopped:
                end_tree(root.pid)
            usage.exit_status = root.wait()
        finally:
            os.close(ended)
            usage.seconds = time.monotonic() - start
            _end_orphans(root.pid, usage)
    usage.cpu_seconds = _children_cpu_seconds() - cpu_before
    usage.cpu_seconds_seen = sum(usage.seen.values())
    return usage


def _watch(
    root: subprocess.Popen[bytes],
    ended: int,
    usage: Usage,
    until: float,
    stop_when: Callable[[], bool] | None,
) -> None:
    """Sample the tree until its root ends or it has to be stopped."""
    while not select.select([ended], [], [], SAMPLE_INTERVAL_S)[0]:
        _sample(root.pid, usage)
        if time.monotonic() > until or (stop_when is not None and stop_when()):
            usage.stopped = True
            return


def _sample(root: int, usage: Usage) -> None:
    members = tree_of(root, all_processes())
    for each in members:
        usage.seen[each.process_id] = each.cpu_seconds
    pss, rss, uss = map(sum, zip(*(memory_of(each.process_id) for each in members), strict=True))
    usage.peak_pss = max(usage.peak_pss, pss)
    usage.peak_rss = max(usage.peak_rss, rss)
    usage.peak_uss = max(usage.peak_uss, uss)
    usage.peak_processes = max(usage.peak_processes, len(members))


def become_reaper() -> None:
    """Have the kernel give this process the orphans below it, so that their CPU is counted (prctl(2))."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_tree(root: int) -> None:
    """Kill ``root`` and everything below it."""
    for each in tree_of(root, all_processes()):
        _kill(each.process_id)


def _kill(process_id: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process_id, signal.SIGKILL)


def _end_orphans(root: int, usage: Usage) -> None:
    """End and wait for what the command left behind: seen below it before, given to this process since."""
    for _ in range(100):
        orphans = [
            each.process_id
            for each in all_processes()
            if each.parent_id == os.getpid() and (each.process_id in usage.seen or each.session_id == root)
        ]
        for process_id in orphans:
            _kill(process_id)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(process_id, 0)
        if not orphans:
            return


def _children_cpu_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime
