"""The program under every fault we can make, from outside: whole runs of the real command line, on loopback.

``python -m tests.reliability.soak``, ``python -m tests.reliability.faults`` and ``python -m
tests.reliability.hostile`` are the commands; ``docs/reliability.md`` has what they found. Nothing here is
part of the installed package.
"""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
WORK = REPOSITORY / "reliability" / "work"  # lists, datasets, logs: made on the fly, never in git
