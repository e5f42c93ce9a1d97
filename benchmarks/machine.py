"""What the figures were measured on: processor, cores, memory, kernel, nginx. Used by ``results.py``."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from benchmarks.servers import find_nginx


def usable_cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0))


def processor_name() -> str:
    """The processor as the kernel names it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def memory_bytes() -> int:
    """The memory of the machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def nginx_version() -> str:
    """As ``nginx -v`` says it: "nginx/1.22.1"."""
    said = subprocess.run([find_nginx(), "-v"], capture_output=True, text=True).stderr
    return said.strip().rpartition(" ")[2] or "nginx"


def describe_machine() -> str:
    """One line for the head of the results."""
    return (
        f"{usable_cores()} cores of {processor_name()}, {memory_bytes() / 2**30:.0f} GiB of memory,"
        f" {platform.system()} {platform.release().partition('-')[0]}, {nginx_version()} on the same cores"
    )


def load_warning() -> str | None:
    """A sentence when other programs keep the machine busy: their share is missing from every images/s."""
    load = os.getloadavg()[0]
    if load < 0.5:
        return None
    return f"the machine was not idle at the start (load {load:.1f}): compare CPU, not images/s"
