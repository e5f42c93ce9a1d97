"""Where a run runs, and with what: findings must know it beside the counts, and reports show it.

Nothing secret is in it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from img2dataset.options import Options, option_specs
from img2dataset.settings import processes_count
from img2dataset.version import __version__

_CONTROL_GROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """A run's machine and options.

    ``processes``: worker processes of each machine, ``threads``: downloads at once of each process, to
    begin with. ``memory``: bytes that this machine's programs may have, 0 where that is not known.
    ``name_servers``: those that are asked for names. ``options``: those that are not as they are by
    default, secrets and lists in memory left out.
    """

    version: str = __version__
    python: str = ""
    host: str = ""
    cores: int = 1
    memory: int = 0
    engine: str = "multiprocessing"
    processes: int = 1
    threads: int = 0
    name_servers: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    def to_document(self) -> dict[str, Any]:
        """This as JSON values."""
        return asdict(self)


def surroundings_of_document(document: Mapping[str, Any]) -> Surroundings:
    """The surroundings whose ``to_document`` this is; what a later version adds is left out."""
    known = {name: document[name] for name in Surroundings.__slots__ if name in document}
    if "name_servers" in known:
        known["name_servers"] = tuple(known["name_servers"])
    return Surroundings(**known)


def surroundings_of(options: Options) -> Surroundings:
    """Those of a run with these options on this machine."""
    return Surroundings(
        python=".".join(map(str, sys.version_info[:3])),
        host=socket.gethostname(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory=memory_limit(),
        engine=options.distributor,
        processes=processes_count(options),
        threads=options.thread_count,
        name_servers=tuple(options.dns_servers) or _system_name_servers(),
        options=given_options(options),
    )


def given_options(options: Options) -> dict[str, Any]:
    """The options that are not as they are by default, as JSON values, in the order of the help."""
    given = {}
    for spec in option_specs().values():
        value = getattr(options, spec.name)
        # Where the list and the output are has a place of its own, without what is secret in it.
        if spec.secret or spec.name in ("url_list", "output_folder"):
            continue
        if value == spec.default or not isinstance(value, (str, int, float, tuple)):
            continue
        given[spec.name] = list(value) if isinstance(value, tuple) else value
    return given


def memory_limit() -> int:
    """Bytes that the programs of this machine, or of this container, may have; 0 where it does not tell."""
    limits = []
    with contextlib.suppress(OSError, ValueError, AttributeError):
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for path in _CONTROL_GROUP_LIMITS:
        with contextlib.suppress(OSError, ValueError):
            limits.append(int(Path(path).read_text()))
    return min((limit for limit in limits if limit > 0), default=0)


def _system_name_servers(path: Path = Path("/etc/resolv.conf")) -> tuple[str, ...]:
    with contextlib.suppress(OSError, UnicodeError):
        lines = (line.split() for line in path.read_text().splitlines())
        return tuple(words[1] for words in lines if len(words) > 1 and words[0] == "nameserver")
    return ()
