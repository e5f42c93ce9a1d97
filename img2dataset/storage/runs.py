"""Run ids: they name a run's temporary files, and tell later runs whose those are and if it still lives.

Out: an id such as ``node7.4026531836.5e884898-3121-9f86d081``: host, process-id namespace and a mark of the
machine, process id of the run's main process, a random part. Called by ``settings`` (``new_run_id``),
``working``, ``verifying`` and ``leases``.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import secrets
import socket

_RUN_ID = re.compile(r"(?P<machine>.+)-(?P<process_id>\d+)-[0-9a-f]{8}")


def new_run_id() -> str:
    """An id for the run whose main process is this one."""
    return f"{_machine()}-{os.getpid()}-{secrets.token_hex(4)}"


def run_is_dead(run_id: str) -> bool:
    """Whether the run surely has ended: it ran here, and its main process is gone.

    False when that cannot be known: another host, another container, a name that is no run id. A
    process that has been given the same id since then makes a dead run look alive, never the reverse.
    """
    match = _RUN_ID.fullmatch(run_id)
    if match is None or match["machine"] != _machine():
        return False
    return not _process_lives(int(match["process_id"]))


def other_run_lives(run_id: str) -> bool:
    """Whether another run than this process's, on this host, surely is at work under this id."""
    match = _RUN_ID.fullmatch(run_id)
    if match is None or match["machine"] != _machine():
        return False
    process_id = int(match["process_id"])
    return process_id != os.getpid() and _process_lives(process_id)


def is_of_this_process(run_id: str) -> bool:
    """Whether it is the id of a run whose main process is this one."""
    match = _RUN_ID.fullmatch(run_id)
    return match is not None and match["machine"] == _machine() and int(match["process_id"]) == os.getpid()


def process_of(run_id: str) -> int:
    """The id of the run's main process."""
    match = _RUN_ID.fullmatch(run_id)
    if match is None:
        raise ValueError(f"{run_id!r} is no run id")
    return int(match["process_id"])


def _process_lives(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return not _is_zombie(process_id)


def _is_zombie(process_id: int) -> bool:
    """Whether it has ended and nobody has asked how: so it stays in a container without an init process."""
    try:
        with open(f"/proc/{process_id}/stat", "rb") as file:
            # The name, in brackets before the state, may have any characters in it.
            return file.read().rpartition(b")")[2].split()[0] == b"Z"
    except (OSError, IndexError):
        return False


def boot_id() -> str:
    """What differs between machines, and from one start of a machine to the next; empty if not known."""
    return _text_of("/proc/sys/kernel/random/boot_id")


@functools.cache
def _machine() -> str:
    """Host, process-id namespace and machine: containers, and machines, may share a host name and a folder.

    The namespace of all that is in no container has the same number everywhere.
    """
    try:
        namespace = os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except OSError:
        namespace = "0"
    host = re.sub(r"[^A-Za-z0-9._-]", "_", socket.gethostname()) or "host"
    # The id itself is not to be shown to others (machine-id(5)).
    mark = hashlib.sha256(f"img2dataset {_text_of('/etc/machine-id') or boot_id()}".encode()).hexdigest()[:8]
    return f"{host}.{namespace}.{mark}"


def _text_of(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""
